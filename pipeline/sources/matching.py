"""From the names in a table to the files that they mean, a column at a time.

A name is a path from the table's folder or from SRC. Where it is not, it may still name one file: without the
extension, with another one, in other case, with `%20` for a blank, or with the folders of another machine or of a
bucket. It never names a file where two fit, nor one in another folder than it says.
"""

import collections
import dataclasses
import functools
import posixpath
import re
import unicodedata
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline.source import Reason, counted
from imageshards.pipeline.sources.listing import IMAGE_SUFFIXES, Listing
from imageshards.pipeline.sources.names import folder_split, is_container

_BUCKET = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/]*/")
_ELSEWHERE = re.compile(r"\A(/|[A-Za-z][A-Za-z0-9+.-]*:)")  # a root, a drive, a bucket
_PREFIX = r"[0-9a-f]{5,36}(?:-[0-9a-f]{4,12})*[-_]"
_UPLOAD = re.compile(rf"\A{_PREFIX}(?=.)", re.IGNORECASE)
_LOCAL_FILES = re.compile(r"\A.*[?&]d=")  # Label Studio's /data/local-files/?d=images/1.jpg

# How a name fits, the nearest first; what a user is told of it.
_WAYS = (
    "",
    "in other case",
    "without its extension",
    "without its extension, and in other case",
    "with another extension",
    "with more or fewer leading zeros",
    "with what an upload puts before the name",
)
_EXACT, _CASE, _STEM, _STEM_CASE, _OTHER_SUFFIX, _ZEROS, _UPLOADED = range(len(_WAYS))
_BLOCK = 1 << 16  # names that are looked for at a time


@dataclasses.dataclass
class Found:
    """The files that a column of names means."""

    places: np.ndarray
    """int64 (names,): which file of Names.files; -1 where none."""

    failures: dict[int, tuple[Reason, str]]
    """For names without a file, by their number: why, and in words."""

    ways: collections.Counter[str]
    """How many names fit their file other than exactly, in words."""


