"""Label Studio's JSON: tasks, with each annotator's newest choice. (Its JSON-MIN and CSV are plain tables.)"""

from collections.abc import Iterator
from typing import Any

from imageshards.pipeline.sources.readers.entries import Entry, text_of
from imageshards.pipeline.sources.table import Role, Table, one_of, records


def read(entries: list[Entry]) -> Table | None:
    """Returns the table of a list of tasks; None where the entries are none."""
    tasks = [(number, task) for number, task in entries if isinstance(task, dict)]
    if not tasks or not all(
        isinstance(task.get("data"), dict) and ("annotations" in task or "completions" in task) for _, task in tasks
    ):
        return None
    return records((number, row) for number, task in tasks for row in _rows(task))


def _rows(task: dict[str, Any]) -> list[dict[Role, str | None]]:
    """Returns a row for each choice that was made: several where annotators disagree."""
    data = task["data"]
    files = [
        value for name, value in data.items() if isinstance(value, str) and ("image" in name.lower() or "/" in value)
    ]
    file = next(iter(files), None) or text_of(task.get("file_upload"))
    return [{"file": file, "label": label} for label in dict.fromkeys(_choices(task))] or [{"file": file}]


def _choices(task: dict[str, Any]) -> Iterator[str]:
    found = task.get("annotations") or task.get("completions") or []
    done = [one for one in found if isinstance(one, dict) and not one.get("was_cancelled") and not one.get("skipped")]
    heard = set()
    for annotation in sorted(done, key=lambda one: str(one.get("created_at")), reverse=True):
        choice = _choice(annotation)
        annotator = str(annotation.get("completed_by"))
        if choice is not None and annotator not in heard:
            heard.add(annotator)
            yield choice


def _choice(annotation: dict[str, Any]) -> str | None:
    for result in annotation.get("result") or []:
        value = result.get("value") if isinstance(result, dict) else None
        if isinstance(value, dict) and isinstance(value.get("choices"), list):
            return one_of(map(str, value["choices"]))
    return None
