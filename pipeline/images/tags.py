"""Tables of tags, as TIFF files and EXIF blocks have them, read without expanding what they point to."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

ORIENTATION = 0x0112
_TABLES = (0x8769, 0x8825, 0xA005)  # EXIF, GPS, interoperability: a tag whose value is where another table starts
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_SHORT, _LONG, _LONG8 = 3, 4, 16
_INTEGERS = {1: "B", _SHORT: "H", _LONG: "I", 13: "I", _LONG8: "Q", 18: "Q"}


class Tag(NamedTuple):
    """An entry of a table: `size` bytes at `start`, which hold so many `values` of a type."""

    number: int
    kind: int
    values: int
    start: int
    size: int


class Tags:
    """The tags of the first table in a TIFF file or EXIF block, and those of the tables that it leads to.

    Raises:
      ValueError: it has no such table.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = data
        self._order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]), "")
        if not self._order or len(data) < 8:
            raise ValueError("no table of tags")
        self._big = self._number("H", 2) == 43
        self.complete = True  # the file does not end within its first table
        self._first = {
            tag.number: tag for tag in self._table(self._number("Q", 8) if self._big else self._number("I", 4))
        }

    def reaches(self, number: int) -> bool:
        """Says whether a tag's value lies within the file; also where there is no such tag."""
        tag = self._first.get(number)
        return tag is None or tag.start + tag.size <= len(self._data)

    def values_size(self) -> int:
        """Returns how many bytes all values take together; more than the file has where entries overlap."""
        tables = [self._first[number] for number in _TABLES if number in self._first]
        more = (tag for pointer in tables for tag in self._table(self._integer(pointer)))
        return sum(tag.size for tag in (*self._first.values(), *more))

    def integers(self, number: int) -> tuple[int, ...]:
        """Returns the values of a tag of whole numbers; nothing where it is missing or is no such tag."""
        tag = self._first.get(number)
        if tag is None or tag.kind not in _INTEGERS or tag.start + tag.size > len(self._data):
            return ()
        return struct.unpack_from(f"{self._order}{tag.values}{_INTEGERS[tag.kind]}", self._data, tag.start)

    def integer(self, number: int, default: int) -> int:
        """Returns the first value of a tag of whole numbers."""
        return next(iter(self.integers(number)), default)

    def span(self, number: int) -> memoryview | None:
        """Returns the bytes of a tag's value; None where it is missing."""
        tag = self._first.get(number)
        return None if tag is None else memoryview(self._data)[tag.start : tag.start + tag.size]

    def _integer(self, tag: Tag) -> int:
        return self.integer(tag.number, 0)

    def _table(self, start: int) -> Iterator[Tag]:
        head, entry, inline = ("Q", "HHQ", 8) if self._big else ("H", "HHI", 4)
        if start + struct.calcsize(f"={head}") > len(self._data):
            self.complete = False
            return
        length = struct.calcsize(f"={entry}") + inline
        start, count = start + struct.calcsize(f"={head}"), self._number(head, start)
        self.complete = self.complete and start + count * length <= len(self._data)
        for at in range(start, min(start + count * length, len(self._data) - length + 1), length):
            number, kind, values = struct.unpack_from(self._order + entry, self._data, at)
            size = values * _BYTES.get(kind, 1)
            here = at + length - inline
            yield Tag(
                number, kind, values, here if size <= inline else self._number("Q" if self._big else "I", here), size
            )

    def _number(self, kind: str, start: int) -> int:
        return int(struct.unpack_from(self._order + kind, self._data, start)[0])


def exif_orientation(exif: bytes | memoryview | None) -> int:
    """Returns the orientation, 1 to 8, that an EXIF block says; 1 where it is malformed or says none."""
    if exif is None:
        return 1
    try:
        orientation = Tags(exif[6:] if bytes(exif[:6]) == b"Exif\0\0" else exif).integer(ORIENTATION, 1)
    except (ValueError, struct.error):
        return 1
    return orientation if 1 <= orientation <= 8 else 1
