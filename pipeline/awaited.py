"""Whether somebody still waits for a job.

On a cluster its workers may outlive the process that started it, and not every runner cancels when it is asked to. So
a job leaves its name in the work folder while it is awaited; workers look before each piece of work, and end where
they find another name or none.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from imageshards.pipeline import storage
from imageshards.pipeline.errors import JobError

_FILE = "awaited"


@contextlib.contextmanager
def awaited(work: Path, job: str) -> Iterator[None]:
    """Says within the block that the job of this name is awaited, and no other one that uses the work folder."""
    storage.write(work / _FILE, job.encode())
    try:
        yield
    finally:
        with contextlib.suppress(Exception):  # a disk may be full; the job's own error matters more
            storage.write(work / _FILE, b"")


def check_awaited(work: Path, job: str) -> None:
    """Raises JobError unless the job is awaited."""
    try:
        name = storage.read(work / _FILE).decode(errors="replace")
    except FileNotFoundError:
        name = ""
    if name != job:
        raise JobError(f"{work}: nobody awaits this job any more: it was stopped, or the same was started again")