class Names:
    """Finds the files of a listing by what tables call them; images first, then all others."""

    def __init__(self, listing: Listing) -> None:
        self._root = listing.root.as_posix() + "/"
        self._images = listing.images.rows["key"]
        self._others = listing.others.rows["key"]

    def find(self, names: pa.Array, base: str, split: str | None = None) -> Found:
        """Returns the file that each name means.

        Args:
          names: large_string, as the table has them; null is blank.
          base: the table's folder below SRC; "" for SRC itself.
          split: the split that the whole table is about: of files that fit equally well it prefers those in its folder.
        """
        paths = _as_paths(names, self._root)
        places = self._exact(paths, base)
        found = Found(places, {}, collections.Counter())
        left = np.flatnonzero(places < 0)
        if len(left):
            self._by_end(paths.take(pa.array(left)), left, base, split, found)
        return found

    def have_split_folders(self) -> bool:
        """Says whether images lie in the folder of a split."""
        folders = pc.replace_substring_regex(self._images, r"[^/]*$", "").unique()
        return any(map(folder_split, folders.to_pylist()))

    def hits(self, names: pa.Array, base: str) -> int:
        """Returns how many of a few names mean an image."""
        places = self.find(names, base).places
        return int(np.count_nonzero((places >= 0) & (places < len(self._images))))

    def _exact(self, paths: pa.Array, base: str) -> np.ndarray:
        tries = [pc.binary_join_element_wise(_text(base + "/"), paths, _text(""))] if base else []
        places = np.full(len(paths), -1, np.int64)
        for keys, start in ((self._images, 0), (self._others, len(self._images))):
            for names in (*tries, paths):
                missing = places < 0
                if missing.any():
                    at = pc.fill_null(pc.index_in(names, keys), -1).to_numpy(zero_copy_only=False).astype(np.int64)
                    places = np.where(missing & (at >= 0), at + start, places)
        return places

    def _by_end(self, paths: pa.Array, numbers: np.ndarray, base: str, split: str | None, found: Found) -> None:
        """Finds the files of names that are not paths from here."""
        shared = _shared_folders(paths)
        for start in range(0, len(paths), _BLOCK):
            texts = paths.slice(start, _BLOCK).to_pylist()
            alike = self._alike({_Parts.of(written).name for text in texts for written, _ in _spellings(text)})
            for number, text in zip(numbers[start : start + _BLOCK].tolist(), texts, strict=True):
                if not text:
                    found.failures[number] = (Reason.ROW_NO_FILE, "is not a file: the cell is blank")
                    continue
                place, way, reason, words = self._nearest(text, base, split, shared, alike)
                if place < 0:
                    found.failures[number] = (reason, words)
                else:
                    found.places[number] = place
                    if way:
                        found.ways[way] += 1

    def _nearest(
        self, text: str, base: str, split: str | None, shared: int, alike: "_Alike"
    ) -> tuple[int, str, Reason, str]:
        for written, note in _spellings(text):
            parts = _Parts.of(written)
            if ".." in parts.folders:
                inside = posixpath.normpath(posixpath.join(base, written))
                if parts.elsewhere or inside.startswith("../"):
                    return -1, "", Reason.ROW_OUTSIDE, "lies outside SRC"
                parts = _Parts.of(inside)
            best = self._fitting(parts, shared, alike)
            if split and len(best) > 1:
                best = [fit for fit in best if folder_split(self._images[fit[1]].as_py()) == split] or best
            if len(best) == 1:
                (way, place, moved) = best[0]
                words = _WAYS[way] or note or ("by another folder or none" if moved else "")
                return place, words, Reason.ROW_NO_FILE, ""
            if best:
                names = [self._images[place].as_py() for _, place, _ in best[:2]]
                words = f"fits {counted(len(best), 'file')}, such as {names[0]!r} and {names[1]!r}"
                return -1, "", Reason.ROW_AMBIGUOUS, words
        return -1, "", Reason.ROW_NO_FILE, "is not in SRC"

    def _fitting(self, parts: "_Parts", shared: int, alike: "_Alike") -> list[tuple[int, int, bool]]:
        """Returns the files that fit equally well: the way, the place, and whether the folders differ."""
        best: list[tuple[int, int, bool]] = []
        rank = (len(_WAYS), 0)
        for place in dict.fromkeys(place for form in _forms(parts.name) for place in alike.get(form, ())):
            folder, _, name = self._images[place].as_py().rpartition("/")
            way = _way(parts.name, name)
            folders = folder.split("/") if folder else []
            agree = _agreement(parts, folders, shared)
            if way is None or agree is None:
                continue
            if (way, -agree) < rank:
                best, rank = [], (way, -agree)
            if (way, -agree) == rank:
                best.append((way, place, parts.elsewhere or folders != parts.folders))
        return best

    def _alike(self, names: Iterable[str]) -> "_Alike":
        """Returns the images whose name might be meant by one of `names`, by what they have in common with it."""
        forms = pa.array(sorted({form for name in names for form in _forms(name)}), pa.large_string())
        found: dict[str, list[int]] = collections.defaultdict(list)
        for places, stems in self._stems:
            at = np.flatnonzero(pc.is_in(stems, forms).to_numpy(zero_copy_only=False))
            here = at if places is None else places[at]
            for place, stem in zip(here.tolist(), stems.take(pa.array(at)).to_pylist(), strict=True):
                found[stem].append(place)
        return found

    @functools.cached_property
    def _stems(self) -> list[tuple[np.ndarray | None, pa.Array]]:
        """The images' names without folder and extension, in small letters; and without what may be missing in a table.

        That is what an upload puts before a name, and zeros before a number: of the images that have it, with places.
        """
        stems = pc.utf8_lower(pc.replace_substring_regex(self._images, r"^(?:.*/)?([^/]+?)(?:\.[^./]*)?$", r"\1"))
        less: list[tuple[np.ndarray | None, pa.Array]] = [(None, stems)]
        for pattern in (rf"^{_PREFIX}(.)", r"^0+([0-9]+)$"):
            has = pc.match_substring_regex(stems, pattern)
            if has.true_count:
                places = np.flatnonzero(has.to_numpy(zero_copy_only=False))
                less.append((places, pc.replace_substring_regex(stems.filter(has), pattern, r"\1")))
        return less


_Alike = Mapping[str, Sequence[int]]


@dataclasses.dataclass(frozen=True)
class _Parts:
    folders: list[str]
    name: str
    elsewhere: bool  # another machine's path, or a bucket's

    @classmethod
    def of(cls, path: str) -> "_Parts":
        parts = [part for part in _BUCKET.sub("", path).split("/") if part not in ("", ".")] or [""]
        return cls(parts[:-1], parts[-1], bool(_ELSEWHERE.match(path)))


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())


