"""What people drop on the app: folders and archives, laid out as a raw tree that the records job reads.

A name or an archive from a browser is untrusted: nothing is written outside the folder that it is unpacked into, and
nothing beyond the limits.
"""

import dataclasses
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from imageshards.pipeline import archives
from imageshards.pipeline.archives import Member, members, suffix_of, write_below
from imageshards.pipeline.source import UserError


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
    """Writes the files below `folder`, archives unpacked and folders that hold all else left out; returns how many.

    Raises:
      UserError: a name leads out of the folder, an archive is damaged, or there is too much.
    """
    aside = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(aside, ignore_errors=True)
    advice = "; build it with make records instead"
    left = write_below(aside, _files(uploads), archives.Limits(limits.files, limits.megabytes << 20, advice))
    count = limits.files - left.files
    if not count:
        raise UserError("nothing was uploaded")
    _without_shared_folders(aside).rename(folder)
    shutil.rmtree(aside, ignore_errors=True)
    return count


def _files(uploads: Iterable[Upload]) -> Iterator[Member]:
    for upload in uploads:
        if suffix_of(upload.name):
            yield from members(upload.content, upload.name)
        else:
            yield Member(upload.name, upload.content)


def _without_shared_folders(folder: Path) -> Path:
    """Returns the first folder that holds more than one thing: `pets/` around all labels is not a label."""
    while len(entries := list(folder.iterdir())) == 1 and entries[0].is_dir():
        folder = entries[0]
    return folder
