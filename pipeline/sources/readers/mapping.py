"""JSON objects whose keys are files or labels: {file: label}, {label: [files]}, and FiftyOne's labels.json."""

from typing import Any

from imageshards.pipeline.sources.readers.entries import text_of
from imageshards.pipeline.sources.table import Table, records


def read(item: Any) -> Table | None:
    """Returns the table of an object of scalars, or of lists of files; None where it is neither."""
    if not isinstance(item, dict) or not item:
        return None
    if isinstance(item.get("labels"), dict) and set(item) <= {"classes", "labels", "info"}:
        return _fiftyone(item["labels"], item.get("classes"))
    values = list(item.values())
    if all(isinstance(value, list) and all(isinstance(name, str) for name in value) for value in values):
        pairs = ((name, label) for label, names in item.items() for name in names)
        return records((number, {"file": name, "label": label}) for number, (name, label) in enumerate(pairs, 1))
    if all(text_of(value) is not None or value is None for value in values):
        pairs_of = enumerate(item.items(), 1)
        return records((number, {"file": name, "label": text_of(value)}) for number, (name, value) in pairs_of)
    return None


def _fiftyone(labels: dict[str, Any], classes: Any) -> Table:
    names = classes if isinstance(classes, list) else []

    def name_of(value: Any) -> str | None:
        known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names)
        return str(names[value]) if known else text_of(value)

    return records(
        (number, {"file": file, "label": name_of(value)}) for number, (file, value) in enumerate(labels.items(), 1)
    )
