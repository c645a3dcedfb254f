"""What lies below SRC: every regular file once, in the order of its key; links that lead astray are rejected.

Hidden files and folders, and the litter of archivers and file managers, are not listed.
"""

import collections
import dataclasses
import datetime
import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from imageshards.pipeline import storage
from imageshards.pipeline.source import UNPRINTABLE, File, Reason, Rejected, UserError, printable

# What a user would call an image. Those that `images.DECODERS` does not read are found too, and rejected with a reason.
IMAGE_SUFFIXES = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
        *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".svg", ".ico", ".tga", ".eps", ".wmf", ".fits"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"),
    ]
)
_LITTER = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir"})


@dataclasses.dataclass(frozen=True)
class Listing:
    """SRC and what lies in it. `root` is absolute; `images` and `others` are sorted by key."""

    root: Path
    images: list[File]
    others: list[File]
    rejected: list[Rejected]

    def ignored(self) -> collections.Counter[str]:
        """Returns how many files are no images, by extension."""
        return collections.Counter(file.suffix or "no extension" for file in self.others)


def list_files(src: str, *, follow_outside: bool = False) -> Listing:
    """Returns the files below the folder `src`.

    Raises:
      UserError: `src` is missing, is no folder, or cannot be read.
    """
    root = storage.place(src)
    if storage.is_bucket(root):
        found = storage.walk(root)
        if not found:
            raise UserError(f"{src}: nothing is there; SRC is the folder with your images")
        walked = [_in_bucket(name, details) for name, details in found]
        return _sorted(
            root, [file for file in walked if isinstance(file, File)], [f for f in walked if isinstance(f, Rejected)]
        )
    if not root.exists():
        raise UserError(f"{src}: no such folder; SRC is the folder with your images")
    if not root.is_dir():
        raise UserError(f"{src}: not a folder; SRC is the folder with your images")
    root = root.resolve()
    walk = _Walk(root, follow_outside)
    return _sorted(root, walk.files(), walk.rejected)


def _in_bucket(name: str, details: dict[str, Any]) -> File | Rejected | None:
    """Returns a file as a bucket lists it; nothing for what is hidden, or litter."""
    if any(part.startswith(".") or part in _LITTER for part in name.split("/")):
        return None
    if UNPRINTABLE.search(name):
        return Rejected(printable(name), Reason.BAD_NAME, "control characters; rename it")
    changed = details.get("LastModified") or details.get("mtime") or details.get("updated")
    moment = datetime.datetime.fromisoformat(changed) if isinstance(changed, str) else changed
    mtime_ns = int(moment.timestamp() * 1_000_000) * 1000 if moment else 0
    return File(unicodedata.normalize("NFC", name), name, int(details["size"]), mtime_ns)


def _sorted(root: Path, files: Iterable[File], rejected: list[Rejected]) -> Listing:
    images: list[File] = []
    others: list[File] = []
    for file in sorted(files, key=lambda file: (file.key, file.path)):
        if file.suffix not in IMAGE_SUFFIXES:
            others.append(file)
        elif images and file.key == images[-1].key:
            detail = "another file has the same name in Unicode normal form C; rename one of them"
            rejected.append(Rejected(printable(file.path), Reason.SAME_KEY, detail))
        else:
            images.append(file)
    return Listing(root, images, others, rejected)


@dataclasses.dataclass
class _Walk:
    root: Path
    follow_outside: bool
    rejected: list[Rejected] = dataclasses.field(default_factory=list)

    def files(self) -> Iterator[File]:
        """Yields the files below the root, in no order."""
        folders: list[tuple[str, tuple[Path, ...]]] = [
            ("", (self.root,))
        ]  # a path relative to the root, and the real folders that lead to it
        while folders:
            folder, above = folders.pop()
            for entry in self._entries(folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_symlink() and not self._may_follow(path, above):
                    continue
                if entry.is_dir():
                    folders.append((path, (*above, Path(entry.path).resolve()) if entry.is_symlink() else above))
                elif UNPRINTABLE.search(path):
                    self._reject(path, Reason.BAD_NAME, "control characters, or bytes that are no UTF-8; rename it")
                elif not entry.is_file():
                    self._reject(path, Reason.UNREADABLE, "neither a file nor a folder")
                else:
                    stat = entry.stat()
                    key = path if path.isascii() else unicodedata.normalize("NFC", path)
                    yield File(key, path if path != key else key, stat.st_size, stat.st_mtime_ns)

    def _entries(self, folder: str) -> list["os.DirEntry[str]"]:
        try:
            with os.scandir(self.root / folder) as entries:
                return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _LITTER]
        except OSError as error:
            if not folder:
                raise UserError(f"{self.root}: {error.strerror}") from error
            self._reject(folder, Reason.UNREADABLE, f"the folder cannot be listed: {error.strerror}")
            return []

    def _may_follow(self, path: str, above: tuple[Path, ...]) -> bool:
        """Says whether a link leads to something that exists, lies in SRC, and does not lead back to itself."""
        link = self.root / path
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError):
            self._reject(path, Reason.DANGLING_LINK, "the link leads nowhere")
            return False
        if target.is_dir() and any(folder.is_relative_to(target) for folder in (*above, link.parent.resolve())):
            self._reject(path, Reason.DANGLING_LINK, "the link leads back to a folder that it lies in")
            return False
        if not self.follow_outside and not target.is_relative_to(self.root):
            self._reject(path, Reason.LINK_OUTSIDE, "the link leads out of SRC; --follow-outside follows it")
            return False
        return True

    def _reject(self, path: str, reason: Reason, detail: str) -> None:
        self.rejected.append(Rejected(printable(path), reason, detail))
