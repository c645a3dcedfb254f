"""The manifest layout: the rows of tables, put to the images that they name.

Everything is done one column at a time: a million rows as objects would take a gigabyte.
"""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline.source import SPLIT_NAMES, SPLITS, UNPRINTABLE, Reason, Rejected, Source, counted, printable
from imageshards.pipeline.sources import labels
from imageshards.pipeline.sources.column_names import DISCARD, NUMBERED_SPLITS, TRUE, UNASSIGNED
from imageshards.pipeline.sources.files import Files, Sources
from imageshards.pipeline.sources.listing import Listing
from imageshards.pipeline.sources.names import folder_split
from imageshards.pipeline.sources.table import SEVERAL
from imageshards.pipeline.sources.tables import Named, Tables
from imageshards.pipeline.sources.understood import EXAMPLES, Example, Read

_TEXT = pa.large_string()
_LONG = 1000  # characters: too long for a label


@dataclasses.dataclass
class _Rows:
    """Rows that name a file: columns of equal length."""

    places: np.ndarray  # int64: which file
    labels: pa.Array  # text; null: none
    splits: pa.Array  # text; null: none
    groups: pa.Array
    tables: np.ndarray  # int64: which table
    lines: np.ndarray  # int64

    @classmethod
    def joined(cls, parts: "list[_Rows]") -> "_Rows":
        return cls(
            np.concatenate([part.places for part in parts]),
            pa.concat_arrays([part.labels for part in parts]),
            pa.concat_arrays([part.splits for part in parts]),
            pa.concat_arrays([part.groups for part in parts]),
            np.concatenate([part.tables for part in parts]),
            np.concatenate([part.lines for part in parts]),
        )

    def in_order(self) -> "_Rows":
        """Returns the rows by their files."""
        in_order = np.all(self.places[1:] >= self.places[:-1])
        return self if in_order else self.take(np.argsort(self.places, kind="stable"))

    def where(self, mask: np.ndarray) -> "_Rows":
        """Returns the rows where an array of booleans is true."""
        return self if mask.all() else self.take(np.flatnonzero(mask))

    def take(self, order: np.ndarray) -> "_Rows":
        at = pa.array(order)
        return _Rows(
            self.places[order],
            self.labels.take(at),
            self.splits.take(at),
            self.groups.take(at),
            self.tables[order],
            self.lines[order],
        )


def read(listing: Listing, tables: Tables) -> Read:
    """Returns every image with what its row says, or why it has no label; and the rows that name no image."""
    rejected: list[Rejected] = []
    notes: list[str] = []
    parts = [_rows(number, one, tables, rejected, notes) for number, one in enumerate(tables.labels)]
    rows = _Rows.joined(parts).in_order()
    files = Files.joined([listing.images, listing.others])
    rows, bad = _once(rows, files, tables, rejected)
    rows, more = _usable(rows, files, tables)
    rejected += bad + more
    seen = np.zeros(len(files), bool)
    seen[rows.places] = True
    named = ", ".join(one.name for one in tables.labels[:3]) + (" …" if len(tables.labels) > 3 else "")
    settled = {reject.file for reject in bad + more}
    left = np.flatnonzero(~seen[: len(listing.images)])
    rejected += [
        Rejected(file.key, Reason.NO_ROW, f"{named} has no row for it")
        for file in listing.images.where(_mask(left, len(listing.images)))
        if file.key not in settled
    ]
    return Read(_sources(rows, files), rejected, notes, _examples(rows, files, tables))


def put_splits(read: Read, listing: Listing, tables: Tables) -> Read:
    """Returns the sources with the splits that tables without labels say, such as lists of the files of a split.

    A file of which two splits are said is rejected.
    """
    if not tables.splits:
        return read
    said, rejected = _said_splits(listing, tables)
    sources: list[Source] = []
    for source in read.sources:
        splits = said.get(source.key, set()) | ({source.split} if source.split else set())
        if len(splits) > 1:
            words = f"it is said to be in {' and in '.join(sorted(splits))}"
            rejected.append(Rejected(source.key, Reason.BAD_SPLIT, words))
        else:
            sources.append(dataclasses.replace(source, split=next(iter(splits), None)))
    names = ", ".join(one.name for one in tables.splits[:3])
    note = f"splits come from {names}"
    splits_of = {source.key: source.split for source in sources}
    examples = [
        dataclasses.replace(example, split=splits_of.get(example.file, example.split)) for example in read.examples
    ]
    return Read(Sources.of(sources), read.rejected + rejected, [*read.notes, note], examples)


