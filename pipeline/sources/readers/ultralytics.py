"""Ultralytics' NDJSON: the first line describes the dataset, each other line an image."""

from typing import Any

from imageshards.pipeline.sources.readers.entries import Entry, text_of
from imageshards.pipeline.sources.table import Role, Table, one_of, records


def read(entries: list[Entry]) -> Table | None:
    """Returns the table of an export; None where the entries are none."""
    if not entries or not isinstance(entries[0][1], dict) or entries[0][1].get("type") != "dataset":
        return None
    names = entries[0][1].get("class_names")
    known = {str(number): text_of(name) for number, name in names.items()} if isinstance(names, dict) else {}
    return records((number, _row(item, known)) for number, item in entries[1:] if isinstance(item, dict))


def _row(item: dict[str, Any], names: dict[str, str | None]) -> dict[Role, str | None]:
    found = item.get("annotations")
    numbers = found.get("classification") if isinstance(found, dict) else None
    classes = map(text_of, numbers if isinstance(numbers, list) else [numbers])
    return {
        "file": text_of(item.get("file")),
        "label": one_of(names.get(number, number) for number in classes if number is not None),
        "split": text_of(item.get("split")),
    }
