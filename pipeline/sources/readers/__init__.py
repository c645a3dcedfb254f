"""From a file to a table: a module a form, and the table that says which form reads which file.

To add a form: a module with a function that returns a Table, or None where the content is of another form, and a line
below. Forms are tried in the order of the lines.
"""

import codecs
import dataclasses
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from imageshards.pipeline import storage
from imageshards.pipeline.sources.readers import (
    augmented_manifest,
    by_split,
    coco,
    cvat,
    datumaro,
    delimited,
    entries,
    google,
    label_studio,
    mapping,
    parquet,
    prodigy,
    text_list,
    ultralytics,
)
from imageshards.pipeline.sources.readers.entries import Entry
from imageshards.pipeline.sources.table import NotReadableError, Table

# A whole JSON document, a list of entries (of a JSON list, or one document per line), any other text.
DOCUMENTS: tuple[Callable[[Any], Table | None], ...] = (coco.read, datumaro.read, mapping.read)
ENTRIES: tuple[Callable[[list[Entry]], Table | None], ...] = (
    label_studio.read,
    google.read,
    augmented_manifest.read,
    ultralytics.read,
    prodigy.read,
    entries.objects,
    entries.rows,
)
TEXTS: dict[str, Callable[[str], Table | None]] = {
    ".csv": delimited.read,
    ".tsv": delimited.read,
    ".tab": delimited.read,
    ".lst": text_list.read_lst,
    ".txt": text_list.read,
    ".list": text_list.read,
    ".xml": cvat.read,
    ".yaml": text_list.refuse_names,
    ".yml": text_list.refuse_names,
}
JSON = (".json",)
JSON_LINES = (".jsonl", ".ndjson", ".manifest")
PARQUET = (".parquet",)
SUFFIXES = frozenset([*TEXTS, *JSON, *JSON_LINES, *PARQUET])

_REFUSED = {
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "a spreadsheet; save the sheet as CSV"),
    **dict.fromkeys((".pkl", ".pickle"), "a pickle, which can run code when it is opened; save the table as CSV"),
    **dict.fromkeys(
        (".mat", ".npy", ".npz", ".h5", ".hdf5", ".db", ".sqlite", ".rds"), "data of a program; save the table as CSV"
    ),
    **dict.fromkeys(
        (".tfrecord", ".tfrecords", ".rec", ".arrow", ".feather"), "a container of records; write out files and a table"
    ),
    **dict.fromkeys(
        [
            f"{suffix}{packed}"
            for suffix in (".csv", ".tsv", ".txt", ".json", ".jsonl")
            for packed in (".gz", ".bz2", ".xz")
        ],
        "compressed; unpack it",
    ),
}
REFUSED = tuple(_REFUSED)
"""Files that may well hold the labels, and cannot be read."""

_ENCODINGS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LEGACY = "cp1252"  # Windows' in the West, which Excel writes


def read_table(path: Path, encoding: str = "") -> Table | None:
    """Returns what a file says of images as a table; None where its content has no form of a table.

    Args:
      path: the file, on a disk or in a bucket.
      encoding: its character encoding; UTF-8 or what its first bytes say unless given.

    Raises:
      NotReadableError: it looks like a table, and cannot be used.
    """
    suffix = PurePosixPath(path.name).suffix.lower()
    if (refused := next((ending for ending in _REFUSED if path.name.lower().endswith(ending)), None)) is not None:
        raise NotReadableError(f"it is {_REFUSED[refused]}")
    content = storage.read(path)
    if suffix in PARQUET:
        return parquet.read(content)
    text, notes = _decoded(content, encoding)
    table = _of_text(text, suffix)
    return dataclasses.replace(table, notes=[*table.notes, *notes]) if table is not None and notes else table


def _of_text(text: str, suffix: str) -> Table | None:
    if suffix in JSON_LINES or (suffix in JSON and _is_lines(text)):
        found, damaged = entries.lines(text)
        table = _first(ENTRIES, found)
        return table and dataclasses.replace(table, damaged=sorted(damaged + table.damaged))
    if suffix in JSON:
        return _of_document(entries.document(text))
    return TEXTS.get(suffix, text_list.read)(text)


def _of_document(document: Any) -> Table | None:
    """Returns the table of a JSON document; None where it holds no entries that are known."""
    if isinstance(document, list):
        return _first(ENTRIES, list(enumerate(document, 1)))
    table = by_split.read(document, _of_document) or _first(DOCUMENTS, document)
    if table is None and isinstance(document, dict):
        for value in document.values():  # {"version": 1, "items": [{…}, …]}
            if isinstance(value, list) and value and isinstance(value[0], dict):
                return _first(ENTRIES, list(enumerate(value, 1)))
    return table


def _first(readers: Any, content: Any) -> Table | None:
    return next((table for reader in readers if (table := reader(content)) is not None), None)


def _is_lines(text: str) -> bool:
    """Says whether a .json file holds one document per line."""
    first, _, rest = text.lstrip().partition("\n")
    return first.startswith("{") and first.rstrip().endswith("}") and rest.lstrip().startswith("{")


def _decoded(content: bytes, encoding: str) -> tuple[str, list[str]]:
    """Returns the text, with one character a line end, and a note where the encoding had to be guessed."""
    marked = next((name for mark, name in _ENCODINGS if content.startswith(mark)), None)
    notes: list[str] = []
    try:
        text = content.decode(encoding or marked or ("utf-16" if b"\0" in content[:2] else "utf-8"))
    except LookupError as error:
        raise NotReadableError(f"--manifest-encoding {encoding}: there is no such encoding") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = f"line {line}"
        if encoding:
            raise NotReadableError(
                f"{where}: its text is not {encoding}; name another with --manifest-encoding"
            ) from error
        try:
            text = content.decode(_LEGACY)
        except UnicodeDecodeError:
            raise NotReadableError(
                f"{where}: its text is not UTF-8; name its encoding with --manifest-encoding"
            ) from error
        notes.append(f"is not UTF-8 ({where}) and was read as {_LEGACY}; --manifest-encoding names another")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"), notes
