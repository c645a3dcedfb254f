"""Which column of a table says the file, the label, the split and the group: as told, by name, or by its values."""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline.options import Options
from imageshards.pipeline.source import SPLIT_NAMES, UserError, printable
from imageshards.pipeline.sources.labels import separator
from imageshards.pipeline.sources.listing import IMAGE_SUFFIXES
from imageshards.pipeline.sources.matching import Names
from imageshards.pipeline.sources.table import Role, Table

# In the order of preference, in small letters and without what is not a letter.
_FILE = (
    *("filename", "file", "filepath", "path", "imagepath", "imagefile", "imagefilename", "image", "img", "imagename"),
    *("imageid", "imgid", "imgpath", "imgname", "gcspath", "imagegcsuri", "imageuri", "imageurl", "sourceref", "uri"),
    *("url", "photo", "picture", "name", "idcode", "id", "bild", "datei", "fichier", "archivo", "foto", "imagen"),
)
_LABEL = (
    *("label", "labels", "labelname", "class", "classname", "classlabel", "category", "categoryname", "target"),
    *(
        "groundtruth",
        "gt",
        "choice",
        "choices",
        "tagname",
        "breed",
        "species",
        "diagnosis",
        "dx",
        "finding",
        "tags",
        "tag",
        "klasse",
        "classe",
    ),
    *("clase", "categoria", "kategorie", "etikett", "etiquette", "etiqueta", "etichetta", "kategoria", "klass", "klas"),
    *("标签", "类别", "ラベル", "クラス", "레이블", "метка", "класс", "labelid", "classid", "categoryid"),
)
_SPLIT = (
    "split",
    "set",
    "subset",
    "mluse",
    "partition",
    "usage",
    "phase",
    "fold",
    "dataset",
    "datasplit",
    "datasettype",
)
_GROUP = re.compile(
    r"(group|patient|subject|participant|person|individual|specimen|animal|donor|lesion|case|slide|session|sequence)"
    r"(id|no|number|name)?"
)
_FLAGS: dict[str, tuple[str, str]] = {  # what 1 and what 0 mean
    **dict.fromkeys(("isvalid", "isval", "isvalidation"), ("validation", "train")),
    **dict.fromkeys(("istrain", "istraining", "istrainingimage"), ("train", "test")),
    "istest": ("test", "train"),
}
NUMBERED_SPLITS = {"0": "train", "1": "validation", "2": "test"}
"""What numbers of splits mean, as in CelebA and others, where there are three."""

_FOLD = ("fold", "folds", "kfold", "cvfold", "foldid")
_MEASURE = re.compile(
    r"(x|y|w|h|xmin|xmax|ymin|ymax|(image|img)?(width|height|size)|age|weight|length|area|price|score|rating|count"
    r"|lat|latitude|lon|lng|longitude|year|month|day|date|time|timestamp|createdat|updatedat|confidence|leadtime"
    r"|annotator|annotationid|bytes|md5|sha1|sha256|hash|url|comment|notes?|caption|description|text|title|license"
    r"|author|camera|iso|exposure|index|row|number)"
)
TRUE, _FALSE = frozenset(("1", "1.0", "true", "yes", "t", "y")), frozenset(("0", "0.0", "false", "no", "f", "n", ""))
_NUMBER = re.compile(r"[-+]?\d+([.,]\d*)?([eE][-+]?\d+)?")
UNASSIGNED = frozenset(("", "unassigned", "none", "nan", "-"))
DISCARD = frozenset(("discard", "discarded", "ignore", "ignored", "exclude", "excluded", "unused", "skip"))

_SAMPLE = 400  # rows, spread over the table, that decide
_MANY = 10  # labels that nearly all differ are suspicious from so many rows on


