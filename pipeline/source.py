"""The first words of the data flow: a found file, a labelled source image, and the line about what could not be one."""

import dataclasses
import enum
import os
import re
import sys
import unicodedata

from imageshards.pipeline.errors import JobError as JobError  # noqa: PLC0414
from imageshards.pipeline.errors import UserError as UserError  # noqa: PLC0414 (its public place)

SPLITS = ("train", "validation", "test")

# What people call them, in folder names and manifests, in any case.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}


class Reason(enum.StrEnum):
    """Why something was rejected: the stable codes of `rejected.csv`. Codes `row-…` are about a manifest's row."""

    # by name or place
    BAD_LABEL = "bad-label"
    BAD_NAME = "bad-name"
    BAD_SPLIT = "bad-split"
    CONFLICTING_ROWS = "conflicting-rows"
    DANGLING_LINK = "dangling-link"
    LEFT_OUT = "left-out"
    LINK_OUTSIDE = "link-outside"
    NO_LABEL = "no-label"
    NO_ROW = "no-row"
    SEVERAL_LABELS = "several-labels"
    SAME_KEY = "same-key"
    UNKNOWN_LABEL = "unknown-label"
    # by content
    CHANGED = "changed"
    CORRUPT = "corrupt"
    EMPTY = "empty"
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    TRUNCATED = "truncated"
    UNREADABLE = "unreadable"
    UNSUPPORTED_COLOR = "unsupported-color"
    UNSUPPORTED_FORMAT = "unsupported-format"
    # rows
    ROW_DAMAGED = "row-damaged"
    ROW_AMBIGUOUS = "row-ambiguous"
    ROW_DUPLICATE = "row-duplicate"
    ROW_NO_FILE = "row-no-file"
    ROW_OUTSIDE = "row-outside"


# Reasons that may be gone when the same file is read again.
PASSING = frozenset({Reason.CHANGED, Reason.UNREADABLE})


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """A regular file below SRC."""

    key: str  # relative to SRC, "/" between folders, Unicode NFC
    path: str  # the same as the file system spells it
    size: int  # bytes
    mtime_ns: int

    @property
    def suffix(self) -> str:
        """The extension, in small letters and with its dot."""
        return os.path.splitext(self.key)[1].lower()  # noqa: PTH122 (a Path for each of a million files is slow)


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One image file that has a label. `key` is unique in a dataset and decides all order."""

    key: str
    path: str
    label: str
    split: str | None  # one of SPLITS where the source says so
    group: str | None  # images of one group share a split
    size: int
    mtime_ns: int


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """A found file that is not in the dataset, or (`row-…`) a manifest row that names none."""

    file: str
    reason: Reason
    detail: str

    @property
    def is_row(self) -> bool:
        """Says whether this is about a row, and not about a file."""
        return self.reason.startswith("row-")

    @property
    def is_asked_for(self) -> bool:
        """Says whether the user wanted it so."""
        return self.reason == Reason.LEFT_OUT


# Characters that a file name, a label or a line of CSV cannot hold without corrupting something further down.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")  # no UTF-8 has it: half a character of JSON, or a byte of a name


def printable(text: str) -> str:
    """Returns `text` with control characters, and bytes that are not UTF-8, written as escapes."""
    return UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def counted(number: int, noun: str) -> str:
    """Returns "1 file", "2 files" and so on."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def labelled(file: File, label: str, split: str | None = None, group: str | None = None) -> Source | Rejected:
    """Returns the source that `file` is under the stripped `label`, or why it cannot have that label."""
    label = label.strip()
    if not label:
        return Rejected(file.key, Reason.NO_LABEL, "the label is blank")
    if UNPRINTABLE.search(label):
        return Rejected(file.key, Reason.BAD_LABEL, f"the label {printable(label)!r} has a control character")
    if not label.isascii():
        label = unicodedata.normalize("NFC", label)
    return Source(file.key, file.path, sys.intern(label), split, group, file.size, file.mtime_ns)
