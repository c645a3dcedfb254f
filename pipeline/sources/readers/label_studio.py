"""Label Studio's JSON: tasks, whose newest annotation holds the choice. (Its JSON-MIN and CSV are plain tables.)"""

from typing import Any

from imageshards.pipeline.sources.readers.entries import Entry, text_of
from imageshards.pipeline.sources.table import Role, Table, records


def read(entries: list[Entry]) -> Table | None:
    """Returns the table of a list of tasks; None where the entries are none."""
    tasks = [(number, task) for number, task in entries if isinstance(task, dict)]
    if not tasks or not all(
        isinstance(task.get("data"), dict) and ("annotations" in task or "completions" in task) for _, task in tasks
    ):
        return None
    return records((number, _row(task)) for number, task in tasks)


def _row(task: dict[str, Any]) -> dict[Role, str | None]:
    data = task["data"]
    files = [
        value for name, value in data.items() if isinstance(value, str) and ("image" in name.lower() or "/" in value)
    ]
    return {"file": next(iter(files), None) or text_of(task.get("file_upload")), "label": _choice(task)}


def _choice(task: dict[str, Any]) -> str | None:
    found = task.get("annotations") or task.get("completions") or []
    done = [one for one in found if isinstance(one, dict) and not one.get("was_cancelled") and not one.get("skipped")]
    for annotation in sorted(done, key=lambda one: str(one.get("created_at")), reverse=True):
        for result in annotation.get("result") or []:
            value = result.get("value") if isinstance(result, dict) else None
            if isinstance(value, dict) and isinstance(value.get("choices"), list):
                return "|".join(map(str, value["choices"]))
    return None
