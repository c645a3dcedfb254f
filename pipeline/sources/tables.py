"""The tables in SRC: all of them are looked at, and each is used, asked about, or named as not used.

labels.csv   train_labels.csv val_labels.csv   annotations/labels.json   train/metadata.csv test/metadata.csv
"""

import dataclasses
import posixpath
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline import storage
from imageshards.pipeline.options import Options
from imageshards.pipeline.source import UserError, printable
from imageshards.pipeline.sources.column_names import NUMBERED_SPLITS
from imageshards.pipeline.sources.columns import Columns, choose
from imageshards.pipeline.sources.corrections import NAME as CORRECTIONS
from imageshards.pipeline.sources.label_names import NAMES_FILE
from imageshards.pipeline.sources.listing import Listing
from imageshards.pipeline.sources.matching import Names
from imageshards.pipeline.sources.names import folder_split, split_in_name, split_named, split_of_table
from imageshards.pipeline.sources.numbered import numbers_of, with_files
from imageshards.pipeline.sources.readers import REFUSED, SUFFIXES, read_table
from imageshards.pipeline.sources.table import NotReadableError, Table

_PROSE = re.compile(r"(readme|licen[cs]e|credits|changelog|requirements|citation|about|authors|notice|copying).*", re.I)
_SUBMISSION = re.compile(r"sample.?submission|submission", re.I)
_SPLITS = re.compile(r"split|partition", re.I)
_TELLING = re.compile(r"label|annot|metadata|class|ground|truth|train|test|valid|manifest|split|index|list", re.I)
_TABULAR = (".csv", ".tsv", ".tab", ".lst", ".jsonl", ".ndjson", ".parquet")
_CODE = re.compile(r"[0-9]+|n[0-9]{8}", re.ASCII)
_MOST_LABELS = 200_000
_RIGHT_COLUMN = "name the right one with --label-column"


@dataclasses.dataclass(frozen=True)
class Named:
    """A table that names images of SRC."""

    name: str  # as the user calls it: below SRC, or as given
    base: str  # the folder below SRC that its paths may start from
    split: str | None  # what its place or its name says of all its rows
    table: Table
    columns: Columns

    @property
    def key(self) -> str:
        """Returns its path below SRC."""
        return posixpath.join(self.base, posixpath.basename(self.name))

    def holds(self, split: str) -> bool:
        """Says whether a row has this in the column of the splits."""
        column = self.columns.split
        return column is not None and bool(pc.any(pc.equal(self.table.columns[column], split)).as_py())

    @property
    def gives_labels(self) -> bool:
        """Says whether labels can be read from it."""
        return self.columns.labels

    @property
    def gives_splits(self) -> bool:
        """Says whether it has splits and no labels: a list of the files of a split, or of files with their split."""
        listed = self.split is not None and len(self.table.columns) == 1
        return not self.gives_labels and not self.columns.likely and (listed or self.columns.split is not None)


@dataclasses.dataclass
class Tables:
    """What lies in SRC besides pictures, or was named."""

    labels: list[Named]
    splits: list[Named]
    unclear: list[Named]
    unreadable: list[tuple[str, str]]  # name, why
    strangers: list[str]  # tables that name no picture of SRC
    sidecars: list[str]  # files about one picture each
    notes: list[str]
    names: Names
    used: set[str] = dataclasses.field(default_factory=set)  # files about labels

    def read(self) -> list[str]:
        """Returns the files below SRC of which something is used."""
        return [*(one.key for one in (*self.labels, *self.splits)), *self.used]

    def found_use(self, file: str) -> None:
        """Notes that a file is used, though it names no picture."""
        self.used.add(file)
        self.strangers = [name for name in self.strangers if name != file]

    def passed_over(self) -> list[str]:
        """Returns, in words, what was not used though it may have been meant."""
        unclear: dict[str, list[str]] = {}
        for one in self.unclear:
            unclear.setdefault(one.columns.question, []).append(one.name)
        return [
            *(f"{_tables(names)} images, but {question}" for question, names in unclear.items()),
            *(f"{name}: {why}" for name, why in self.unreadable),
            *([f"{_tables(self.strangers)} no picture in SRC"] if self.strangers else []),
            *([f"{_such(self.sidecars)} about a picture of the same name"] if self.sidecars else []),
        ]


