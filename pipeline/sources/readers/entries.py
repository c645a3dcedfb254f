"""JSON: documents, and one document per line, as entries; and the table of a plain list of objects."""

import json
from collections.abc import Iterator
from typing import Any

from imageshards.pipeline.sources.table import NotReadableError, Table, table_of

Entry = tuple[int, Any]  # the line, or the place in the list, from 1 on; and what stands there

_DEPTH = 6  # of objects in objects that become columns


def document(text: str) -> Any:
    """Returns what a JSON text holds.

    Raises:
      NotReadableError: it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotReadableError(_words(error)) from error


def lines(text: str) -> tuple[list[Entry], list[tuple[int, str]]]:
    """Returns the entries of a text with a JSON document a line, and the lines that hold none.

    Raises:
      NotReadableError: not one line is JSON.
    """
    entries: list[Entry] = []
    damaged: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            entries.append((number, json.loads(line)))
        except (ValueError, RecursionError) as error:
            damaged.append((number, f"the line is not JSON: {_words(error)}"))
    if damaged and not entries:
        raise NotReadableError(f"line {damaged[0][0]}: {damaged[0][1]}")
    return entries, damaged


def objects(entries: list[Entry]) -> Table | None:
    """Returns the table of a list of objects, a column for each path to a value, as in annotation.class."""
    found = [(number, dict(flat(item))) for number, item in entries if isinstance(item, dict)]
    if not found:
        return None
    header = list(dict.fromkeys(name for _, item in found for name in item))
    return table_of(((number, [item.get(name) for name in header]) for number, item in found), header)


def rows(entries: list[Entry]) -> Table | None:
    """Returns the table of a list of lists, a row each; None where the entries are none."""
    if not entries or not all(isinstance(item, list) for _, item in entries):
        return None
    return table_of((number, cells(item)) for number, item in entries)


def cells(row: Any) -> list[str | None]:
    """Returns a list of values as the cells of a row."""
    return [text_of(cell) for cell in row] if isinstance(row, list | tuple) else []


def text_of(value: Any) -> str | None:
    """Returns a scalar as the text that a person would write; None for null, NaN and what is not a scalar.

    A list of one is its only item, and an object with a name, such as {"displayName": "cat"}, that name.
    """
    if isinstance(value, list) and len(value) == 1:
        return text_of(value[0])
    if isinstance(value, dict):
        named = [
            value[name]
            for name in ("displayName", "display_name", "label", "name", "class_name", "tagName")
            if name in value
        ]
        return text_of(named[0]) if named else None
    if isinstance(value, bool):
        return str(value)
    if value is None or value != value:  # NaN, which JSON does not have and Python writes
        return None
    return str(value) if isinstance(value, str | int | float) else None


def flat(item: dict[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yields the values in an object, also of objects in it, each with its path, as in annotation.class."""
    for name, given in item.items():
        value = given[0] if isinstance(given, list) and len(given) == 1 else given
        if isinstance(value, dict) and depth < _DEPTH:
            yield from flat(value, f"{prefix}{name}.", depth + 1)
        elif isinstance(value, list) and value and all(isinstance(part, str) for part in value):
            yield prefix + name, "|".join(value)  # several tags, which are asked about
        elif (text := text_of(value)) is not None:
            yield prefix + name, text


def _words(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
