"""Which column of a table says the file, the label, the split and the group: as told, by name, or by its values."""

import dataclasses
import itertools
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline.options import Options
from imageshards.pipeline.source import SPLIT_NAMES, UserError, printable
from imageshards.pipeline.sources.column_names import (
    DISCARD,
    FALSE,
    FILE,
    FLAGS,
    FOLD,
    GROUP,
    LABEL,
    MEASURE,
    NUMBER,
    NUMBERED_SPLITS,
    SPLIT,
    TRUE,
    UNASSIGNED,
)
from imageshards.pipeline.sources.labels import separator
from imageshards.pipeline.sources.listing import IMAGE_SUFFIXES
from imageshards.pipeline.sources.matching import Names
from imageshards.pipeline.sources.table import Role, Table

_SAMPLE = 400  # rows, spread over the table, that decide
_FEW = 3  # rows in which each may have a label of its own
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

    held_out: str = ""
    """The value of the split column that means test, where all others mean train."""

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
    if said & set(first) or plain & {*FILE, *LABEL}:
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
            group = next((c for c, name in enumerate(self.plain) if GROUP.fullmatch(name) and c != file), None)
        notes = self._notes(group, split)
        label = self._said("label", self.options.label_column)
        _, held_out = self.options.held_out() or ("", "")
        hits = 0 if file is None else self.hits[file]
        found = Columns(file, label, split, group, flag=flag, held_out=held_out, notes=notes, hits=hits)
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
        return self._named(f"--{role}-column", said) if said else self.table.roles.get(role)

    def _named(self, option: str, said: str) -> int:
        """Returns the column that an option names."""
        width = len(self.table.columns)
        if said in self.table.header:
            return self.table.header.index(said)
        if said in (numbers := [str(number) for number in range(1, width + 1)]):
            return numbers.index(said)
        has = ", ".join(repr(printable(name)) for name in self.table.header) or f"1 to {width}"
        raise UserError(f"{option} {said!r}: {{table}} has the columns {has}")

    def _file(self) -> int | None:
        said = self._said("file", self.options.file_column)
        if said is not None:
            return said
        order = {name: rank for rank, name in enumerate(FILE)}
        ranks = [
            (-self.hits[c], self._are_numbers(c), order.get(self.plain[c], len(order)), c)
            for c in range(len(self.plain))
        ]
        best = min(ranks, default=(0, 0, 0, 0))[3]
        if any(self.hits) and (self.plain[best] in order or self.hits[best] * 2 > len(self.sample.given(best))):
            return best
        for column in (rank[-1] for rank in sorted(ranks)):
            given = self.sample.given(column)
            if given and sum(map(_is_image_name, given)) * 2 > len(given):
                return column
        return None

    def _other_files(self, file: int) -> list[int]:
        """Returns the columns that name other pictures, as a table of pairs has; none where the file's is plain."""
        said = self.options.file_column or "file" in self.table.roles
        if said or self.plain[file] in FILE or not self.hits[file]:
            return []
        mine = self.sample.columns[file]
        return [
            c
            for c, values in enumerate(self.sample.columns)
            if c != file
            and self.plain[c] not in FILE
            and self.hits[c] * 2 > len(values)
            and values != mine
            and not all(map(NUMBER.fullmatch, values))
        ]

    def _split(self, file: int | None) -> tuple[int | None, tuple[str, str] | None]:
        held_out = self.options.held_out()
        if held_out:
            return self._named("--test-from", held_out[0]), None
        said = self._said("split", self.options.split_column)
        for column in [said] if said is not None else range(len(self.plain)):
            values = {value.lower() for value in self.sample.given(column)}
            if column == file:
                continue
            if self.plain[column] in FLAGS and values <= TRUE | FALSE:
                return column, FLAGS[self.plain[column]]
            if self.plain[column] in SPLIT and self.plain[column] not in FOLD and values == set(NUMBERED_SPLITS):
                return column, None
            words = {*SPLIT_NAMES, *UNASSIGNED, *DISCARD}
            named = self.plain[column] in SPLIT and any(value in SPLIT_NAMES for value in values)
            if said is not None or named or (values & set(SPLIT_NAMES) and values <= words):
                return column, None
        return None, None

    def _notes(self, group: int | None, split: int | None) -> tuple[str, ...]:
        notes = []
        if (held_out := self.options.held_out()) and split is not None:
            notes.append(
                f"images with {held_out[1]!r} in the column {self.table.name(split)!r} are test, and all others train"
            )
        elif split is not None and self._are_numbers(split) and self.plain[split] not in FLAGS:
            numbered = ", ".join(f"{number} {name}" for number, name in NUMBERED_SPLITS.items())
            notes.append(f"the numbers of the column {self.table.name(split)!r} were taken as {numbered}")
        if group is not None:
            notes.append(f"images with the same {self.table.name(group)!r} stay in one split")
        for column, name in enumerate(self.plain):
            if name in SPLIT and name not in FOLD and column != split and self._are_numbers(column):
                told = self.table.name(column)
                notes.append(f"the column {told!r} is not used: which split its numbers mean is not known")
            if name in FOLD and column not in (group, split):
                told, first = self.table.name(column), min(self.sample.given(column), default="0")
                words = f"the column {told!r} is not used; --group-column {told} keeps each fold in one split"
                if not self.names.have_split_folders():
                    words += f", and --test-from {told}:{first} makes one fold the test split"
                notes.append(words)
        return tuple(notes)

    def _is_index_or_file(self, column: int) -> bool:
        """Says whether a column counts the rows, names the file once more, or is a fold or a flag."""
        given = self.sample.given(column)
        if not given or self.plain[column] in FOLD or self.plain[column] in FLAGS:
            return True
        if self.plain[column] in SPLIT and self._are_numbers(column):
            return True
        if self._are_numbers(column) and self._differ(given) < 1:
            return False  # classes by number, though pictures may be called by number, too
        if self.hits[column] * 2 > len(given) or sum(map(_is_image_name, given)) * 2 > len(given):
            return True
        return not self.plain[column] and bool(self.table.header) and all(map(NUMBER.fullmatch, given))

    @staticmethod
    def _differ(given: Sequence[str]) -> float:
        """Returns how many of some values differ, from 0 to 1."""
        return len(set(given)) / max(1, len(given))

    def _with_label(self, found: Columns, rest: list[int]) -> Columns:
        named = sorted((c for c in rest if self.plain[c] in LABEL), key=lambda c: LABEL.index(self.plain[c]))
        if named:
            return self._by_name(found, named)
        classes, besides = self._one_hot(rest)
        if classes:
            notes = [
                f"the column {self.table.name(c)!r} is not a class: where it is 1, another one is too" for c in besides
            ]
            return dataclasses.replace(found, one_hot=tuple(classes), notes=(*found.notes, *notes))
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
        limit = 0.9 if self.plain[column] in LABEL else 0.5
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
        return self.plain[column] in LABEL and self._are_numbers(column) and len(self.table) < 100

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
        return all(map(NUMBER.fullmatch, self.sample.given(column)))

    def _one_hot(self, rest: list[int]) -> tuple[list[int], list[int]]:
        """Returns the columns that hold 0 or 1, where of all of them one is 1 in most rows.

        And those beside them that hold 0 or 1 for something else, such as a person's sex.
        """
        binary = [c for c in rest if {value.lower() for value in self.sample.columns[c]} <= TRUE | FALSE]
        if len(binary) < 2 or not self.table.header:
            return [], []
        ones = np.array([[value.lower() in TRUE for value in self.sample.columns[c]] for c in binary])
        alone = [bool(row.any()) for row in ones[:, ones.sum(axis=0) == 1]]
        if sum(alone) > 1 and not all(alone) and (ones[alone].sum(axis=0) == 1).all():
            return list(itertools.compress(binary, alone)), [
                column for column, is_class, row in zip(binary, alone, ones, strict=True) if row.any() and not is_class
            ]
        return (binary if (ones.sum(axis=0) == 1).sum() * 2 > ones.shape[1] else []), []

    def _could_be_label(self, column: int) -> bool:
        if MEASURE.fullmatch(self.plain[column]):
            return False
        given = self.sample.given(column)
        values = set(given)
        if self._are_numbers(column):
            whole = all(float(value.replace(",", ".")).is_integer() for value in values)
            if len(given) > _FEW and len(values) == len(given):
                return False  # it numbers the rows
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
