"""JSON objects whose keys are files or labels: {file: label}, {label: [files]}, FiftyOne's labels.json.

Or names of columns, as pandas writes them, or numbers of entries.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from imageshards.pipeline.sources.listing import IMAGE_SUFFIXES
from imageshards.pipeline.sources.readers.entries import cells, objects, text_of
from imageshards.pipeline.sources.table import Role, Table, one_of, records, table_of

_PICTURES = tuple(IMAGE_SUFFIXES)


def read(item: Any) -> Table | None:
    """Returns the table of an object of scalars, or of lists of files; None where it is neither."""
    if not isinstance(item, dict) or not item:
        return None
    if isinstance(item.get("labels"), dict) and set(item) <= {"classes", "labels", "info"}:
        return _fiftyone(item["labels"], item.get("classes"))
    values = list(item.values())
    if (table := _columns(item)) is not None:
        return table
    if all(isinstance(value, list) and all(isinstance(name, str) for name in value) for value in values):
        if all(name.lower().endswith(_PICTURES) for name in item):
            tags = ((name, one_of(given)) for name, given in item.items())
            return records((number, {"file": name, "label": tag}) for number, (name, tag) in enumerate(tags, 1))
        pairs = ((name, label) for label, names in item.items() for name in names)
        return _guessed((number, {"file": name, "label": label}) for number, (name, label) in enumerate(pairs, 1))
    if all(text_of(value) is not None or value is None for value in values):
        pairs_of = enumerate(item.items(), 1)
        return _guessed((number, {"file": name, "label": text_of(value)}) for number, (name, value) in pairs_of)
    if all(isinstance(value, dict) for value in values):
        return objects([(number, {"key": key, **value}) for number, (key, value) in enumerate(item.items(), 1)])
    return None


def _guessed(rows: Iterable[tuple[int, dict[Role, str | None]]]) -> Table:
    """Returns the table of what may be files and labels, and may be something else, as {"cat": 0} is."""
    return dataclasses.replace(records(rows), roles={})


def _columns(item: dict[str, Any]) -> Table | None:
    """Returns the table of an object that has a list, or an object with a number a row, for each column."""
    if set(item) >= {"columns", "data"} and isinstance(item["data"], list) and isinstance(item["columns"], list):
        rows = ((number, cells(row)) for number, row in enumerate(item["data"], 1))
        return table_of(rows, list(map(str, item["columns"])))
    columns = list(item.values())
    if all(isinstance(column, dict) and column and all(map(str.isdecimal, column)) for column in columns):
        columns = [list(column.values()) for column in columns]
    if not all(isinstance(column, list) for column in columns) or len(set(map(len, columns))) > 1:
        return None
    files = [all(isinstance(cell, str) and cell.lower().endswith(_PICTURES) for cell in column) for column in columns]
    if len(columns) < 2 or not columns[0] or files.count(True) != 1:  # else files by their label
        return None
    return table_of(((number, cells(row)) for number, row in enumerate(zip(*columns, strict=True), 1)), list(item))


def _fiftyone(labels: dict[str, Any], classes: Any) -> Table:
    names = classes if isinstance(classes, list) else []

    def name_of(value: Any) -> str | None:
        if isinstance(value, list):
            return one_of(map(name_of, value))
        known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names)
        return str(names[value]) if known else text_of(value)

    return records(
        (number, {"file": file, "label": name_of(value)}) for number, (file, value) in enumerate(labels.items(), 1)
    )
