"""The manifest layout: a CSV, TSV, JSON or JSONL table that maps files to labels, and to splits and groups if it likes.

    file,label                      image_id,breed                  {"file_name": "0.png", "label": "cat"}
    images/0a1b.jpg,dog             000bec180eb18c7604,beagle       {"file_name": "1.png", "label": "dog"}

    TRAIN,gs://bucket/0a1b.jpg,dog  (Vertex AI: no header, the split first)

A table is found where it lies in SRC, or is Hugging Face's metadata.csv or metadata.jsonl in a folder below, and some
of its first rows name images there. Its columns go by common names, or by what their values are. A row names its file

    by the path from SRC or from the manifest's folder, with or without the extension;
    else by the end of a path, where a single file fits: 0a1b for train/0a1b.jpg, /home/ann/pets/1.jpg for pets/1.jpg.
"""

import collections
import csv
import dataclasses
import functools
import io
import itertools
import json
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from imageshards.pipeline import storage
from imageshards.pipeline.options import Options
from imageshards.pipeline.source import (
    SPLIT_NAMES,
    Reason,
    Rejected,
    Source,
    UserError,
    labelled,
    printable,
)
from imageshards.pipeline.sources.listing import Listing

# In the order of preference.
_FILE_NAMES = [
    *("file_name", "filename", "file", "filepath", "file_path", "path", "image_path", "image_file"),
    *("image", "img", "image_name", "image_id", "img_id", "gcs_path", "image_gcs_uri", "uri", "url", "name", "id"),
]
_LABEL_NAMES = [
    *("label", "labels", "label_name", "class", "class_name", "classname", "category", "target", "breed", "species"),
]
_SPLIT_COLUMN_NAMES = ["split", "set", "subset", "ml_use", "partition"]
_GROUP_NAMES = ["group", "group_id"]
_UNASSIGNED = ("", "unassigned")
_TABLE_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")
_HUGGING_FACE = ("metadata.csv", "metadata.jsonl")
_BUCKET = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/]*/")
_PEEK = 100  # rows that decide what a table's columns are

