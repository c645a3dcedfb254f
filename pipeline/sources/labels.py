"""Labels as people write them: cleaned, numbers as numbers; lists of tags; and labels that only look different."""

import collections
import re
import unicodedata
from collections.abc import Iterable

import pyarrow as pa

_INVISIBLE = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_WHOLE = re.compile(r"([-+]?\d+)\.0*")
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")
_SEPARATORS = ("|", ";", ",")
_LOOK_ALIKE = str.maketrans("аеорсухіјѕһԁԛԝкмтвнαορνικτυ", "aeopcyxijshdqwkmtbhaopviktu")  # Cyrillic and Greek


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
        alone = {label.strip() for label in labels if mark not in label}
        if known := [label for label in listed if alone.issuperset(tag.strip() for tag in label.split(mark))]:
            return known[:3]
        users = collections.Counter(tag.strip() for label in labels for tag in set(label.split(mark)))
        shared = any(users[tag.strip()] > 1 for label in listed for tag in label.split(mark))
        if listed and shared and len(listed) * 10 >= len(labels):
            return listed[:3]
    return []


def twins(labels: Iterable[str]) -> list[list[str]]:
    """Returns the labels that look alike: but for case, for `-`, `_` and blanks, or for letters of other scripts."""
    found: dict[str, list[str]] = {}
    for label in labels:
        plain = unicodedata.normalize("NFKC", label).casefold().translate(_LOOK_ALIKE)
        found.setdefault(re.sub(r"[-_\s]+", " ", plain), []).append(label)
    return [names for names in found.values() if len(names) > 1]
