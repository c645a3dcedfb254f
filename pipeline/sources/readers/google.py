"""Google's exports with one line per image: Vertex AI, and the data labelling service before it."""

from typing import Any

from imageshards.pipeline.sources.readers.entries import Entry, text_of
from imageshards.pipeline.sources.table import Role, Table, one_of, records

_USE = "aiplatform.googleapis.com/ml_use"


def read(entries: list[Entry]) -> Table | None:
    """Returns the table of an export; None where the entries are none."""
    rows = [(number, _vertex(item) or _labelling(item)) for number, item in entries if isinstance(item, dict)]
    found = [(number, row) for number, row in rows if row]
    return records(found) if found and len(found) == len(rows) else None


def _vertex(item: dict[str, Any]) -> dict[Role, str | None] | None:
    if "imageGcsUri" not in item and "image_gcs_uri" not in item:
        return None
    label = item.get("classificationAnnotation") or item.get("classificationAnnotations")
    resource = item.get("dataItemResourceLabels")
    return {
        "file": text_of(item.get("imageGcsUri", item.get("image_gcs_uri"))),
        "label": _names(label if isinstance(label, list) else [label]),
        "split": text_of(resource.get(_USE)) if isinstance(resource, dict) else None,
    }


def _labelling(item: dict[str, Any]) -> dict[Role, str | None] | None:
    payload = item.get("imagePayload")
    if not isinstance(payload, dict) or "imageUri" not in payload:
        return None
    specs = [
        _at(one, "annotationValue", "imageClassificationAnnotation", "annotationSpec")
        for one in item.get("annotations") or []
    ]
    return {"file": text_of(payload["imageUri"]), "label": _names(specs)}


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _names(found: list[Any]) -> str | None:
    return one_of(map(text_of, found))