def _as_paths(names: pa.Array, root: str) -> pa.Array:
    """Returns names with `/` between folders, relative to SRC where they start there, in Unicode's form C."""
    paths = pc.fill_null(pc.utf8_trim_whitespace(names), "")
    if pc.any(pc.match_substring(paths, "\\")).as_py():
        paths = pc.replace_substring(paths, "\\", "/")
    plain = pc.string_is_ascii(paths)
    if not pc.all(plain).as_py():
        paths = _composed(paths, pc.invert(plain))
    if pc.any(pc.starts_with(paths, root)).as_py():
        paths = pc.replace_substring_regex(paths, "^" + re.escape(root), "")
    if pc.any(pc.match_substring_regex(paths, r"^\./|//|/\./")).as_py():
        paths = pc.replace_substring_regex(paths, r"^(\./+)+", "")
        paths = pc.if_else(pc.match_substring(paths, "://"), paths, pc.replace_substring_regex(paths, r"/(\.?/)+", "/"))
    return paths


def _composed(paths: pa.Array, which: pa.BooleanArray) -> pa.Array:
    """Returns paths, some of them put into Unicode's form C. (Arrow's utf8_normalize takes characters apart only.)"""
    written = (unicodedata.normalize("NFC", text) for text in paths.filter(which).to_pylist())
    return pc.replace_with_mask(paths, which, pa.array(written, paths.type))


def _shared_folders(paths: pa.Array) -> int:
    """Returns how many folders all paths of another machine, or of a bucket, begin with."""
    elsewhere = paths.filter(pc.match_substring_regex(paths, _ELSEWHERE.pattern))
    if len(elsewhere) < 2:
        return 0
    bounds = pc.min_max(elsewhere)  # what the first and the last have in common, all have
    first, last = (_Parts.of(bounds[name].as_py()).folders for name in ("min", "max"))
    return len(posixpath.commonprefix([first, last]))


def _forms(name: str) -> list[str]:
    """Returns what the stem of a file may be that is meant by a name, in small letters."""
    stem = posixpath.splitext(name)[0]
    bare = _UPLOAD.sub("", stem)
    return [_plain(form) for form in dict.fromkeys((name, stem, bare, stem.lstrip("0") or "0"))]


def _spellings(text: str) -> Iterator[tuple[str, str]]:
    """Yields what a name may stand for, and how that is said."""
    yield text, ""
    if _LOCAL_FILES.match(text):
        yield urllib.parse.unquote(_LOCAL_FILES.sub("", text)), "behind ?d="
    if "://" in text and "?" in text:
        yield text.partition("?")[0], "before a question mark"
    if "%" in text and (plain := unicodedata.normalize("NFC", urllib.parse.unquote(text))) != text:
        yield plain, "with %-encoding"


def _way(written: str, name: str) -> int | None:
    """Returns in which way a written name fits a file's; None where it does not."""
    if written == name:
        return _EXACT
    if _plain(written) == _plain(name):
        return _CASE
    stem, written_stem = posixpath.splitext(name)[0], posixpath.splitext(written)[0]
    if written == stem:
        return _STEM
    if _plain(written) == _plain(stem):
        return _STEM_CASE
    if posixpath.splitext(written)[1].lower() not in ("", *IMAGE_SUFFIXES):
        return None  # "1.5" is not "1.jpg"
    if _plain(written_stem) == _plain(stem):
        return _OTHER_SUFFIX
    if _number(written_stem) is not None and _number(written_stem) == _number(stem):
        return _ZEROS
    both = {_plain(_UPLOAD.sub("", written_stem)), _plain(written_stem)} & {_plain(_UPLOAD.sub("", stem)), _plain(stem)}
    return _UPLOADED if both else None


def _agreement(parts: _Parts, folders: Sequence[str], shared: int) -> int | None:
    """Returns how many folders a path and a file share, from the last on; None where they name different ones.

    What another machine's paths have in common, and folders that only hold pictures, say nothing of a file's place.
    """
    agreed = _common_end(parts.folders, folders)
    if agreed >= min(len(parts.folders), len(folders)):
        return agreed
    theirs = [name for name in (parts.folders[shared:] if parts.elsewhere else parts.folders) if not is_container(name)]
    ours = [name for name in folders if not is_container(name)]
    agreed = _common_end(theirs, ours)
    return agreed if agreed >= min(len(theirs), len(ours)) and not (ours and not theirs) else None


def _common_end(first: Sequence[str], second: Sequence[str]) -> int:
    pairs = zip(reversed(first), reversed(second), strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))


def _number(stem: str) -> str | None:
    """Returns a number without zeros before it; None where a name is none."""
    return (stem.lstrip("0") or "0") if stem.isascii() and stem.isdigit() else None


def _plain(name: str) -> str:
    return name.lower()
