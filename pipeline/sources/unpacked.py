"""SRC as an archive: unpacked beside OUT, once, and read from there as any folder."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from imageshards.pipeline import storage
from imageshards.pipeline.archives import Limits, Member, members, suffix_of, write_below
from imageshards.pipeline.source import UserError, printable

_FILES = 20_000_000
_RATIO = 200  # an archive of pictures hardly shrinks; one that grows more than so often is a bomb
_SMALL = 1 << 30  # bytes that an archive of any size may hold
_ADVICE = "; if it is sound, unpack it yourself and give the folder"


def is_archive(src: str) -> bool:
    """Says whether SRC is an archive that can be unpacked."""
    return bool(suffix_of(src)) and (storage.is_bucket(src) or Path(src).is_file())


def unpacked(src: str, out: str) -> Path:
    """Returns the folder that holds what the archive `src` does, called as the archive is: OUT-unpacked/…/pets.

    It is there whole or not at all, and is used again while the archive is the same. Archives in it, as Kaggle packs
    them, are unpacked too, once.

    Raises:
      UserError: the archive cannot be read, is unsafe, or is too large; or it or OUT is in a bucket.
    """
    if storage.is_bucket(src) or storage.is_bucket(out):
        raise UserError(f"{src}: an archive is unpacked on this machine, beside OUT; unpack it, and give the folder")
    archive = Path(src).resolve()
    about = archive.stat()
    name = archive.name[: -len(suffix_of(archive.name))].strip() or "archive"
    whose = _digest(str(archive))
    beside = Path(out).resolve().with_name(f"{Path(out).resolve().name}-unpacked")
    whole = beside / f"{whose}-{_digest(about.st_size, about.st_mtime_ns)}"
    try:
        beside.mkdir(parents=True, exist_ok=True)
        with (beside / f"{whose}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                for old in beside.glob(f"{whose}-*"):
                    shutil.rmtree(old)
                aside = beside / f"{whose}-incomplete"
                _unpack(archive, aside / name, about)
                aside.rename(whole)
    except OSError as error:
        raise UserError(f"{src}: cannot be unpacked into {beside}: {error.strerror}; choose another --out") from error
    return _without_wrapper(whole / name)


def _digest(*values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:12]


def _unpack(archive: Path, folder: Path, about: os.stat_result) -> None:
    """Unpacks an archive, and those in it. The files change when the archive does: its own times may be anything."""
    size = min(max(_SMALL, _RATIO * about.st_size), shutil.disk_usage(folder.parent.parent).free * 9 // 10)
    limits, inner = Limits(_FILES, size, _ADVICE), list[str]()
    try:
        with archive.open("rb") as stream:
            found = _noting_archives(members(stream, archive.name), inner)
            left = write_below(folder, found, limits, about.st_mtime_ns)
        if left == limits:
            raise UserError("there is no file in it; give an archive of pictures")
        for path in map(folder.joinpath, inner):
            left = _unpack_inner(path, left, about.st_mtime_ns)
    except UserError as error:
        shutil.rmtree(folder.parent)
        name = printable(archive.name)
        raise UserError(str(error) if str(error).startswith(name) else f"{name}: {error}") from error


def _noting_archives(files: Iterable[Member], inner: list[str]) -> Iterator[Member]:
    for member in files:
        if suffix_of(member.name):
            inner.append(member.name.replace("\\", "/"))
        yield member


def _unpack_inner(archive: Path, limits: Limits, mtime_ns: int) -> Limits:
    """Puts what an archive holds in its place, as a folder of its name, unless there is one."""
    folder = archive.with_name(archive.name[: -len(suffix_of(archive.name))])
    if folder.exists():
        return limits
    with archive.open("rb") as stream:
        left = write_below(folder, members(stream, archive.name), limits, mtime_ns)
    wrapped = _without_wrapper(folder)
    if wrapped != folder:
        aside = wrapped.rename(folder.with_name(f"{folder.name}.tmp"))
        folder.rmdir()
        aside.rename(folder)
    archive.unlink()
    return left


def _without_wrapper(folder: Path) -> Path:
    """Returns the folder in it, where that alone is there and has the same name: zip -r pets.zip pets/."""
    entries = list(folder.iterdir()) if folder.is_dir() else []
    return entries[0] if len(entries) == 1 and entries[0].is_dir() and entries[0].name == folder.name else folder