def find(listing: Listing, options: Options) -> Tables:
    """Returns the tables that `options` names, or else all that lie in SRC.

    Raises:
      UserError: a named one is missing, or says no labels.
    """
    names = Names(listing)
    found = Tables([], [], [], [], [], [], [], names)
    if options.manifest:
        for told in options.manifest:
            _sort_in(_told(told, listing, options, names), found)
        if not found.labels:
            raise UserError(no_label([*found.unclear, *found.splits][0], options))
        return found
    candidates, found.sidecars = _candidates(listing)
    opened: list[Named] = []
    refused: list[UserError] = []
    for path, name in candidates:
        try:
            one = _open(path, name, posixpath.dirname(name), names, options)
        except UserError as error:
            refused.append(error)
            continue
        except NotReadableError as error:
            if _TELLING.search(posixpath.basename(name)) or name.lower().endswith((*REFUSED, *_TABULAR)):
                found.unreadable.append((name, str(error)))
            else:
                found.notes.append(f"{name} is not used: {error}")
            continue
        if one is not None:
            opened.append(one)
    for one in _with_splits_in_names(_by_number(opened, names, options)):
        _sort_in(one, found)
    if refused and not found.labels:
        raise refused[0]
    _drop_submissions(found)
    _drop_strangers(found)
    _drop_names(found)
    return found


def _sort_in(one: Named, found: Tables) -> None:
    if one.columns.file is None:
        if len(one.table.columns) > 1 and not _names_labels(one.table):
            found.strangers.append(one.name)
        return
    kind = found.labels if one.gives_labels else found.splits if one.gives_splits else found.unclear
    kind.append(one)


def _names_labels(table: Table) -> bool:
    """Says whether a table gives numbers, or WordNet's codes, a name each, as in {"0": "cat"} or {"cat": 0}."""
    if len(table.columns) != 2 or len(table) > _MOST_LABELS:
        return False
    different = all(len(set(column.to_pylist())) == len(table) for column in table.columns)
    return different and any(
        all(text is None or _CODE.fullmatch(text.strip()) for text in column.to_pylist()) for column in table.columns
    )


def _with_splits_in_names(opened: list[Named]) -> list[Named]:
    """Returns tables with the splits that their names end in, where these are called alike: birds_train, birds_val."""
    said = [split_in_name(posixpath.splitext(one.name)[0]) if one.split is None else None for one in opened]
    splits: dict[str, set[str]] = {}
    for before, split in filter(None, said):
        splits.setdefault(before, set()).add(split)
    return [
        dataclasses.replace(one, split=name[1]) if name and len(splits[name[0]]) > 1 else one
        for one, name in zip(opened, said, strict=True)
    ]


def _by_number(opened: list[Named], names: Names, options: Options) -> list[Named]:
    """Returns the tables; those that call images by number with the files that another table gives these."""
    keys = [one for one in opened if one.columns.hits and _numbers(one) is not None]
    if len(keys) != 1:
        return opened
    (key,) = keys
    assert key.columns.file is not None
    files = key.table.columns[key.columns.file]
    found = []
    for one in opened:
        other = one is not key and not one.columns.hits and not NAMES_FILE.fullmatch(posixpath.basename(one.name))
        table = with_files(one.table, _numbers(key), files) if other else None
        found.append(one if table is None else _named(one.name, key.base, *choose(table, names, key.base, options)))
    return [one for one in found if one is not key] if any(one not in opened for one in found) else opened


def _numbers(one: Named) -> pa.Array | None:
    return None if one.columns.file is None else numbers_of(one.table, one.columns.file)


def _tables(names: list[str]) -> str:
    return f"{names[0]} names" if len(names) == 1 else f"{len(names):,} tables such as {names[0]} name"


