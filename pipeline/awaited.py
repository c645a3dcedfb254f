"""Whether somebody still waits for a job.

On a cluster its workers may outlive the process that started it, and not every runner cancels when it is asked to. So
a job leaves its name in the work folder while it is awaited; workers look before each piece of work, in a bucket every
few seconds, and end where they find another name or none.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterator
from pathlib import Path

from imageshards.pipeline import storage
from imageshards.pipeline.errors import JobError

_FILE = "awaited"
_SECONDS = 5


@contextlib.contextmanager
def awaited(work: Path, job: str) -> Iterator[None]:
    """Says within the block that the job of this name is awaited, and no other one that uses the work folder."""
    storage.write(work / _FILE, job.encode())
    try:
        yield
    except BaseException as error:
        if not storage.bucket_failed(error):  # then it could not be said there either, and it would take its time
            _end(work)
        raise
    _end(work)


def _end(work: Path) -> None:
    with contextlib.suppress(Exception):  # a disk may be full; the job's own error matters more
        storage.write(work / _FILE, b"")


@dataclasses.dataclass
class Watch:
    """A worker's eye on whether the job of this name is still awaited."""

    work: Path
    job: str
    _looked: float = -math.inf

    def check(self) -> None:
        """Raises JobError unless the job is awaited, as far as this was looked at: a bucket's every answer costs."""
        now = time.monotonic()
        if storage.is_bucket(self.work) and now - self._looked < _SECONDS:
            return
        self._looked = now
        try:
            name = storage.read(self.work / _FILE).decode(errors="replace")
        except FileNotFoundError:
            name = ""
        if name != self.job:
            raise JobError(
                f"{self.work}: nobody awaits this job any more: it was stopped, or the same was started again"
            )