Row = tuple[int, Sequence[str]]  # the line number and the cells


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A table in `path`: `base` is its folder below SRC, `split` what its place says of all its rows."""

    path: Path
    name: str
    base: str
    split: str | None


@dataclasses.dataclass(frozen=True)
class _Columns:
    file: int
    label: int
    split: int | None
    group: int | None


def find_manifests(listing: Listing, options: Options) -> list[Manifest]:
    """Returns the manifests that `options` names, or that lie in SRC.

    Raises:
      UserError: the named one is missing, or several tables in SRC could each be the one.
    """
    if options.manifest:
        return [_named_manifest(listing, options)]
    candidates = []
    for file in listing.others:
        base, name = posixpath.split(file.key)
        if file.suffix in _TABLE_SUFFIXES and (not base or name in _HUGGING_FACE):
            place = base.partition("/")[0] if base else Path(name).stem
            split = SPLIT_NAMES.get(place.lower())
            candidates.append(Manifest(listing.root / file.path, file.key, base, split))
    found = [manifest for manifest in candidates if _names_images(manifest, listing, options)]
    if len(found) > 1 and not all(manifest.split for manifest in found):
        names = " and ".join(manifest.name for manifest in found[:3])
        raise UserError(f"{options.src}: {names} each name images; say which with --manifest")
    return found


def read_manifests(listing: Listing, options: Options) -> Iterator[Source | Rejected | str]:
    """Yields each image in SRC, with the label of its row or why it has none; rows that name no image; and notes."""
    manifests = find_manifests(listing, options)
    if not manifests:
        raise UserError(f"{options.src}: no manifest in this folder names its images; give one with --manifest")
    images = _Images(listing)
    rows: dict[str, _Labelled] = {}
    for manifest in manifests:
        yield from _read_rows(manifest, images, rows, options)
    if images.by_end:
        yield f"{images.by_end} rows name their file by another folder or none; it was found by the end of its path"
    names = ", ".join(manifest.name for manifest in manifests)
    for file in itertools.chain(listing.images, listing.others):
        row = rows.get(file.key)
        if row is None and file.key not in images.other_keys:
            yield Rejected(file.key, Reason.NO_ROW, f"{names} has no row for it")
        elif row is not None:
            yield row.reject or labelled(file, row.label, row.split, row.group)


@dataclasses.dataclass(slots=True)
class _Labelled:
    """What the rows read so far say of one file."""

    line: int
    label: str
    split: str | None
    group: str | None
    reject: Rejected | None


def _read_rows(
    manifest: Manifest, images: "_Images", rows: dict[str, _Labelled], options: Options
) -> Iterator[Rejected]:
    """Fills `rows`, by key; yields the rows that name no file, or name one again."""
    counted = images.by_end
    columns, table = _open(manifest, images, options)
    images.by_end = counted  # the first rows, which decided what the columns are, come again
    for line, cells in table:
        where = f"{manifest.name}:{line}"
        value = _cell(cells, columns.file)
        key, reason, detail = images.find(value, manifest.base)
        if key is None:
            yield Rejected(where, reason, f"{printable(value)!r} {detail}")
            continue
        label, group = _cell(cells, columns.label), _cell(cells, columns.group) or None
        split, bad_split = _split(_cell(cells, columns.split), manifest.split)
        reject = None
        if not label:
            reject = Rejected(key, Reason.NO_LABEL, f"{where}: the label is blank")
        elif bad_split:
            reject = Rejected(
                key, Reason.BAD_SPLIT, f"{where}: {printable(bad_split)!r} is no train, validation or test"
            )
        row = _Labelled(line, label, split, group, reject)
        before = rows.setdefault(key, row)
        if before is row:
            continue
        if (before.label, before.split) == (label, split):
            yield Rejected(where, Reason.ROW_DUPLICATE, f"{key!r} has the same row in line {before.line}")
        else:
            words = f"line {before.line} says {before.label!r}, line {line} says {label!r}"
            before.reject = Rejected(key, Reason.CONFLICTING_ROWS, f"{manifest.name}: {printable(words)}")


def _split(value: str, default: str | None) -> tuple[str | None, str]:
    """Returns the split that a cell names, and the cell itself where it names none."""
    if value.lower() in _UNASSIGNED:
        return default, ""
    split = SPLIT_NAMES.get(value.lower())
    return split, "" if split else value


def _cell(cells: Sequence[str], column: int | None) -> str:
    return cells[column].strip() if column is not None and column < len(cells) else ""


class _Images:
    """Finds the file that a manifest's value means."""

    def __init__(self, listing: Listing) -> None:
        self._root = listing.root.as_posix()
        self.other_keys = {file.key for file in listing.others}
        self._keys = {file.key for file in listing.images} | self.other_keys
        self._images = listing.images
        self.by_end = 0  # how many values were found by the end of a path alone

    def find(self, value: str, base: str) -> tuple[str | None, Reason, str]:
        """Returns the key that `value` names; or None, and the reason and its words."""
        if not value:
            return None, Reason.ROW_NO_FILE, "is no file: the cell is blank"
        path = value.replace("\\", "/")
        path = path if path.isascii() else unicodedata.normalize("NFC", path)
        if path.startswith(self._root + "/"):
            path = path[len(self._root) + 1 :]
        if not _is_foreign(path):
            relative = [posixpath.normpath(posixpath.join(base, path)), posixpath.normpath(path)]
            if all(candidate.startswith("../") for candidate in relative):
                return None, Reason.ROW_OUTSIDE, "lies outside SRC"
            for candidate in relative:
                if candidate in self._keys:
                    return candidate, Reason.ROW_NO_FILE, ""
        found = self._by_end([part for part in _BUCKET.sub("", path).split("/") if part not in ("", ".")])
        self.by_end += found[0] is not None
        return found

    def _by_end(self, parts: list[str]) -> tuple[str | None, Reason, str]:
        """Finds the file whose path shares the most trailing names with `parts`, the extension optional."""
        if not parts or ".." in parts:
            return None, Reason.ROW_OUTSIDE, "lies outside SRC"
        candidates = self._by_name.get(parts[-1], ())
        fits: list[str] = []
        longest = 0
        for key in candidates:
            folders = key.split("/")[:-1]
            pairs = zip(reversed(folders), reversed(parts[:-1]), strict=False)
            shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
            if shared < min(len(folders), len(parts) - 1):
                continue  # cats/1.jpg is not dogs/1.jpg
            if shared > longest:
                fits, longest = [], shared
            if shared == longest:
                fits.append(key)
        if len(fits) == 1:
            return fits[0], Reason.ROW_NO_FILE, ""
        if fits:
            return None, Reason.ROW_AMBIGUOUS, f"fits {len(fits)} files, such as {fits[0]!r} and {fits[1]!r}"
        return None, Reason.ROW_NO_FILE, "is not in SRC"

    @functools.cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """The keys of images by their file name, with and without extension."""
        names: dict[str, list[str]] = collections.defaultdict(list)
        for file in self._images:
            name = posixpath.basename(file.key)
            names[name].append(file.key)
            names[posixpath.splitext(name)[0]].append(file.key)
        return names