def _said_splits(listing: Listing, tables: Tables) -> tuple[dict[str, set[str]], list[Rejected]]:
    """Returns the splits that are said of each file, and the rows that name no file or no split."""
    files, said, rejected = Files.joined([listing.images, listing.others]), dict[str, set[str]](), list[Rejected]()
    for one in tables.splits:
        assert one.columns.file is not None
        found = tables.names.find(one.table.columns[one.columns.file], one.base, one.split)
        lines, splits = one.table.lines.to_pylist(), _splits(one).to_pylist()
        for row, (reason, words) in found.failures.items():
            rejected.append(Rejected(f"{one.name}:{lines[row]}", reason, words))
        for row, place in enumerate(found.places.tolist()):
            if place >= 0 and splits[row] in SPLITS:
                said.setdefault(files[place].key, set()).add(splits[row])
    return said, rejected


def _mask(places: np.ndarray, length: int) -> pa.Array:
    mask = np.zeros(length, bool)
    mask[places] = True
    return pa.array(mask)


def _rows(number: int, one: Named, tables: Tables, rejected: list[Rejected], notes: list[str]) -> _Rows:
    """Returns the rows of a table that name a file; those that do not are rejected."""
    table, columns = one.table, one.columns
    assert columns.file is not None
    found = tables.names.find(table.columns[columns.file], one.base, one.split)
    lines = table.lines.to_numpy()
    rejected += [Rejected(f"{one.name}:{line}", Reason.ROW_DAMAGED, printable(why)) for line, why in table.damaged]
    names = table.columns[columns.file]
    for row, (reason, words) in found.failures.items():
        value = (names[row].as_py() or "").strip()
        rejected.append(Rejected(f"{one.name}:{lines[row]}", reason, f"{printable(value)!r} {words}"))
    for way, many in found.ways.most_common():
        verb = "name its file" if many == 1 else "name their files"
        notes.append(f"{counted(many, 'row')} of {one.name} {'names its file' if many == 1 else verb} {way}")
    notes += [f"{one.name} {note}" for note in table.notes] + [f"{one.name}: {note}" for note in columns.notes]
    label, more = _labels(one)
    notes += [f"{one.name}: {note}" for note in more]
    keep = np.flatnonzero(found.places >= 0)
    at = pa.array(keep)
    return _Rows(
        found.places[keep],
        label.take(at),
        _splits(one).take(at),
        _text(one, columns.group).take(at),
        np.full(len(keep), number),
        lines[keep],
    )


def _text(one: Named, column: int | None) -> pa.Array:
    """Returns a column's cells without blanks around them; null where blank."""
    if column is None:
        return pa.nulls(len(one.table), _TEXT)
    text = pc.utf8_trim_whitespace(one.table.columns[column])
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, _TEXT), text)


def _labels(one: Named) -> tuple[pa.Array, list[str]]:
    if one.columns.label is not None:
        return labels.cleaned(one.table.columns[one.columns.label])
    names = [one.table.name(column) for column in one.columns.one_hot]
    ones = np.stack(
        [
            pc.fill_null(pc.is_in(pc.utf8_lower(_text(one, column)), pa.array(sorted(TRUE), _TEXT)), False).to_numpy(
                zero_copy_only=False
            )
            for column in one.columns.one_hot
        ]
    )
    which = np.where(ones.sum(axis=0) == 1, ones.argmax(axis=0), -1)
    several = ones.sum(axis=0) > 1
    which = np.where(several, len(names), which)
    dictionary = pa.array([*names, SEVERAL], _TEXT)
    return dictionary.take(pa.array(which, mask=which < 0)), [f"one column per label: {', '.join(names[:6])}"]


def _splits(one: Named) -> pa.Array:
    """Returns the split that each row says; what is none as it is written."""
    text = _text(one, one.columns.split)
    coded = text.dictionary_encode()
    names: list[str | None] = []
    for value in coded.dictionary.to_pylist():
        low = value.lower()
        if one.columns.held_out:
            names.append("test" if value == one.columns.held_out else "train")
        elif one.columns.flag:
            names.append(one.columns.flag[0 if low in TRUE else 1])
        else:
            names.append(None if low in UNASSIGNED else SPLIT_NAMES.get(low, NUMBERED_SPLITS.get(low, value)))
    text = pa.array(names, _TEXT).take(coded.indices)
    return pc.fill_null(text, one.split) if one.split else text


def _where(rows: _Rows, row: int, tables: Tables) -> str:
    return f"{tables.labels[rows.tables[row]].name}:{rows.lines[row]}"


