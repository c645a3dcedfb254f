"""Labels as people write them: cleaned, numbers as numbers, and with their names where another file has those."""

import collections
import json
import posixpath
import re
import unicodedata

import pyarrow as pa

from imageshards.pipeline import storage
from imageshards.pipeline.sources.listing import Listing

_INVISIBLE = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_WHOLE = re.compile(r"([-+]?\d+)\.0*")
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")
NAMES_FILE = re.compile(
    r"(classes|class_?names|labels?|label_?names|label_?map|synsets|names|categories|classnames|class_?list)\.(txt|names|json)|.*\.names"
)
"""Files that say how numbers of labels are called."""

_NUMBERED = re.compile(r"([0-9]+)[\s,:;]+(\S.*)")
_SEPARATORS = ("|", ";", ",")


def cleaned(column: pa.Array) -> tuple[pa.Array, list[str]]:
    """Returns labels without blanks around them and invisible characters, and notes; null where there is no label.

    NaN is not a label among numbers, and 3.0 is 3 where all labels are such numbers.
    """
    coded = column.dictionary_encode()
    written = coded.dictionary.to_pylist()
    seen = [_INVISIBLE.sub("", text) for text in written]
    names = [unicodedata.normalize("NFC", text.strip()) for text in seen]
    notes = []
    hidden = sum(text != name for text, name in zip(written, seen, strict=True))
    if hidden:
        notes.append(f"invisible characters were dropped from labels ({hidden} ways of writing one)")
    given = [name for name in names if name]
    numbers = [name for name in given if _NUMBER.fullmatch(name)]
    if numbers and all(_NUMBER.fullmatch(name) or name.lower() == "nan" for name in given):
        names = ["" if name.lower() == "nan" else name for name in names]
        if all(re.fullmatch(r"[-+]?\d+(\.0*)?", name) for name in numbers) and any("." in name for name in numbers):
            names = [match[1] if (match := _WHOLE.fullmatch(name)) else name for name in names]
    dictionary = pa.array([name or None for name in names], pa.large_string())
    return dictionary.take(coded.indices), notes


def separator(labels: list[str], column: str) -> list[str]:
    """Returns some of the labels that are lists of tags; nothing where they are none.

    Words with a blank between them are tags only in a column that is called so: "red fox" is a label.
    """
    marks = [*_SEPARATORS, *([" "] if column in ("tags", "labels", "categories", "classes") else [])]
    for mark in marks:
        listed = [label for label in labels if mark in label.strip(mark)]
        users = collections.Counter(tag.strip() for label in labels for tag in set(label.split(mark)))
        shared = any(users[tag.strip()] > 1 for label in listed for tag in label.split(mark))
        if listed and shared and len(listed) * 10 >= len(labels):
            return listed[:3]
    return []


def names_of_numbers(listing: Listing, labels: list[str], base: str) -> tuple[dict[str, str], str]:
    """Returns the names of labels that are numbers, and of what use a file with names in SRC is, in words.

    `labels` are all different ones; `base` is the folder of the table, where such a file may lie too.
    """
    if not labels or not all(label.isascii() and label.isdigit() for label in labels):
        return {}, ""
    for file in listing.others:
        folder, name = posixpath.split(file.key)
        if not NAMES_FILE.fullmatch(name.lower()) or folder not in ("", base, "annotations", "meta"):
            continue
        names = _read_names(storage.read(listing.root / file.path))
        if not names:
            continue
        if set(labels) <= set(names):
            return {label: names[label] for label in labels}, f"the names of the labels come from {file.key}"
        first, last = (f"{min(some, key=_in_order)} to {max(some, key=_in_order)}" for some in (names, labels))
        return {}, f"{file.key} is not used: it names {first}, and the labels are {last}"
    return {}, ""


def _in_order(number: str) -> tuple[int, str]:
    """Returns what sorts whole numbers, written in any number of digits, by their value."""
    return len(number), number


def _read_names(content: bytes) -> dict[str, str]:
    """Returns a name a number: a line each, from 0 on; number and name a line; or JSON of either kind."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return {}
    if text.lstrip().startswith(("[", "{")):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        if isinstance(data, dict):
            if all(isinstance(value, int) for value in data.values()):
                data = {value: key for key, value in data.items()}
            return {str(key): value for key, value in data.items() if str(key).isdigit() and isinstance(value, str)}
        return {str(number): name for number, name in enumerate(data) if isinstance(name, str)}
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [match for line in lines if (match := _NUMBERED.fullmatch(line))]
    if lines and len(numbered) == len(lines):
        return {match[1].lstrip("0") or "0": match[2] for match in numbered}
    return {str(number): line for number, line in enumerate(lines)}
