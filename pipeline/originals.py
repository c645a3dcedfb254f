"""Reads one original: the file of an image as it is in SRC, on a disk or in a bucket.

A machine that fails is not the picture's fault. What a disk, a network or a store does wrong is tried again a few
times and then fails the job, which goes on from there when it is run again. A picture is rejected for itself alone:

    what is wrong                            on a disk                         in a bucket
    it is gone, or another file by now       changed                           tried again, then changed
    it may not be read, or its links loop    unreadable                        –
    its folder may not be searched           tried again, then the job fails   –
    the credentials                          –                                 the job fails
    anything else                            tried again, then the job fails   the same; the store's library tries
"""

import contextlib
import dataclasses
import errno
import functools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

from imageshards.pipeline import storage
from imageshards.pipeline.images import UnreadableError
from imageshards.pipeline.source import JobError, Reason

_TRIES = 5
_FIRST_PAUSE = 0.2  # seconds; each pause is twice the one before
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ENXIO)  # the last: a socket took its place
_REFUSED = (errno.EACCES, errno.EPERM, errno.ELOOP)

P = ParamSpec("P")
T = TypeVar("T")


class OriginalError(JobError):
    """A file of SRC that the machine could not read, however often it was tried."""


@dataclasses.dataclass(frozen=True)
class Originals:
    """The files that were listed below `root`, a folder or a place in a bucket."""

    root: Path

    def read(self, path: str, size: int, mtime_ns: int) -> bytes:
        """Returns the bytes of a file, if it is still the one that was listed.

        Args:
          path: from the root, as the file system spells it, links resolved, with "/" between folders.
          size: in bytes, as it was listed.
          mtime_ns: when it was last changed, as it was listed. In a bucket the size alone is compared.

        Raises:
          UnreadableError: the file cannot be used, and it is the file's own fault.
          JobError: the machine, the network or the store failed.
        """
        if storage.is_bucket(self.root):
            return self._object(path, size)
        full = os.path.normpath(f"{self._real_root}/{path}")
        try:
            return patiently(_file, full, size, mtime_ns)
        except OSError as error:
            raise OriginalError(f"{full}: {error.strerror or error}; it was tried {_TRIES} times") from error

    @functools.cached_property
    def _real_root(self) -> str:
        return os.path.realpath(self.root)  # on this machine: a worker of a cluster may know it by a link

    def _object(self, path: str, size: int) -> bytes:
        def whole() -> bytes:
            data = storage.read(self.root / path)
            if len(data) != size:
                raise OSError(errno.EIO, "the file changed while the job ran; run it again")
            return data

        try:
            return patiently(whole)
        except FileNotFoundError as error:
            raise UnreadableError(Reason.CHANGED, "the file is gone") from error
        except OSError as error:
            raise _changed() from error


def _file(path: str, size: int, mtime_ns: int) -> bytes:
    """Returns the bytes of a file on this machine; an OSError is the machine's."""
    try:
        with _opened(path) as file:
            _check(file, path, size, mtime_ns)
            data = os.read(file, size + 1)  # a byte more: one that grows is seen
            while 0 < len(data) < size and (more := os.read(file, size)):
                data += more
    except OSError as error:
        if error.errno in _GONE:
            raise UnreadableError(Reason.CHANGED, os.strerror(errno.ENOENT)) from error
        if error.errno in _REFUSED and os.path.lexists(path):
            raise UnreadableError(Reason.UNREADABLE, error.strerror or str(error)) from error
        raise
    if len(data) != size:
        raise _changed()
    return data


def _check(file: int, path: str, size: int, mtime_ns: int) -> None:
    """Raises UnreadableError unless what was opened is the file that was listed, and no link led to it."""
    now = os.fstat(file)
    if not stat.S_ISREG(now.st_mode) or (now.st_size, now.st_mtime_ns) != (size, mtime_ns):
        raise _changed()
    if _place(file, path) != path:
        raise UnreadableError(Reason.CHANGED, "it, or its folder, became a link while the job ran")


def _changed() -> UnreadableError:
    return UnreadableError(Reason.CHANGED, "the file changed while the job ran; run it again")


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    """Opens a file for reading, for less than open() and a Path cost; a pipe in its place does not hold the job up."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _place(file: int, path: str) -> str:
    """Returns where an open file lies, without links: what was opened, and not what has its name by now."""
    try:
        return str(Path(f"/proc/self/fd/{file}").readlink())
    except OSError:  # a system without /proc
        return os.path.realpath(path)


def patiently(read: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Returns what `read` returns, which is called again after growing pauses while it raises OSError."""
    with contextlib.suppress(OSError):
        return read(*arguments, **options)
    import tenacity  # only where it is needed: the import takes a tenth of a second

    again = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(OSError),
        stop=tenacity.stop_after_attempt(_TRIES - 1),
        wait=tenacity.wait_exponential(_FIRST_PAUSE),
        reraise=True,
    )
    return again(read, *arguments, **options)