def _once(rows: _Rows, files: Files, tables: Tables, rejected: list[Rejected]) -> tuple[_Rows, list[Rejected]]:
    """Returns one row per file; rows that say the same again are rejected, and files whose rows differ."""
    again = np.flatnonzero(rows.places[1:] == rows.places[:-1]) + 1
    drop = np.zeros(len(rows.places), bool)
    bad: list[Rejected] = []
    conflicts: set[int] = set()
    for row in again.tolist():
        place, first = int(rows.places[row]), int(np.searchsorted(rows.places, rows.places[row]))
        drop[row] = True
        key = files[place].key
        says = [(rows.labels[at].as_py(), rows.splits[at].as_py()) for at in (first, row)]
        if says[0] == says[1]:
            words = f"{key!r} has the same row in line {rows.lines[first]}"
            rejected.append(Rejected(_where(rows, row, tables), Reason.ROW_DUPLICATE, words))
        elif place not in conflicts:
            conflicts.add(place)
            drop[first] = True
            words = " and ".join(
                f"{_where(rows, at, tables)} says {' in '.join(filter(None, said))!r}"
                for at, said in zip((first, row), says, strict=True)
            )
            bad.append(Rejected(key, Reason.CONFLICTING_ROWS, printable(words)))
    return rows.where(~drop), bad


def _usable(rows: _Rows, files: Files, tables: Tables) -> tuple[_Rows, list[Rejected]]:
    """Returns the rows with a label and a split that are allowed, and why the files of the others are rejected."""
    bad: dict[int, tuple[Reason, str]] = {}
    for row in np.flatnonzero(pc.is_null(rows.labels).to_numpy(zero_copy_only=False)).tolist():
        bad[row] = (Reason.NO_LABEL, "the label is blank")
    odd = {label for label in rows.labels.unique().to_pylist() if label and _is_odd(label)}
    if odd:
        held = pc.is_in(rows.labels, pa.array(sorted(odd), _TEXT)).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(held).tolist():
            label = rows.labels[row].as_py()
            bad[row] = (
                (
                    Reason.SEVERAL_LABELS,
                    "it has several labels" + (f": {printable(label[1:])[:80]}" if label != SEVERAL else ""),
                )
                if label.startswith(SEVERAL)
                else (Reason.BAD_LABEL, f"the label {printable(label[:80])!r} has a control character or no end")
            )
    known = pc.or_(pc.is_null(rows.splits), pc.is_in(rows.splits, pa.array(SPLITS, _TEXT)))
    for row in np.flatnonzero(~known.to_numpy(zero_copy_only=False)).tolist():
        split = rows.splits[row].as_py()
        words = "is left out by the table" if split.lower() in DISCARD else "is not train, validation or test"
        bad.setdefault(row, (Reason.BAD_SPLIT, f"{printable(split)!r} {words}"))
    _check_folders(rows, files, bad)
    rejects = [
        Rejected(files[int(rows.places[row])].key, reason, f"{_where(rows, row, tables)}: {words}")
        for row, (reason, words) in sorted(bad.items())
    ]
    keep = np.ones(len(rows.places), bool)
    keep[list(bad)] = False
    return rows.where(keep), rejects


def _is_odd(label: str) -> bool:
    return len(label) > _LONG or UNPRINTABLE.search(label) is not None


def _check_folders(rows: _Rows, files: Files, bad: dict[int, tuple[Reason, str]]) -> None:
    """Gives files in a split's folder that split; where the row says another, the file is rejected."""
    folders = files.rows["key"].take(pa.array(rows.places))
    coded = pc.replace_substring_regex(folders, r"[^/]*$", "").dictionary_encode()
    splits = [folder_split(folder) for folder in coded.dictionary.to_pylist()]
    if not any(splits):
        return
    given = pa.array(splits, _TEXT).take(coded.indices)
    for row in np.flatnonzero(
        pc.fill_null(pc.not_equal(given, rows.splits), False).to_numpy(zero_copy_only=False)
    ).tolist():
        words = f"the row says {rows.splits[row].as_py()}, and the folder {given[row].as_py()}"
        bad.setdefault(row, (Reason.BAD_SPLIT, words))
    rows.splits = pc.coalesce(rows.splits, given)


def _sources(rows: _Rows, files: Files) -> Sources:
    taken = files.rows.take(pa.array(rows.places))
    columns = {
        "key": taken["key"],
        "path": taken["path"],
        "label": rows.labels,
        "split": rows.splits,
        "group": rows.groups,
        "size": taken["size"],
        "mtime_ns": taken["mtime_ns"],
    }
    arrays = [
        column.dictionary_encode().cast(field.type) if pa.types.is_dictionary(field.type) else column
        for column, field in zip(columns.values(), Sources.schema, strict=True)
    ]
    return Sources(pa.RecordBatch.from_arrays(arrays, schema=Sources.schema))


def _examples(rows: _Rows, files: Files, tables: Tables) -> list[Example]:
    """Returns the first image of each of a few labels."""
    coded = rows.labels.dictionary_encode()
    _, first = np.unique(coded.indices.to_numpy(zero_copy_only=False), return_index=True)
    return [
        Example(
            files[int(rows.places[row])].key,
            rows.labels[row].as_py(),
            rows.splits[row].as_py(),
            _where(rows, row, tables),
        )
        for row in map(int, first[:EXAMPLES])
    ]
