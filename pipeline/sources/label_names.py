"""The names of labels that are numbers, or WordNet's, where another file of SRC has them.

classes.txt                     cat              one name per line, from number 0 on
categories.txt, classes.csv     /a/airfield 0    1,cat    n01440764 tench, Tinca tinca
class_indices.json              {"cat": 0}       {"0": "cat"}     {"0": ["n01440764", "tench"]}
label_map.pbtxt                 item { id: 1 name: 'cat' }
README.md                       the card of a dataset on Hugging Face: class_label: names: '0': cat
"""

import contextlib
import csv
import json
import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow.compute as pc

from imageshards.pipeline import storage
from imageshards.pipeline.source import UserError
from imageshards.pipeline.sources.listing import IMAGE_SUFFIXES, Listing

NAMES_FILE = re.compile(
    r"(classes|class_?names|labels?|label_?names|label_?map|synsets|names|categories|classnames|class_?list)\.(txt|names|json)|.*\.names"
)
"""Files in which the number of a line, or of a list's item, is the label that it names."""

_PLACES = r"^(?:{base}/|annotations/|meta/|metadata/|labels/|splits?/)?(?:[^/]+\.{suffix}|README\.md)$"
_SUFFIX = "(?:txt|json|csv|tsv|names|pbtxt)"
_LARGEST = 1 << 23  # bytes: WordNet's 82,000 words take two millions
_MANY = 200  # files that are each looked into
_CODE = re.compile(r"[0-9]+|n[0-9]{8}", re.ASCII)
_CODE_FIRST = re.compile(r"([0-9]+|n[0-9]{8})[\s,:;]+(\S.*)", re.ASCII)
_CODE_LAST = re.compile(r"(\S.*)[\s,:;]([0-9]+)", re.ASCII)
_LONGEST = 1000  # characters of a line that names a label
_ITEM = re.compile(r"\{([^{}]*)\}")  # of a .pbtxt
_ITEM_ID = re.compile(r"\bid:\s*([0-9]+)")
_ITEM_NAME = re.compile(r"name:\s*['\"]([^'\"]+)")
_CARD_NAMES = re.compile(r"class_label:\n +names:\n((?: +['\"]?[0-9]+['\"]?: [^\n]+\n)+)", re.ASCII)
_CARD_NAME = re.compile(r"['\"]?([0-9]+)['\"]?: ([^\n]+)", re.ASCII)
_PICTURES = tuple(IMAGE_SUFFIXES)


class LabelNames(NamedTuple):
    """What files of SRC call labels: names by label, the file that has them, and what to tell the user."""

    names: dict[str, str]
    file: str
    notes: list[str]


def find(listing: Listing, labels: Sequence[str], base: str = "", tables: Iterable[str] = ()) -> LabelNames:
    """Returns the names of labels that are codes.

    Args:
      listing: what lies in SRC.
      labels: all different ones.
      base: the folder of the table, where such a file may lie too.
      tables: the files that the labels themselves are read from.

    Raises:
      UserError: two files give them different names.
    """
    if not _are_codes(labels):
        return LabelNames({}, "", [])
    found, notes = list[tuple[str, dict[str, str]]](), list[str]()
    for key, content in _candidates(listing, base, set(tables)):
        names = read(content, key)
        named = of(labels, names)
        if named:
            found.append((key, named))
        elif names and NAMES_FILE.fullmatch(posixpath.basename(key).lower()) and _alike(labels, names):
            first, last = (f"{min(some, key=_in_order)} to {max(some, key=_in_order)}" for some in (names, labels))
            notes.append(f"{key} is not used: it names {first}, and the labels are {last}")
    for key, named in found[1:]:
        if other := next((label for label in labels if named[label] != found[0][1][label]), ""):
            raise UserError(
                f"{found[0][0]} and {key} name the labels differently: {other} is {found[0][1][other]!r} in one and"
                f" {named[other]!r} in the other; say which with --labels {found[0][0]}"
            )
    if not found:
        return LabelNames({}, "", notes)
    return LabelNames(found[0][1], found[0][0], [f"the names of the labels come from {found[0][0]}"])


def of(labels: Sequence[str], names: dict[str, str]) -> dict[str, str]:
    """Returns the name of each label; nothing where a label has none, or two have the same."""
    named = {label: names[_number(label)] for label in labels if _number(label) in names}
    return named if len(set(named.values())) == len(labels) else {}


