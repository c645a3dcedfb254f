"""How a version on a disk takes its place: one job holds the work folder by a lock, and one rename publishes it.

Where it replaces a version, the two folders change places at once.
"""

import contextlib
import ctypes
import dataclasses
import errno
import fcntl
import itertools
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from imageshards.pipeline import storage
from imageshards.pipeline.checksums import foreign_names
from imageshards.pipeline.errors import UserError
from imageshards.pipeline.versions import (
    JOB,
    REMADE,
    Version,
    following_number,
    is_ours,
    may_be_ours,
    read_metadata,
    refuse_foreign,
    this_job,
)

_RENAME_EXCHANGE = 2  # of linux/fs.h
_RENAME_SWAP = 2  # of macOS's stdio.h
_UNUSABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENAMETOOLONG)
_ASIDE = "replaced"
_STAGED = "staged"  # the folder that stays
_LOCK = "lock"


@dataclasses.dataclass(frozen=True)
class OnDisk:
    """The place of a version on a disk."""

    version: Version

    def check_ours(self) -> None:
        """Raises UserError where something is there that imageshards did not publish."""
        version = self.version
        if os.path.lexists(version.path) and not is_ours(version.path):
            refuse_foreign(version)
        metadata = read_metadata(version)
        names = foreign_names(version.path, metadata["sha256"] if metadata else ())
        foreign = [name for name in names if not may_be_ours(name, version)]
        foreign += [name for name in storage.names(version.path) if _is_foreign_folder(version.path / name)]
        if foreign:
            raise UserError(
                f"{version.path / foreign[0]}: imageshards did not publish it, and it would be lost with the version"
                f" that is replaced: move it away, or give another --version, such as {following_number(version)}"
            )

    @contextlib.contextmanager
    def work_folder(self) -> Iterator[None]:
        """Holds the work folder for this job alone. What an earlier job staged there stays, to be used again.

        Raises:
          UserError: another job builds this version, or something else is in the place of the folder.
        """
        version = self.version
        with _lock(version):
            _check_kinds(version.work)
            _recover(version)
            for name in REMADE:
                shutil.rmtree(version.work / name, ignore_errors=True)
                (version.work / name).mkdir()
            (version.work / _STAGED).mkdir(exist_ok=True)
            yield

    def publish(self) -> None:
        """Renames `unpublished` to `path`; an older version changes places with it, and goes with the work folder."""
        version = self.version
        for path in (*version.unpublished.iterdir(), version.unpublished):
            _flush(path)
        self.check_ours()  # again, for the job may have taken hours
        if version.path.exists():
            _exchange(version.unpublished, version.path)
        else:
            version.unpublished.rename(version.path)
        _flush(version.folder)
        _remove_work(version)

    def remove_leftovers(self) -> None:
        """Removes what a job left that was killed after it had published; not what a running job holds."""
        with contextlib.suppress(UserError), _lock(self.version):
            _remove_work(self.version)


@contextlib.contextmanager
def _lock(version: Version) -> Iterator[None]:
    """Holds the lock of the work folder. The system releases it when a job dies, however it dies."""
    path = version.work / _LOCK
    try:
        _make(version.work)
        if version.work.is_symlink():
            raise OSError(errno.ELOOP, "it is a link")
        if not os.path.lexists(path) and any(version.work.iterdir()):
            raise OSError(errno.EEXIST, "it is there and no job of imageshards made it, so move it away; or")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if storage.is_fault(error) and error.errno not in _UNUSABLE:
            raise
        raise UserError(f"{version.work}: {error.strerror}; choose another folder with --out") from error
    try:
        status = os.fstat(lock)
        held_by = os.pread(lock, 200, 0).decode(errors="replace") if stat.S_ISREG(status.st_mode) else "nobody"
        if status.st_nlink > 1 or not held_by.startswith(JOB[: len(held_by)]):
            raise UserError(f"{path}: not a lock of imageshards; move it away, or choose another folder with --out")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{version.path}: {held_by} is building it; wait, or stop that job") from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, this_job().encode(), 0)
        yield
    finally:
        os.close(lock)


def _is_foreign_folder(path: Path) -> bool:
    """Says whether this is a folder: a version has none, also not under a name of its own. Hidden ones do not count."""
    return path.is_dir() and not path.is_symlink() and not path.name.startswith(".")


def _make(folder: Path) -> None:
    """Makes a folder and those above it, whose names a loss of power does not take away."""
    made = list(itertools.takewhile(lambda parent: not parent.exists(), folder.parents))
    folder.mkdir(parents=True, exist_ok=True)
    for parent in made:
        with contextlib.suppress(PermissionError):  # it may be closed to readers
            _flush(parent.parent)


def _check_kinds(work: Path) -> None:
    """Raises UserError where a file is in the place of a folder, or a folder that is none of the job's."""
    for path in work.iterdir():
        if path.is_symlink():  # what it leads to is not ours
            path.unlink()
        elif not path.name.startswith(".") and path.is_dir() != (path.name in (*REMADE, _STAGED, _ASIDE)):
            made = "folder" if path.is_dir() else "file, and a folder is to be there"
            raise UserError(f"{path}: no job of imageshards made this {made}; move it away")


def _recover(version: Version) -> None:
    """Puts a version back that a killed job, on a system that cannot exchange folders, had moved aside."""
    aside = version.work / _ASIDE
    if aside.exists() and not version.path.exists():
        aside.rename(version.path)
    shutil.rmtree(aside, ignore_errors=True)


def _remove_work(version: Version) -> None:
    """Removes the work folder, and the lock last: without it the folder would not be known for ours."""
    for path in version.work.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()
    shutil.rmtree(version.work)


def _exchange(one: Path, other: Path) -> None:
    """Lets two folders change places in one step where the system can (Linux, macOS), else in three."""
    if not _exchange_at_once(os.fsencode(one), os.fsencode(other)):
        aside = one.with_name(_ASIDE)
        other.rename(aside)
        one.rename(other)
        aside.rename(one)


def _exchange_at_once(one: bytes, other: bytes) -> bool:
    """Returns False where the system or the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        at_cwd = -100
        failed = libc.renameat2(at_cwd, one, at_cwd, other, _RENAME_EXCHANGE)
    elif sys.platform == "darwin":
        failed = libc.renamex_np(one, other, _RENAME_SWAP)
    else:
        return False
    number = ctypes.get_errno()
    if failed and number not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        raise OSError(number, os.strerror(number), os.fsdecode(one))
    return not failed


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
