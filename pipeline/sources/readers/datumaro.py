"""Datumaro's annotations/<split>.json: label names, and items that name one by its number."""

from typing import Any

from imageshards.pipeline.sources.readers.entries import text_of
from imageshards.pipeline.sources.table import Role, Table, one_of, records


def read(item: Any) -> Table | None:
    """Returns the table of a document; None where it is none."""
    if (
        not isinstance(item, dict)
        or not isinstance(item.get("items"), list)
        or not isinstance(item.get("categories"), dict)
    ):
        return None
    known = item["categories"].get("label")
    labels = known.get("labels") if isinstance(known, dict) else None
    names = [text_of(label) for label in labels] if isinstance(labels, list) else []
    return records((number, _row(one, names)) for number, one in enumerate(item["items"], 1) if isinstance(one, dict))


def _row(item: dict[str, Any], names: list[str | None]) -> dict[Role, str | None]:
    image = item.get("image") or item.get("media")
    path = image.get("path") if isinstance(image, dict) else None
    numbers = [
        one.get("label_id")
        for one in item.get("annotations") or []
        if isinstance(one, dict) and one.get("type") == "label"
    ]
    found = [names[number] or "" for number in numbers if isinstance(number, int) and 0 <= number < len(names)]
    return {"file": text_of(path) or text_of(item.get("id")), "label": one_of(found)}
