"""The versions of a dataset: which are there, which is the newest, which are ours, and how one replaces another.

A version is the folder OUT/<dataset>/<number>. It is built in a sibling folder, `incomplete.<number>`, that one job
holds by a lock, and one rename publishes it. Where it replaces a version, the two folders change places at once.
"""

import contextlib
import ctypes
import dataclasses
import errno
import fcntl
import os
import re
import shutil
import socket
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from imageshards.pipeline import storage
from imageshards.pipeline.checksums import METADATA, are_checksums, foreign_names
from imageshards.pipeline.errors import JobError, UserError

INFO = "dataset_info.json"
"""The file that is written last: with it a folder is a published version, for TFDS too."""

LABELS = "label.labels.txt"
"""The class names, a line each, in the order of their numbers; TFDS reads it."""

INDEX_FILE = "index.parquet"
"""A row per image: where each came from, and where its record is."""

FEATURES = "features.json"
"""What a record holds, for TFDS."""

_SIGNS = (METADATA, INDEX_FILE)  # other datasets of TFDS may have the first
_AROUND = {*_SIGNS, FEATURES, INFO, LABELS, "rejected.csv", "report.html"}
_FACTS = {"fingerprint": str, "normalization": dict, "rejected": dict, "sha256": dict}
_MARKERS = (FEATURES, INFO)  # TFDS looks for the first, and then believes the second
_NUMBER = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_RENAME_EXCHANGE = 2  # of linux/fs.h
_RENAME_SWAP = 2  # of macOS's stdio.h
_UNUSABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENAMETOOLONG)
_ASIDE = "replaced"
_HOLDER = "process "
_OWNER = "owner"
_LOCK = "lock"


@dataclasses.dataclass(frozen=True)
class Version:
    """One version of a dataset, published or not."""

    folder: Path  # OUT/<dataset>, which holds all versions
    number: str  # such as 1.0.0

    @property
    def name(self) -> str:
        """The dataset's name, as in tfds.load(name)."""
        return self.folder.name

    @property
    def path(self) -> Path:
        """The published folder."""
        return self.folder / self.number

    @property
    def work(self) -> Path:
        """The folder of the job that builds the version."""
        return self.folder / f"incomplete.{self.number}"

    @property
    def unpublished(self) -> Path:
        """The folder that becomes `path`."""
        return self.work / "dataset"

    def absolute(self) -> "Version":
        """Returns the same version, by a path that does not depend on the folder that a process is in."""
        return Version(storage.absolute(self.folder), self.number)


def is_version_number(text: str) -> bool:
    """Says whether TFDS takes `text` for a version: three whole numbers without leading zeros."""
    return _NUMBER.fullmatch(text) is not None


def is_published(path: Path) -> bool:
    """Says whether this folder is a published version of any TFDS dataset."""
    return storage.exists(path / INFO)


def is_ours(path: Path) -> bool:
    """Says whether this folder is a version that imageshards published, whole or damaged since."""
    return all(storage.exists(path / name) for name in _SIGNS)


def check_ours(version: Version) -> None:
    """Raises UserError where something is at the version's place that imageshards did not publish."""
    path = version.path
    if storage.is_bucket(path):
        there = any(not _is_of_ours(name, version) for name in storage.names(path))
    else:
        there = os.path.lexists(path) and not is_ours(path)
        foreign = [] if there else _foreign_names(version)
        if foreign:
            raise UserError(
                f"{path / foreign[0]}: imageshards did not publish it, and it would be lost with the version that is"
                f" replaced: move it away, or give another --version, such as {following_number(version)}"
            )
    if there:
        raise UserError(
            f"{path} is there, and is not a version that imageshards published, or has lost its {' or '.join(_SIGNS)}:"
            f" move it away, or give another --version, such as {following_number(version)}"
        )


def _foreign_names(version: Version) -> list[str]:
    """Returns what lies in a published version and neither was published with it nor is called as if it had been."""
    metadata = read_metadata(version)
    names = foreign_names(version.path, metadata["sha256"] if metadata else ())
    return [name for name in names if not _is_of_ours(name, version)]


