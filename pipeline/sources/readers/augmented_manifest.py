"""SageMaker's augmented manifest: a line has `source-ref`, and a job's name that has a twin ending in -metadata."""

from typing import Any

from imageshards.pipeline.sources.readers.entries import Entry, text_of
from imageshards.pipeline.sources.table import NotReadableError, Role, Table, records

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
    name = about.get("class-name") if isinstance(about, dict) else None
    return {"file": text_of(item["source-ref"]), "label": text_of(name if name is not None else item.get(job))}