@dataclasses.dataclass(frozen=True)
class Columns:
    """What the columns of a table mean, by number."""

    file: int | None
    label: int | None
    split: int | None = None
    group: int | None = None
    one_hot: tuple[int, ...] = ()
    """A column a class, with 1 in the one that holds."""

    flag: tuple[str, str] | None = None
    """What true and false mean, where the split column says is_valid or the like."""

    question: str = ""
    """Why there is no label column, and what to do."""

    candidates: tuple[str, ...] = ()
    """The names of the columns that could be the label."""

    file_candidates: tuple[str, ...] = ()
    """The names of the columns that could be the file, where none is named like one."""

    hits: int = 0
    """How many of a few rows name a picture of SRC."""

    likely: bool = False
    """Whether one of the candidates is probably the label."""

    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> bool:
        """Says whether the table gives labels."""
        return self.label is not None or bool(self.one_hot)


class _Sample:
    """A few rows of a table, spread over it."""

    def __init__(self, table: Table) -> None:
        step = max(1, len(table) // _SAMPLE)
        self.columns = [
            [(value or "").strip() for value in column[::step].to_pylist()]
            if step == 1
            else [(value or "").strip() for value in column.take(pa.array(np.arange(0, len(column), step))).to_pylist()]
            for column in table.columns
        ]

    def given(self, column: int) -> list[str]:
        return [value for value in self.columns[column] if value]


def choose(table: Table, names: Names, base: str, options: Options) -> tuple[Table, Columns]:
    """Returns the table, its first row as the header where it is one, and what its columns mean.

    Raises:
      UserError: a column that was named is not there.
    """
    if not table.header and len(table) and _has_header(table, names, base, options):
        table = table.without_first()
    return table, _Choice(table, names, base, options).columns()


def _has_header(table: Table, names: Names, base: str, options: Options) -> bool:
    first = [(column[0].as_py() or "").strip() for column in table.columns]
    if any(_is_image_name(cell) for cell in first) or names.hits(pa.array(first, pa.large_string()), base):
        return False
    said = {options.file_column, options.label_column, options.split_column, options.group_column} - {""}
    plain = {_plain(cell) for cell in first}
    if said & set(first) or plain & {*_FILE, *_LABEL}:
        return True
    rest = _Sample(table.without_first())
    return any(_is_image_name(value) for column in rest.columns for value in column[:20]) or any(
        names.hits(pa.array(column, pa.large_string()), base) for column in rest.columns
    )


def _is_image_name(cell: str) -> bool:
    return cell.lower().endswith(tuple(IMAGE_SUFFIXES)) and len(cell) < 1024


def _plain(name: str) -> str:
    """Returns a column's name in small letters, without what is not a letter: `Image ID` is `imageid`."""
    return re.sub(r"[\W_]+", "", name.lower())


@dataclasses.dataclass
class _Choice:
    table: Table
    names: Names
    base: str
    options: Options

    def __post_init__(self) -> None:
        self.sample = _Sample(self.table)
        self.plain = [_plain(name.rpartition(".")[2]) for name in self.table.header]
        self.plain += [""] * (len(self.table.columns) - len(self.plain))
        self.hits = [
            self.names.hits(pa.array(values, pa.large_string()), self.base) if any(values) else 0
            for values in self.sample.columns
        ]

    def columns(self) -> Columns:
        file = self._file()
        split, flag = self._split(file)
        group = self._said("group", self.options.group_column)
        if group is None:
            group = next((c for c, name in enumerate(self.plain) if _GROUP.fullmatch(name) and c != file), None)
        notes = self._notes(group, split)
        label = self._said("label", self.options.label_column)
        found = Columns(file, label, split, group, flag=flag, notes=notes, hits=0 if file is None else self.hits[file])
        if file is not None and (others := self._other_files(file)):
            names = tuple(self.table.name(c) for c in (file, *others))
            listed = " and ".join(repr(printable(name)) for name in names[:4])
            words = f"the columns {listed} each name another picture"
            return dataclasses.replace(found, label=None, question=words, file_candidates=names, likely=True)
        if label is not None or file is None:
            return found
        taken = {file, split, group}
        rest = [c for c in range(len(self.table.columns)) if c not in taken and not self._is_index_or_file(c)]
        return self._with_label(found, rest)

    def _said(self, role: Role, said: str) -> int | None:
        """Returns the column that the user, or the format, says has a role."""
        if not said:
            return self.table.roles.get(role)
        width = len(self.table.columns)
        if said in self.table.header:
            return self.table.header.index(said)
        if said in (numbers := [str(number) for number in range(1, width + 1)]):
            return numbers.index(said)
        has = ", ".join(repr(printable(name)) for name in self.table.header) or f"1 to {width}"
        raise UserError(f"--{role}-column {said!r}: {{table}} has the columns {has}")

    def _file(self) -> int | None:
        said = self._said("file", self.options.file_column)
        if said is not None:
            return said
        order = {name: rank for rank, name in enumerate(_FILE)}
        ranks = [(-self.hits[c], order.get(self.plain[c], len(order)), c) for c in range(len(self.plain))]
        best = min(ranks, default=(0, 0, 0))[2]
        if any(self.hits) and (self.plain[best] in order or self.hits[best] * 2 > len(self.sample.given(best))):
            return best
        for column in (c for _, _, c in sorted(ranks)):
            given = self.sample.given(column)
            if given and sum(map(_is_image_name, given)) * 2 > len(given):
                return column
        return None

    def _other_files(self, file: int) -> list[int]:
        """Returns the columns that name other pictures, as a table of pairs has; none where the file's is plain."""
        said = self.options.file_column or "file" in self.table.roles
        if said or self.plain[file] in _FILE or not self.hits[file]:
            return []
        mine = self.sample.columns[file]
        return [
            c
            for c, values in enumerate(self.sample.columns)
            if c != file
            and self.plain[c] not in _FILE
            and self.hits[c] * 2 > len(values)
            and values != mine
            and not all(map(_NUMBER.fullmatch, values))
        ]

    def _split(self, file: int | None) -> tuple[int | None, tuple[str, str] | None]:
        said = self._said("split", self.options.split_column)
        for column in [said] if said is not None else range(len(self.plain)):
            values = {value.lower() for value in self.sample.given(column)}
            if column == file:
                continue
            if self.plain[column] in _FLAGS and values <= TRUE | _FALSE:
                return column, _FLAGS[self.plain[column]]
            if self.plain[column] in _SPLIT and self.plain[column] not in _FOLD and values == set(NUMBERED_SPLITS):
                return column, None
            words = {*SPLIT_NAMES, *UNASSIGNED, *DISCARD}
            named = self.plain[column] in _SPLIT and any(value in SPLIT_NAMES for value in values)
            if said is not None or named or (values & set(SPLIT_NAMES) and values <= words):
                return column, None
        return None, None

    def _notes(self, group: int | None, split: int | None) -> tuple[str, ...]:
        notes = []
        if split is not None and self._are_numbers(split) and self.plain[split] not in _FLAGS:
            numbered = ", ".join(f"{number} {name}" for number, name in NUMBERED_SPLITS.items())
            notes.append(f"the numbers of the column {self.table.name(split)!r} were taken as {numbered}")
        if group is not None:
            notes.append(f"images with the same {self.table.name(group)!r} stay in one split")
        for column, name in enumerate(self.plain):
            if name in _SPLIT and name not in _FOLD and column != split and self._are_numbers(column):
                told = self.table.name(column)
                notes.append(f"the column {told!r} is not used: which split its numbers mean is not known")
            if name in _FOLD and column != group:
                told = self.table.name(column)
                notes.append(f"the column {told!r} is not used; --group-column {told} keeps each fold in one split")
        return tuple(notes)

    def _is_index_or_file(self, column: int) -> bool:
        """Says whether a column counts the rows, names the file once more, or is a fold or a flag."""
        given = self.sample.given(column)
        if not given or self.plain[column] in _FOLD or self.plain[column] in _FLAGS:
            return True
        if self.plain[column] in _SPLIT and self._are_numbers(column):
            return True
        if self.hits[column] * 2 > len(given) or sum(map(_is_image_name, given)) * 2 > len(given):
            return True
        return not self.plain[column] and bool(self.table.header) and all(map(_NUMBER.fullmatch, given))

    def _with_label(self, found: Columns, rest: list[int]) -> Columns:
        named = sorted((c for c in rest if self.plain[c] in _LABEL), key=lambda c: _LABEL.index(self.plain[c]))
        if named:
            return self._by_name(found, named)
        classes = self._one_hot(rest)
        if classes:
            return dataclasses.replace(found, one_hot=tuple(classes))
        likely = self._different([c for c in rest if self._could_be_label(c)])
        if len(likely) == 1:
            return self._unless_caption(found, likely[0])
        return self._question(found, likely, rest)

    def _by_name(self, found: Columns, named: list[int]) -> Columns:
        first = named[0]
        if self.plain[first] not in ("label", "class") or self._are_numbers(first):
            texts = [c for c in named if not self._are_numbers(c)]
            first = texts[0] if texts else first
        others = [c for c in named if c != first and not self._same_classes(first, c)]
        if others and self.plain[first] != "label":
            return self._question(found, [first, *others], named)
        return self._unless_caption(found, first)

    def _unless_caption(self, found: Columns, column: int) -> Columns:
        """A text column in which nearly every value differs is not a label column."""
        values = self.table.columns[column]
        distinct, rows = pc.count_distinct(values, mode="only_valid").as_py(), len(values) - values.null_count
        limit = 0.9 if self.plain[column] in _LABEL else 0.5
        if rows >= _MANY and distinct > limit * rows and not self._are_few_numbers(column):
            name = self.table.name(column)
            words = f"nearly every row has another {name!r}, as captions have, so it may be no label"
            return dataclasses.replace(found, question=words, candidates=(name,), likely=True)
        several = separator([value for value in values.unique().to_pylist() if value], self.plain[column])
        if several:
            name = self.table.name(column)
            words = (
                f"the column {name!r} holds several tags a picture, such as {several[0]!r}, and an image has one label"
            )
            return dataclasses.replace(found, question=words, candidates=(name,), likely=True)
        return dataclasses.replace(found, label=column)

    def _are_few_numbers(self, column: int) -> bool:
        return self.plain[column] in _LABEL and self._are_numbers(column) and len(self.table) < 100

    def _same_classes(self, first: int, second: int) -> bool:
        """Says whether two columns cut the rows into the same classes."""
        columns = [[(value or "").lower() for value in self.sample.columns[c]] for c in (first, second)]
        return len(set(zip(*columns, strict=True))) == len(set(columns[0])) == len(set(columns[1]))

    def _different(self, columns: list[int]) -> list[int]:
        """Returns the columns without those that number the classes which another one names."""
        names = [column for column in columns if not self._are_numbers(column)]
        return [
            column
            for column in columns
            if column in names or not any(self._same_classes(name, column) for name in names)
        ]

    def _are_numbers(self, column: int) -> bool:
        return all(map(_NUMBER.fullmatch, self.sample.given(column)))

    def _one_hot(self, rest: list[int]) -> list[int]:
        """Returns the columns that hold 0 or 1, where of all of them one is 1 in most rows."""
        if not self.table.header:
            return []
        binary = [c for c in rest if {value.lower() for value in self.sample.columns[c]} <= TRUE | _FALSE]
        if len(binary) < 2:
            return []
        ones = [
            sum(value.lower() in TRUE for value in row)
            for row in zip(*(self.sample.columns[c] for c in binary), strict=True)
        ]
        return binary if ones.count(1) * 2 > len(ones) else []

    def _could_be_label(self, column: int) -> bool:
        if _MEASURE.fullmatch(self.plain[column]):
            return False
        given = self.sample.given(column)
        values = set(given)
        if self._are_numbers(column):
            whole = all(float(value.replace(",", ".")).is_integer() for value in values)
            return whole and max(float(v.replace(",", ".")) for v in values) < 2 * len(values) and len(values) > 1
        return len(values) > 1 or len(self.table) < 2

    def _question(self, found: Columns, likely: Sequence[int], rest: Sequence[int]) -> Columns:
        columns = [self.table.name(c) for c in likely or rest]
        if not columns:
            return dataclasses.replace(found, question="no column says a label")
        listed = ", ".join(repr(printable(name)) for name in columns[:12])
        if likely:
            words = f"the columns {listed} could each be the label"
        elif len(columns) == 1:
            words = f"the only other column, {listed}, looks like a measure or a remark and not like a label"
        else:
            words = f"none of the columns {listed} is plainly the label"
        return dataclasses.replace(found, question=words, candidates=tuple(columns), likely=bool(likely))
