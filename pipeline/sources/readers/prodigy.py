"""Prodigy's lines: a label, or the options that were chosen, and whether the annotator accepted."""

from typing import Any

from imageshards.pipeline.sources.readers.entries import Entry, text_of
from imageshards.pipeline.sources.table import Role, Table, one_of, records


def read(entries: list[Entry]) -> Table | None:
    """Returns the table of an export; None where the entries are none. What was not accepted has no label."""
    items = [(number, item) for number, item in entries if isinstance(item, dict)]
    if not items or not all(item.get("answer") in ("accept", "reject", "ignore") for _, item in items):
        return None
    if not all("image" in item and ("accept" in item or "label" in item) for _, item in items):
        return None
    return records((number, _row(item)) for number, item in items)


def _row(item: dict[str, Any]) -> dict[Role, str | None]:
    chosen = item.get("accept")
    label = one_of(map(str, chosen)) if isinstance(chosen, list) else text_of(item.get("label"))
    return {"file": text_of(item["image"]), "label": label if item["answer"] == "accept" else None}