def following_number(version: Version) -> str:
    """Returns a number that no version of the dataset has yet, such as 1.1.0 after 1.0.0."""
    numbers = [name for name in storage.names(version.folder) if is_version_number(name)]
    major, minor, _ = max([_order(version.number), *map(_order, numbers)])
    return f"{major}.{minor + 1}.0"


def published_versions(folder: Path) -> list[Path]:
    """Returns the published versions in a dataset's folder, the oldest first; a `2.0.0.bak` is none."""
    numbers = sorted(filter(is_version_number, storage.names(folder)), key=_order)
    return [folder / number for number in numbers if is_published(folder / number)]


def find_versions(folder: Path) -> list[Path]:
    """Returns `folder` alone if it is a published version, else those in it, the oldest first.

    Raises:
      UserError: there is none.
    """
    versions = [folder] if is_published(folder) else published_versions(folder)
    if not versions:
        check_finished(folder)
        raise UserError(f"{folder}: no published version is there; give a folder such as data/pexels/1.0.0")
    return versions


def check_finished(folder: Path) -> None:
    """Raises UserError where `folder` is, or holds, a version of ours that lacks the file that is written last."""
    numbers = filter(is_version_number, storage.names(folder))
    for path in (folder, *(folder / number for number in numbers)):
        if is_ours(path) and not is_published(path):
            raise UserError(f"{path} is damaged: {INFO} is missing; run imageshards-records again, which makes it")


def published_name(path: Path) -> str:
    """Returns the name that a version was published under, also where its folder was renamed or moved since.

    Raises:
      OSError, ValueError: dataset_info.json cannot be read.
    """
    return str(storage.read_json(path / INFO)["name"])


def read_labels(path: Path) -> list[str]:
    """Returns the class names of a published version, in the order of their numbers.

    Raises:
      OSError, ValueError: label.labels.txt cannot be read.
    """
    return storage.read(path / LABELS).decode().split("\n")[:-1]


def previous_version(version: Version) -> Path | None:
    """Returns the published version of ours that this one replaces, else the newest; None where there is none."""
    numbers = sorted(filter(is_version_number, storage.names(version.folder)), key=_order)
    ours = [version.folder / number for number in numbers if is_ours(version.folder / number)]
    return version.path if version.path in ours else ours[-1] if ours else None


def read_metadata(version: Version) -> dict[str, Any] | None:
    """Returns metadata.json of a published version; None where there is none, or it is damaged.

    Raises:
      OSError, JobError: the machine or the store failed.
    """
    try:
        metadata = storage.read_json(version.path / METADATA)
    except (OSError, ValueError) as error:
        if storage.is_fault(error):
            raise
        return None
    if not isinstance(metadata, dict) or not all(isinstance(metadata.get(name), kind) for name, kind in _FACTS.items()):
        return None
    return metadata if are_checksums(metadata["sha256"]) else None


def missing_files(version: Version, metadata: Mapping[str, Any]) -> list[str]:
    """Returns the files that metadata.json names and that are not there, or not as long as they were written."""
    there = storage.sizes(version.path)
    sizes = metadata.get("bytes", {})
    return [name for name in metadata["sha256"] if there.get(name, -1) != sizes.get(name, there.get(name))]


@contextlib.contextmanager
def work_folder(version: Version) -> Iterator[None]:
    """Holds `version.work` for this job alone. What an earlier job staged there stays, to be used again.

    A bucket has no lock: there the job that began last is the owner, and an earlier one stops before it publishes.

    Raises:
      UserError: another job builds this version; or it is in a bucket, and published already.
    """
    if storage.is_bucket(version.work):
        if is_published(version.path):
            raise UserError(
                f"{version.path} exists with other content, and a version in a bucket cannot be replaced in one step:"
                " give the next --version, or delete this one"
            )
        for name in ("shards", "index", "dataset"):
            storage.remove(version.work / name)
        storage.write(version.work / _OWNER, _this_job().encode())
        try:
            yield
        except Exception as error:
            if not storage.bucket_failed(error):
                _check_owner(version)
            raise
        return
    with _lock(version):
        _recover(version)
        for name in ("shards", "index", "dataset", "staged"):
            _check_folder(version.work / name)
        for name in ("shards", "index", "dataset"):
            shutil.rmtree(version.work / name, ignore_errors=True)
            (version.work / name).mkdir()
        (version.work / "staged").mkdir(exist_ok=True)
        yield


