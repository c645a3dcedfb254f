"""Archives, unpacked into a folder: zip and tar files, as people export, upload and share them.

What lies in one is untrusted. Nothing is written outside the folder or beyond the limits, no link is made, and the
folder is there whole or not at all.
"""

import bz2
import contextlib
import dataclasses
import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, cast

from imageshards.pipeline.source import UserError, printable

_BLOCK = 1 << 20
_HEADER_BYTES = 512  # what an empty file counts for
_LARGEST_HEADER = 2 * _BLOCK  # names and the like, which tarfile reads into memory
_LONGEST_END = 1 << 30  # of zeros
_UNSAFE_PARTS = frozenset({"/", ".."})
_LITTER = "__MACOSX"
_AGAIN = "; copy or download the archive again"
_DAMAGE = (
    *(OSError, EOFError, ValueError, NotImplementedError, RuntimeError, LookupError, OverflowError, struct.error),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError),
)

Opener = Callable[[Any], Any]
_TARS: dict[str, Opener] = {
    ".tar": lambda stream: stream,
    ".tar.gz": lambda stream: gzip.GzipFile(fileobj=stream),
    ".tgz": lambda stream: gzip.GzipFile(fileobj=stream),
    ".tar.bz2": bz2.BZ2File,
    ".tar.xz": lzma.LZMAFile,
}
SUFFIXES = (".zip", *_TARS)


class Member(NamedTuple):
    """A file in an archive, or an uploaded one: its path as it is written there, and its bytes."""

    name: str
    content: BinaryIO


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much may be unpacked, and what to do about more."""

    files: int
    size: int  # bytes
    advice: str = ""


def suffix_of(name: str) -> str:
    """Returns the extension of an archive that can be unpacked, in small letters; "" where it is none."""
    return next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")


def members(stream: BinaryIO, name: str) -> Iterator[Member]:
    """Yields the files in an archive, each of which is to be read before the next one is asked for.

    Raises:
      UserError: the archive is damaged, encrypted, or holds what is neither a file nor a folder.
    """
    found = _in_zip(stream) if suffix_of(name) == ".zip" else _in_tar(_TARS[suffix_of(name)](stream))
    try:
        yield from found
    except UserError as error:
        raise UserError(f"{printable(name)}: {error}") from error
    except _DAMAGE as error:
        kind = suffix_of(name)[1:]
        words = f"no {kind} file, or a damaged one: {printable(str(error))}{_AGAIN}"
        raise UserError(f"{printable(name)}: {words}") from error


def write_below(folder: Path, files: Iterable[Member], limits: Limits, mtime_ns: int | None = None) -> Limits:
    """Writes files below a new folder, and returns what they leave of the limits.

    `mtime_ns` becomes the files' time of change; it is the present unless given.

    Raises:
      UserError: a name leads out of the folder, two files have one name, a file cannot be read, or there is too much.
    """
    count, left = limits.files, limits.size
    folder.mkdir(parents=True)
    for name, content in files:
        count -= 1
        if count < 0:
            raise UserError(f"more than {limits.files:,} files{limits.advice}")
        place = folder.joinpath(*_parts(name))
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as file:
                left -= _HEADER_BYTES + _copy(content, file, left)
            if mtime_ns is not None:
                os.utime(place, ns=(mtime_ns, mtime_ns))
        except FileExistsError as error:
            raise UserError(f"{printable(name)}: cannot be unpacked: two files have this name (File exists)") from error
        except _DAMAGE as error:
            words = getattr(error, "strerror", None) or f"{error}{_AGAIN}"
            raise UserError(f"{printable(name)}: cannot be unpacked: {printable(words)}") from error
        if left < 0:
            raise UserError(f"more than {limits.size >> 20:,} MB, unpacked{limits.advice}")
    return Limits(count, left, limits.advice)


def _copy(content: BinaryIO, file: BinaryIO, most: int) -> int:
    """Copies until the end, or until more than `most` bytes came, and returns how many."""
    size = 0
    while size <= most and (block := content.read(_BLOCK)):
        file.write(block)
        size += len(block)
    return size


def _parts(name: str) -> tuple[str, ...]:
    """Returns the folders and the file that a name leads through; a backslash separates too, and C: is not a folder."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or any(part in _UNSAFE_PARTS or "\0" in part for part in parts) or parts[0][1:] == ":":
        raise UserError(f"{printable(name)}: this name leads out of its folder")
    return parts


def _in_zip(stream: BinaryIO) -> Iterator[Member]:
    with zipfile.ZipFile(stream) as archive:
        for info in archive.infolist():
            name = _zip_name(info)
            if info.is_dir() or name.startswith(f"{_LITTER}/"):
                continue
            _refuse_link(name, stat.S_ISLNK(info.external_attr >> 16))
            if info.flag_bits & 1:
                raise UserError(f"{printable(name)} is encrypted; unpack it with its password, and give the folder")
            with archive.open(info) as content:
                yield Member(name, cast(BinaryIO, content))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Returns a member's name; that of macOS is UTF-8 and does not say so."""
    if info.flag_bits & 0x800:
        return info.filename
    with contextlib.suppress(UnicodeError):
        return info.filename.encode("cp437").decode("utf-8")
    return info.filename


def _in_tar(stream: Any) -> Iterator[Member]:
    with tarfile.open(fileobj=cast(BinaryIO, _ShortReads(stream)), mode="r:") as archive:
        for info in archive:
            cast(Any, archive).members.clear()  # else a million of them stay
            if info.isdir() or info.name.startswith(f"{_LITTER}/"):
                continue
            _refuse_link(info.name, info.issym() or info.islnk())
            content = archive.extractfile(info) if info.isfile() and info.size >= 0 else None
            if content is None:
                raise UserError(f"{printable(info.name)} is neither a file nor a folder; pack files alone")
            yield Member(info.name, cast(BinaryIO, content))
        _check_end(stream, archive.offset)


def _check_end(stream: Any, offset: int) -> None:
    """Checks that a tar file is at its end: tarfile takes damage for one. gzip checks its sum when all was read."""
    stream.seek(offset)
    left = _LONGEST_END
    while block := stream.read(_BLOCK):
        left -= len(block)
        if block.strip(b"\0") or left < 0:
            raise tarfile.ReadError(f"damaged after {offset:,} bytes")


def _refuse_link(name: str, is_link: bool) -> None:
    if is_link:
        raise UserError(f"{printable(name)}: the archive holds a link; pack the file itself")


class _ShortReads:
    """A stream of which nobody reads much at a time: tarfile reads headers whole, whatever size they claim."""

    def __init__(self, stream: BinaryIO) -> None:
        self.seek, self.tell, self._stream = stream.seek, stream.tell, stream

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._stream.read(size)