def _such(names: list[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{len(names):,} files such as {names[0]} are each"


def _candidates(listing: Listing) -> tuple[list[tuple[Path, str]], list[str]]:
    """Returns the files that may be tables, and the names of those about a single picture, which have its name."""
    sidecars: list[str] = []
    others = [file for file in listing.others if file.suffix in SUFFIXES or file.key.lower().endswith(REFUSED)]
    if len(others) > 1:
        stems = pc.replace_substring_regex(listing.images.rows["key"], r"^(?:.*/)?([^/]+?)(?:\.[^./]*)?$", r"\1")
        mine = pa.array([posixpath.splitext(posixpath.basename(file.key))[0] for file in others], pa.large_string())
        alone = pc.is_in(mine, stems).to_pylist()
        sidecars = [file.key for file, is_of_one in zip(others, alone, strict=True) if is_of_one]
        others = [file for file, is_of_one in zip(others, alone, strict=True) if not is_of_one]
    names = [(file, posixpath.basename(file.key)) for file in others]
    tables = [file for file, name in names if not _PROSE.fullmatch(name) and name != CORRECTIONS]
    return [(listing.root / file.path, file.key) for file in tables], sidecars


def _told(told: str, listing: Listing, options: Options, names: Names) -> Named:
    path = storage.place(told)
    if not storage.exists(path) or path.is_dir():
        path = listing.root / told
    if not storage.exists(path) or path.is_dir():
        raise UserError(f"--manifest {told}: no such file, neither here nor in {options.src}")
    folder = storage.real(path).parent
    base = folder.relative_to(listing.root).as_posix() if folder.is_relative_to(listing.root) else ""
    try:
        one = _open(path, path.name, "" if base == "." else base, names, options)
    except NotReadableError as error:
        raise UserError(f"{path.name}: {error}") from error
    if one is None:
        raise UserError(f"{path.name}: it is not a table: give a file with a picture and its label in each row")
    if one.columns.file is None:
        raise UserError(
            f"{path.name}: no column names a picture in {options.src}; name it with --file-column{_of(one)}"
        )
    return one


def _of(one: Named) -> str:
    listed = ", ".join(repr(printable(name)) for name in one.table.header[:12])
    return f" (it has {listed})" if listed else ""


def _open(path: Path, name: str, base: str, names: Names, options: Options) -> Named | None:
    """Returns a table if it names images, or was told; None where it is about something else."""
    table = read_table(path, options.manifest_encoding)
    if table is None:
        return None
    if not len(table):
        if options.manifest or _TELLING.search(posixpath.basename(name)):
            raise NotReadableError("the manifest is empty")
        return None
    try:
        table, columns = choose(table, names, base, options)
    except UserError as error:
        raise UserError(str(error).replace("{table}", name)) from error
    return _named(name, base, table, columns)


def _named(name: str, base: str, table: Table, columns: Columns) -> Named:
    """Returns a table; what its name says of splits is more than what its columns do."""
    stem = posixpath.splitext(posixpath.basename(name))[0]
    if _SPLITS.search(stem) and not table.header and columns.label is not None and len(table.columns) == 2:
        values = set(table.columns[columns.label].unique().to_pylist())
        if values == set(NUMBERED_SPLITS):
            columns = dataclasses.replace(columns, label=None, split=columns.label)
        elif values == {"0", "1"} and split_named(stem.partition("_")[0]) == "train":  # train_test_split.txt
            columns = dataclasses.replace(columns, label=None, split=columns.label, flag=("train", "test"))
    return Named(name, base, _split_by_place(name), table, columns)


def _split_by_place(name: str) -> str | None:
    folder, file = posixpath.split(name)
    stem = posixpath.splitext(file)[0]
    top = folder.partition("/")[0]
    return folder_split(name) or (split_named(top) if top else None) or split_of_table(stem)


def _drop_submissions(found: Tables) -> None:
    """A contest's sample submission is not a table of labels where there is another."""
    samples = [one for one in found.labels if _SUBMISSION.search(posixpath.basename(one.name))]
    if len(samples) < len(found.labels):
        found.labels = [one for one in found.labels if one not in samples]
        found.notes += [f"{one.name} is not used: it is named like a sample submission" for one in samples]


def _drop_strangers(found: Tables) -> None:
    """A table of which no row names an image of SRC is not a table of labels where there is another."""
    strangers = [one for one in found.labels if not one.columns.hits and not _names_any(one, found.names)]
    if len(strangers) < len(found.labels):
        found.labels = [one for one in found.labels if one not in strangers]
        found.strangers += [one.name for one in strangers]


def _drop_names(found: Tables) -> None:
    """A table that names each number once says how labels are called, where there is another that says labels."""
    names = [one for one in found.labels if _names_labels(one.table)]
    if len(names) < len(found.labels):
        found.labels = [one for one in found.labels if one not in names]


def _names_any(one: Named, names: Names) -> bool:
    assert one.columns.file is not None
    return names.hits(one.table.columns[one.columns.file], one.base) > 0


def no_label(one: Named, options: Options) -> str:
    """Returns the words about a table that names images and whose labels are not plain."""
    words = f"{options.src}: {one.name} names images, but {one.columns.question}"
    if one.columns.file_candidates:
        first = _word(one.columns.file_candidates[0])
        return f"{words}; say which with --file-column, such as --manifest {_word(one.name)} --file-column {first}"
    if not one.columns.candidates:
        return f"{words}; give a table that does, or say --layout folders or --layout filenames to leave it aside"
    column = _word(one.columns.candidates[0])
    told = f"--manifest {_word(one.name)} --label-column {column}"
    return f"{words}; {_RIGHT_COLUMN}, such as {told}; --layout folders or --layout filenames leaves the table aside"


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w./-]+", text) else repr(text)