def read(content: bytes, file: str, *, by_place: bool = False) -> dict[str, str]:
    """Returns the names in a file by number, without zeros before it, or by WordNet's code; nothing where it has none.

    `by_place` says that lines may be names alone, as they are in a file of such a name.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return {}
    by_place = by_place or NAMES_FILE.fullmatch(posixpath.basename(file).lower()) is not None
    if file.endswith(".pbtxt"):
        return _of_items(text)
    if file.endswith(".md"):
        return _of_card(text)
    if text.lstrip().startswith(("[", "{")):
        try:
            return _of_document(json.loads(text), by_place)
        except (ValueError, RecursionError):
            return {}
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _of_lines(lines, by_place, file.endswith(".csv")) if max(map(len, lines), default=0) <= _LONGEST else {}


def _candidates(listing: Listing, base: str, tables: set[str]) -> Iterable[tuple[str, bytes]]:
    keys = listing.others.rows["key"]
    files = listing.others.where(pc.match_substring_regex(keys, _PLACES.format(base=re.escape(base), suffix=_SUFFIX)))
    if len(files) > _MANY:  # a text beside each picture
        files = files.where(pc.match_substring_regex(files.rows["key"], rf"(?i)(?:^|/)(?:{NAMES_FILE.pattern})$"))
    for file in files:
        if file.key not in tables and file.size <= _LARGEST:
            with contextlib.suppress(FileNotFoundError, PermissionError):  # it is not said to matter
                yield file.key, storage.read(listing.root / file.path)


def _of_items(text: str) -> dict[str, str]:
    found = [(_ITEM_ID.search(item), _ITEM_NAME.search(item)) for item in _ITEM.findall(text)]
    return {_number(number[1]): name[1] for number, name in found if number and name}


def _of_card(text: str) -> dict[str, str]:
    """Returns the names in the YAML above a dataset card's text; nothing where several columns have names."""
    head = text.partition("\n---")[0] if text.startswith("---") else ""
    columns = _CARD_NAMES.findall(f"{head}\n".replace("\r", ""))
    if len(columns) != 1:
        return {}
    return _proper([(number, name.strip(" '\"")) for number, name in _CARD_NAME.findall(columns[0])])


def _of_document(data: Any, by_place: bool) -> dict[str, str]:
    if isinstance(data, list):
        return {str(number): name for number, name in enumerate(data) if isinstance(name, str)} if by_place else {}
    values = list(data.values())
    if all(isinstance(value, int) for value in values):
        return _proper([(str(value), name) for name, value in data.items()])
    if all(isinstance(value, list) and len(value) == 2 for value in values):  # Keras' imagenet_class_index.json
        return _proper([(str(code), str(name)) for code, name in values])
    return _proper([(code, name) for code, name in data.items() if isinstance(name, str)])


def _of_lines(lines: list[str], by_place: bool, is_csv: bool) -> dict[str, str]:
    if is_csv:
        rows = [cells[:2] for cells in csv.reader(lines) if len(cells) > 1]
        rows = rows[1:] if rows and not any(map(_CODE.fullmatch, rows[0])) else rows
        return _proper([(a, b) if _CODE.fullmatch(a) else (b, a) for a, b in rows])
    for pattern, code, name in ((_CODE_FIRST, 1, 2), (_CODE_LAST, 2, 1)):
        matches = [match for line in lines if (match := pattern.fullmatch(line))]
        if lines and len(matches) == len(lines):
            return _proper([(match[code], match[name]) for match in matches])
    return {str(number): line for number, line in enumerate(lines)} if by_place else {}


def _proper(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Returns names by code; nothing where these are no codes, no names, or names of pictures."""
    if not all(_CODE.fullmatch(code) and re.search(r"[^\W\d]", name) for code, name in pairs):
        return {}
    if any(name.lower().endswith(_PICTURES) for _, name in pairs):
        return {}
    return {_number(code): name.strip(" \t,:;").removeprefix("/") for code, name in pairs}


def _are_codes(labels: Sequence[str]) -> bool:
    return bool(labels) and all(map(_CODE.fullmatch, labels)) and len({label[0] == "n" for label in labels}) == 1


def _alike(labels: Sequence[str], names: dict[str, str]) -> bool:
    """Says whether both are numbers, or both WordNet's codes."""
    return labels[0].startswith("n") == next(iter(names)).startswith("n")


def _number(code: str) -> str:
    return code if code.startswith("n") else code.lstrip("0") or "0"


def _in_order(number: str) -> tuple[int, str]:
    """Returns what sorts whole numbers, written in any number of digits, by their value."""
    return len(number), number
