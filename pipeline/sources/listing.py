"""What lies below SRC: every regular file once, in the order of its key; links that lead astray are rejected.

Hidden files and folders, and the litter of archivers and file managers, are not listed.
"""

import collections
import concurrent.futures
import dataclasses
import os
import shlex
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline import storage
from imageshards.pipeline.source import UNPRINTABLE, File, Reason, Rejected, UserError, printable
from imageshards.pipeline.sources.files import Files
from imageshards.pipeline.sources.first_bytes import OTHER_SUFFIXES, recognize
from imageshards.pipeline.sources.selection import EVERYTHING, Selection

# What a user would call an image. Those that `images.formats` does not read are found too, and rejected with a reason.
IMAGE_SUFFIXES = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
        *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".psd", ".svg", ".ico", ".tga", ".eps", ".wmf", ".fits"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"),
    ]
)
_LISTED_AT_ONCE = 16  # folders of a bucket
_UPPER_LEVELS = 3  # of a bucket, which are looked through for so many folders
_LITTER = frozenset({"__MACOSX", "Icon\r", "Thumbs.db", "desktop.ini", "@eaDir"})


@dataclasses.dataclass(frozen=True)
class Listing:
    """SRC and what lies in it. `root` is absolute; `images` and `others` are sorted by key."""

    root: Path
    images: Files
    others: Files
    rejected: list[Rejected]
    notes: list[str]  # what else to know

    def ignored(self) -> collections.Counter[str]:
        """Returns how many files are not images, by extension."""
        return collections.Counter(file.suffix or "no extension" for file in self.others)


def list_files(src: str, *, follow_outside: bool = False, selection: Selection = EVERYTHING) -> Listing:
    """Returns the files below the folder `src`, or those of them that are selected.

    Raises:
      UserError: `src` is missing, is not a folder, or it or a folder in it cannot be read.
    """
    root, rejected = storage.place(src), list[Rejected]()
    if storage.is_bucket(root):
        files = _in_bucket(root, rejected)
        if not files and not rejected:
            raise UserError(f"{src}: nothing is there; SRC is the folder with your images")
        return _listing(root, files, rejected, selection)
    if not root.exists():
        raise UserError(f"{src}: no such folder; SRC is the folder with your images")
    if not root.is_dir():
        if root.suffix.lower() in IMAGE_SUFFIXES:
            raise UserError(f"{src}: a single picture; SRC is the folder with all of your images")
        raise UserError(f"{src}: neither a folder nor a .zip, .tar or .tar.gz of one; unpack it, and give the folder")
    root = root.resolve()
    walk = _Walk(root, follow_outside, selection, rejected)
    return _listing(root, Files.of(walk.files()), rejected, selection)


def _listing(root: Path, files: Files, rejected: list[Rejected], selection: Selection) -> Listing:
    files, notes = selection.leave_out(files.in_order("key", "path"))
    suffixes = _suffixes(files.rows["key"])
    named = pc.is_in(suffixes, pa.array(sorted(IMAGE_SUFFIXES), suffixes.type))
    unknown = pc.invert(pc.or_(named, pc.is_in(suffixes, pa.array(sorted(OTHER_SUFFIXES), suffixes.type))))
    recognized = recognize(root, files.where(unknown))
    images = pc.replace_with_mask(named, unknown, recognized)
    taken, left_out = selection.take(files.where(images))
    found, again = _once(taken)
    rejected = [reject for reject in rejected + again if not selection.excludes(reject.file)]
    notes += [*left_out, *_recognized(files.where(unknown).where(recognized))]
    return Listing(root, found, files.where(pc.invert(images)), rejected, notes)


def _recognized(files: Files) -> list[str]:
    if not files:
        return []
    have = "picture has" if len(files) == 1 else "pictures have"
    return [f"{len(files):,} {have} no extension of one, such as {files[0].key}; found by their first bytes"]


def _once(files: Files) -> tuple[Files, list[Rejected]]:
    """Returns the files, in order, without those whose key another one has."""
    keys = files.rows["key"]
    again = pa.array([False] * min(1, len(keys)), pa.bool_())
    if len(keys) > 1:
        again = pa.concat_arrays([again, pc.equal(keys[1:], keys[:-1])])
    detail = "another file has the same name in Unicode normal form C; rename one of them"
    rejected = [Rejected(printable(file.path), Reason.SAME_KEY, detail) for file in files.where(again)]
    return files.where(pc.invert(again)), rejected


def _suffixes(keys: pa.Array) -> pa.Array:
    """Returns the extension of each key as File.suffix has it, "" where there is none."""
    return pc.utf8_lower(pc.replace_substring_regex(keys, r"^(?:.*/)?[^/]+?(\.[^./]*)?$", r"\1"))