def _check_folder(path: Path) -> None:
    """Raises UserError where a file is in the place of a folder of the job's; a link there is removed."""
    if path.is_symlink():  # what it leads to is not ours
        path.unlink()
    elif path.exists() and not path.is_dir():
        raise UserError(f"{path}: no job of imageshards made this file, and a folder is to be there; move it away")


def publish_folder(version: Version) -> None:
    """Renames `unpublished` to `path`; an older version changes places with it, and goes with the work folder.

    A bucket has no rename: there the files are copied, those last without which TFDS sees no version.
    """
    if storage.is_bucket(version.path):
        _check_owner(version)
        names = storage.names(version.unpublished)
        storage.copy(version.unpublished, version.path, [name for name in names if name not in _MARKERS])
        for name in _MARKERS:
            storage.copy(version.unpublished, version.path, [name])
        storage.remove(version.work)
        return
    for path in (*version.unpublished.iterdir(), version.unpublished):
        _flush(path)
    check_ours(version)  # again, for the job may have taken hours
    if version.path.exists():
        _exchange(version.unpublished, version.path)
    else:
        version.unpublished.rename(version.path)
    _flush(version.folder)
    _remove_work(version)


def remove_leftovers(version: Version) -> None:
    """Removes what a job left that was killed after it had published; not what a running job holds."""
    if storage.is_bucket(version.work):
        storage.remove(version.work)
        return
    with contextlib.suppress(UserError), _lock(version):
        _remove_work(version)


def _remove_work(version: Version) -> None:
    """Removes the work folder, and the lock last: without it the folder would not be known for ours."""
    for path in version.work.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()
    shutil.rmtree(version.work)


@contextlib.contextmanager
def _lock(version: Version) -> Iterator[None]:
    """Holds the lock of the work folder. The system releases it when a job dies, however it dies."""
    path = version.work / _LOCK
    try:
        version.work.mkdir(parents=True, exist_ok=True)
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
        if status.st_nlink > 1 or not held_by.startswith(_HOLDER[: len(held_by)]):
            raise UserError(f"{path}: not a lock of imageshards; move it away, or choose another folder with --out")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{version.path}: {held_by} is building it; wait, or stop that job") from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, _this_job().encode(), 0)
        yield
    finally:
        os.close(lock)


def _this_job() -> str:
    return f"{_HOLDER}{os.getpid()} on {socket.gethostname()}"


def _check_owner(version: Version) -> None:
    """Raises JobError where another job has begun to build the same version in a bucket, or has ended that."""
    try:
        owner = storage.read(version.work / _OWNER).decode(errors="replace")
    except FileNotFoundError:
        owner = "another job"
    if owner != _this_job():
        raise JobError(f"{version.path}: {owner} builds it as well, and began later; so this job stopped")


def _recover(version: Version) -> None:
    """Puts a version back that a killed job, on a system that cannot exchange folders, had moved aside."""
    aside = version.work / _ASIDE
    if aside.exists() and not version.path.exists():
        aside.rename(version.path)
    shutil.rmtree(aside, ignore_errors=True)


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


def _is_of_ours(name: str, version: Version) -> bool:
    """Says whether a file of this name may be what a job left that was killed while it published to a bucket."""
    return name in _AROUND or (name.startswith(f"{version.name}-") and ".tfrecord-" in name)


def _order(number: str) -> tuple[int, ...]:
    return tuple(map(int, number.split(".")))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