def _is_foreign(path: str) -> bool:
    """Says whether a path starts somewhere else: at a root, a drive, or a bucket."""
    return path.startswith("/") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path) is not None


def _named_manifest(listing: Listing, options: Options) -> Manifest:
    path = storage.place(options.manifest)
    if not storage.exists(path) or path.is_dir():
        path = listing.root / options.manifest
    if not storage.exists(path) or path.is_dir():
        raise UserError(f"--manifest {options.manifest}: no such file, neither here nor in {options.src}")
    if path.suffix.lower() not in (*_TABLE_SUFFIXES, ".txt"):
        raise UserError(f"--manifest {options.manifest}: give a file that ends in one of {', '.join(_TABLE_SUFFIXES)}")
    folder = path.parent if storage.is_bucket(path) else path.resolve().parent
    base = folder.relative_to(listing.root).as_posix() if folder.is_relative_to(listing.root) else ""
    return Manifest(path, path.name, "" if base == "." else base, None)


def _names_images(manifest: Manifest, listing: Listing, options: Options) -> bool:
    """Says whether the table can be read and one of its first rows names an image with a label."""
    images = _Images(listing)
    try:
        columns, rows = _open(manifest, images, options)
        return any(
            images.find(_cell(cells, columns.file), manifest.base)[0] for _, cells in itertools.islice(rows, _PEEK)
        )
    except UserError:
        return False


def _open(manifest: Manifest, images: _Images, options: Options) -> tuple[_Columns, Iterator[Row]]:
    """Returns which columns say what, and the rows below the header."""
    suffix = manifest.path.suffix.lower()
    reader = {".json": _json_rows, ".jsonl": _json_lines, ".ndjson": _json_lines}.get(suffix, _csv_rows)
    rows = _with_errors(manifest, reader(manifest.path, options.manifest_encoding))
    peek = list(itertools.islice(rows, _PEEK))
    if not peek:
        raise UserError(f"{manifest.name}: the manifest is empty")
    header = [cell.strip() for cell in peek[0][1]]
    names_file = [any(images.find(cell.strip(), manifest.base)[0] for cell in cells) for _, cells in peek]
    given = {options.file_column, options.label_column, options.split_column, options.group_column} - {""}
    known = {name.lower() for name in header} & {*_FILE_NAMES, *_LABEL_NAMES}
    has_header = not names_file[0] and bool(known or given & set(header) or any(names_file))
    body = peek[1:] if has_header else peek
    columns = _columns(manifest, header if has_header else [], body, images, options)
    return columns, itertools.chain(body, rows)


def _columns(manifest: Manifest, header: list[str], body: list[Row], images: _Images, options: Options) -> _Columns:
    """Finds each column by what the user said, else by its name, else by what its values are."""
    width = max((len(cells) for _, cells in body), default=len(header))
    lower = [name.lower() for name in header]

    def said_or_named(flag: str, said: str, names: Sequence[str]) -> int | None:
        if said:
            return _said_column(manifest, flag, said, header, width)
        return next((lower.index(name) for name in names if name in lower), None)

    def values(column: int) -> list[str]:
        return [_cell(cells, column) for _, cells in body]

    file = said_or_named("--file-column", options.file_column, _FILE_NAMES)
    if file is None:
        hits = [sum(images.find(value, manifest.base)[0] is not None for value in values(c)) for c in range(width)]
        file = hits.index(max(hits)) if any(hits) else None
    split = said_or_named("--split-column", options.split_column, _SPLIT_COLUMN_NAMES)
    if split is None and not header:
        split = next((c for c in range(width) if c != file and _are_splits(values(c))), None)
    group = said_or_named("--group-column", options.group_column, _GROUP_NAMES)
    label = said_or_named("--label-column", options.label_column, _LABEL_NAMES)
    rest = [c for c in range(width) if c not in (file, split, group)]
    if label is None and len(rest) == 1:
        label = rest[0]
    if file is None or label is None:
        which = "file" if file is None else "label"
        columns = ", ".join(repr(printable(name)) for name in header[:12]) or f"{width} columns without names"
        raise UserError(f"{manifest.name}: no {which} column among {columns}; name it with --{which}-column")
    return _Columns(file, label, split, group)


