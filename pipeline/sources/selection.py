"""Which files below SRC count: --exclude leaves some out, --include takes some pictures alone.

    *.gif            this name, in any folder          thumbs           a file or folder of this name, in any folder
    train/dog        this file or folder below SRC     train/*/small    * and ? and [ab] stop at a slash, ** does not

What is said of a folder holds for all in it. Capitals count.
"""

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline.source import UserError, counted
from imageshards.pipeline.sources.files import Files

_WILD = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^]/]+\]")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclasses.dataclass(frozen=True)
class Selection:
    """Globs of files to leave out, and of the pictures to take; `above` is the folder that the globs start from."""

    exclude: Sequence[str] = ()
    include: Sequence[str] = ()
    above: str = ""  # of SRC, with a slash behind it

    def __post_init__(self) -> None:
        for flag, glob in [("--exclude", glob) for glob in self.exclude] + [("--include", g) for g in self.include]:
            if not glob.strip("/. ") or not _is_pattern(pattern(glob)):
                raise UserError(
                    f"{flag} {glob!r}: give a glob of what lies below SRC, such as 'thumbs' or 'train/*.gif'"
                )

    def below(self, name: str) -> "Selection":
        """Returns the same choice for a folder below SRC."""
        return dataclasses.replace(self, above=f"{self.above}{name}/")

    def excludes(self, path: str) -> bool:
        """Says whether a path below SRC is left out, or lies in a folder that is."""
        return any(re.search(pattern(glob), self.above + path) for glob in self.exclude)

    def leave_out(self, files: Files) -> tuple[Files, list[str]]:
        """Returns the files that are not excluded, and how many each glob left out."""
        notes = []
        for glob in self.exclude:
            fits = self._fits(files, glob)
            out = files.where(fits)
            such = f", such as {out[0].key}" if out else ""
            notes.append(f"--exclude {glob!r} leaves out {counted(len(out), 'file')}{such}")
            files = files.where(pc.invert(fits))
        return files, notes

    def take(self, images: Files) -> tuple[Files, list[str]]:
        """Returns the pictures that are included, and how many are not.

        Raises:
          UserError: a glob fits none.
        """
        if not self.include:
            return images, []
        each = [self._fits(images, glob) for glob in self.include]
        for glob, fits in zip(self.include, each, strict=True):
            if not fits.true_count and not self.above:
                raise UserError(f"--include {glob!r}: no picture fits it; it is a glob of what lies below SRC")
        taken = images.where(functools.reduce(pc.or_, each))
        return taken, [f"--include leaves out {counted(len(images) - len(taken), 'picture')}"]

    def _fits(self, files: Files, glob: str) -> pa.BooleanArray:
        keys = files.rows["key"]
        if self.above:
            keys = pc.binary_join_element_wise(pa.scalar(self.above, keys.type), keys, pa.scalar("", keys.type))
        return pc.match_substring_regex(keys, pattern(glob))


EVERYTHING = Selection()


def pattern(glob: str) -> str:
    """Returns the regular expression of paths that are what a glob names, or lie in it."""
    glob = unicodedata.normalize("NFC", glob).removeprefix("./")
    whole = glob.strip("/")
    parts, end = [], 0
    for wild in _WILD.finditer(whole):
        parts += [re.escape(whole[end : wild.start()]), _MEANING.get(wild[0]) or _set(wild[0][1:-1])]
        end = wild.end()
    parts.append(re.escape(whole[end:]))
    anywhere = "" if "/" in glob.rstrip("/") else "(?:.*/)?"
    inside = "/" if glob.endswith("/") else "(?:/|$)"
    return f"^{anywhere}{''.join(parts)}{inside}"


def _set(characters: str) -> str:
    """Returns a set of characters, which `!` turns round, as a regular expression."""
    others = "^" if characters.startswith("!") else ""
    escaped = re.sub(r"[\\\[^]", lambda character: f"\\{character[0]}", characters.removeprefix("!"))
    return f"[{others}{escaped}]"


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True