def _in_bucket(root: Path, rejected: list[Rejected]) -> Files:
    """Lists a bucket: its upper folders first, for a page follows a page, and folders are listed side by side."""

    def level(folder: str) -> tuple[Files, list[str]]:
        found = list(storage.pages(root, folder, deep=False))
        folders = [name for page in found for name in page.folders if not _is_litter(name)]
        return Files.of(_objects(found, rejected)), folders

    def all_below(folder: str) -> Files:
        return Files.of(_objects(storage.pages(root, folder), rejected))

    parts, folders = [], [""]
    with concurrent.futures.ThreadPoolExecutor(_LISTED_AT_ONCE) as threads:
        for _ in range(_UPPER_LEVELS):
            if not folders or len(folders) >= _LISTED_AT_ONCE:
                break
            upper = list(threads.map(level, folders))
            parts += [files for files, _ in upper]
            folders = [folder for _, below in upper for folder in below]
        parts += threads.map(all_below, folders)
    return Files.joined(parts)


def _objects(pages: Iterable[storage.Page], rejected: list[Rejected]) -> Iterator[File]:
    for name, size, changed in (item for page in pages for item in page.objects):
        if name.endswith("/") or not name or _is_litter(name):
            continue
        if UNPRINTABLE.search(name):
            rejected.append(Rejected(printable(name), Reason.BAD_NAME, "control characters; rename it"))
        else:
            mtime_ns = int(changed.timestamp() * 1_000_000) * 1000
            yield File(unicodedata.normalize("NFC", name), name, size, mtime_ns)


def _is_litter(name: str) -> bool:
    """Says whether a path in a bucket is hidden, or litter, or in such a folder."""
    return any(part.startswith(".") or part in _LITTER for part in name.split("/"))


class _Folder(NamedTuple):
    """A folder by its path below the root, where links lead from there, and the real folders that lead to it."""

    path: str
    real: str
    above: tuple[Path, ...]


class _NotAFileError(Exception):
    """Why an entry of a folder is neither a folder nor a file of SRC: a reason and its detail."""


@dataclasses.dataclass
class _Walk:
    root: Path
    follow_outside: bool
    selection: Selection
    rejected: list[Rejected]

    def files(self) -> Iterator[File]:
        """Yields the files below the root, in no order. Where links lead to one, its path is the real one."""
        folders = [_Folder("", "", (self.root,))]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self.root / folder.path) as entries:
                    for entry in entries:
                        if entry.name.startswith(".") or entry.name in _LITTER:
                            continue
                        found = self._found(entry, folder)
                        if isinstance(found, _Folder):
                            folders.append(found)
                        elif found:
                            yield found
            except (FileNotFoundError, NotADirectoryError):
                self._reject(folder.path, Reason.CHANGED, "the folder was there, and was gone a moment later")
            except OSError as error:
                if not self.selection.excludes(folder.path):
                    where, glob = printable(str(self.root / folder.path)), printable(shlex.quote(folder.path))
                    raise UserError(
                        f"{where}: this folder cannot be listed: {error.strerror}; make it readable"
                        + (f", or leave it out with --exclude {glob}" if folder.path else "")
                    ) from error

    def _found(self, entry: "os.DirEntry[str]", folder: _Folder) -> _Folder | File | None:
        path = folder.path + entry.name
        try:
            return self._folder_or_file(entry, path, folder)
        except FileNotFoundError:
            self._reject(path, Reason.CHANGED, "the file was there, and was gone a moment later")
        except _NotAFileError as error:
            self._reject(path, *error.args)
        return None

    def _folder_or_file(self, entry: "os.DirEntry[str]", path: str, folder: _Folder) -> _Folder | File:
        real, above = folder.real + entry.name, folder.above
        if entry.is_symlink():
            target = self._target(path, above)
            real, above = os.path.relpath(target, self.root), (*above, target)
        if entry.is_dir():
            return _Folder(f"{path}/", f"{real}/", above)
        if UNPRINTABLE.search(path):
            raise _NotAFileError(Reason.BAD_NAME, "control characters, or bytes that are not UTF-8; rename it")
        stat = entry.stat()
        if not entry.is_file():
            raise _NotAFileError(Reason.UNREADABLE, "neither a file nor a folder")
        key = path if path.isascii() else unicodedata.normalize("NFC", path)
        return File(key, real, stat.st_size, stat.st_mtime_ns)

    def _target(self, path: str, above: tuple[Path, ...]) -> Path:
        """Returns what a link leads to, if that exists, lies in SRC, and does not lead back to the link."""
        link = self.root / path
        try:
            target = link.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            if storage.is_fault(error):  # or it may not be followed
                raise
            raise _NotAFileError(Reason.DANGLING_LINK, "the link leads nowhere") from error
        if target.is_dir() and any(folder.is_relative_to(target) for folder in (*above, link.parent.resolve())):
            raise _NotAFileError(Reason.DANGLING_LINK, "the link leads back to a folder that it lies in")
        if not self.follow_outside and not target.is_relative_to(self.root):
            raise _NotAFileError(Reason.LINK_OUTSIDE, "the link leads out of the folder")
        return target

    def _reject(self, path: str, reason: Reason, detail: str) -> None:
        self.rejected.append(Rejected(printable(path.rstrip("/")), reason, detail))
