"""SageMaker's augmented manifest: a line has `source-ref`, and a job's name that has a twin ending in -metadata."""

from typing import Any

from imageshards.pipeline.sources.readers.entries import Entry, text_of
from imageshards.pipeline.sources.table import NotReadableError, Role, Table, one_of, records

_TWIN = "-metadata"


def read(entries: list[Entry]) -> Table | None:
    """Returns the table of a manifest; None where the entries are none.

    Raises:
      NotReadableError: the lines hold the results of several jobs.
    """
    items = [(number, item) for number, item in entries if isinstance(item, dict) and "source-ref" in item]
    if not items or len(items) < len(entries):
        return None
    jobs = {name.removesuffix(_TWIN) for _, item in items for name in item if name.endswith(_TWIN)}
    if len(jobs) > 1:
        raise NotReadableError(f"it holds the results of several jobs ({', '.join(sorted(jobs))}); keep one of them")
    return records((number, _row(item, next(iter(jobs), ""))) for number, item in items)


def _row(item: dict[str, Any], job: str) -> dict[Role, str | None]:
    about = item.get(job + _TWIN)
    names = about if isinstance(about, dict) else {}
    label = text_of(names["class-name"]) if "class-name" in names else _several(item.get(job), names.get("class-map"))
    return {"file": text_of(item["source-ref"]), "label": label}


def _several(classes: Any, names: Any) -> str | None:
    """Returns the names of the classes of a job with several labels per image."""
    if not isinstance(classes, list) or not isinstance(names, dict):
        return text_of(classes)
    return one_of(text_of(names.get(str(number))) or str(number) for number in classes)