def _said_column(manifest: Manifest, flag: str, said: str, header: list[str], width: int) -> int:
    if said in header:
        return header.index(said)
    if said.isdigit() and 1 <= int(said) <= width:
        return int(said) - 1
    raise UserError(
        f"{flag} {said!r}: {manifest.name} has the columns {', '.join(map(repr, header)) or f'1 to {width}'}"
    )


def _are_splits(values: Iterable[str]) -> bool:
    named = {value.lower() for value in values} - set(_UNASSIGNED)
    return bool(named) and named <= SPLIT_NAMES.keys()


def _csv_rows(path: Path, encoding: str) -> Iterator[Row]:
    with _text(path, encoding) as file:
        first = file.readline(1 << 16)
        delimiter = max("\t,;|", key=first.count) if any(map(first.count, "\t,;|")) else ","
        reader = csv.reader(itertools.chain([first], file), delimiter=delimiter, strict=True)
        for cells in reader:
            if any(cells):
                yield reader.line_num, cells


def _json_lines(path: Path, encoding: str) -> Iterator[Row]:
    with _text(path, encoding) as file:
        yield from _rows_of_objects((number, json.loads(line)) for number, line in enumerate(file, 1) if line.strip())


def _json_rows(path: Path, encoding: str) -> Iterator[Row]:
    """Reads a list of objects, an object that holds one such list, or an object that maps files to labels."""
    with _text(path, encoding) as file:
        data = json.load(file)
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        if len(lists) == 1:
            data = lists[0]
        else:
            data = [{"file": k, **(v if isinstance(v, dict) else {"label": v})} for k, v in data.items()]
    if not isinstance(data, list):
        raise ValueError("neither a list of objects nor an object")
    yield from _rows_of_objects(enumerate(data, 1))


def _rows_of_objects(objects: Iterable[tuple[int, object]]) -> Iterator[Row]:
    """Yields the names in the first objects as a header, then a row an object."""
    iterator = iter(objects)
    peek = list(itertools.islice(iterator, _PEEK))
    names: dict[str, None] = {}
    for number, item in peek:
        if not isinstance(item, dict):
            raise ValueError(f"entry {number} is no object with a file and a label")
        names.update(dict.fromkeys(map(str, item)))
    if peek:
        yield 0, list(names)
    for number, item in itertools.chain(peek, iterator):
        if not isinstance(item, dict):
            raise ValueError(f"entry {number} is no object with a file and a label")
        yield number, ["" if item.get(name) is None else str(item[name]) for name in names]


def _text(path: Path, encoding: str) -> io.TextIOWrapper:
    """Opens a text file; a byte order mark wins over `encoding`."""
    file = storage.open_read(path)
    start = file.read(4)
    file.seek(0)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif start.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8-sig"
    return io.TextIOWrapper(file, encoding=encoding, newline="")


def _with_errors(manifest: Manifest, rows: Iterator[Row]) -> Iterator[Row]:
    """Passes the rows on; what is wrong with the file becomes a message that names it and the last good line."""
    line = 0
    try:
        for line, cells in rows:
            if max(map(len, cells), default=0) > csv.field_size_limit():
                raise ValueError(f"field larger than field limit ({csv.field_size_limit()})")
            yield line, cells
    except LookupError as error:
        raise UserError(f"--manifest-encoding: {error}") from error
    except UnicodeDecodeError as error:
        words = f"not {error.encoding} after line {line}; say which with --manifest-encoding, such as cp1252"
        raise UserError(f"{manifest.name}: {words}") from error
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise UserError(f"{manifest.name}: cannot be read after line {line}: {error}") from error
