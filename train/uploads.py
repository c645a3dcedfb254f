"""What people drop on the app: folders and zip files, laid out as a raw tree that the records job reads.

A name or an archive from a browser is untrusted: nothing is written outside the folder that it is unpacked into, and
nothing beyond the limits.
"""

import dataclasses
import shutil
import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from imageshards.pipeline.source import UserError, printable

_BLOCK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much one upload may hold, unpacked."""

    files: int = 100_000
    megabytes: int = 2000


@dataclasses.dataclass(frozen=True)
class Upload:
    """One file as a browser names it: a folder's come with their path, `pets/cat/1.jpg`."""

    name: str
    content: BinaryIO


def lay_out(uploads: Iterable[Upload], folder: Path, limits: Limits) -> int:
    """Writes the files below `folder`, zip files unpacked and folders that hold all else left out; returns how many.

    Raises:
      UserError: a name leads out of the folder, an archive is damaged, or there is too much.
    """
    left = limits.megabytes << 20
    aside = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    count = 0
    for count, (name, content) in enumerate(_files(uploads), 1):
        if count > limits.files:
            raise UserError(f"more than {limits.files:,} files were uploaded; build it with make records instead")
        place = aside.joinpath(*_parts(name))
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with place.open("xb") as file:
                while block := content.read(_BLOCK):
                    left -= len(block)
                    if left < 0:
                        raise UserError(f"more than {limits.megabytes:,} MB were uploaded, unpacked")
                    file.write(block)
        except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise UserError(f"{printable(name)}: cannot be unpacked: {error}") from error
    if not count:
        raise UserError("nothing was uploaded")
    _without_shared_folders(aside).rename(folder)
    shutil.rmtree(aside, ignore_errors=True)
    return count


def _files(uploads: Iterable[Upload]) -> Iterator[tuple[str, BinaryIO]]:
    for upload in uploads:
        if not upload.name.lower().endswith(".zip"):
            yield upload.name, upload.content
            continue
        try:
            archive = zipfile.ZipFile(upload.content)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise UserError(f"{printable(upload.name)}: no zip file, or a damaged one: {error}") from error
        with archive:
            for info in archive.infolist():
                if info.is_dir() or info.filename.startswith("__MACOSX/"):
                    continue
                if stat.S_ISLNK(info.external_attr >> 16):
                    raise UserError(f"{printable(info.filename)}: the archive holds a link; pack the file itself")
                yield info.filename, _opened(archive, info, upload.name)


def _opened(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> BinaryIO:
    try:
        return cast(BinaryIO, archive.open(info))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise UserError(f"{printable(name)}: {printable(info.filename)} cannot be unpacked: {error}") from error


def _parts(name: str) -> tuple[str, ...]:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or any(part in ("/", "..") or "\0" in part for part in parts):
        raise UserError(f"{printable(name)}: this name leads out of its folder")
    return parts


def _without_shared_folders(folder: Path) -> Path:
    """Returns the first folder that holds more than one thing: `pets/` around all labels is no label."""
    while len(entries := list(folder.iterdir())) == 1 and entries[0].is_dir():
        folder = entries[0]
    return folder
