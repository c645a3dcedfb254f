"""What an ISO media file, as AVIF and HEIC are, says of its still picture, read before anything is expanded.

Tiles, sequences and codec headers can announce far more pixels than the picture has; all of them are counted here.
"""

import dataclasses
import itertools
import struct
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from imageshards.pipeline.images.codecs import av1_size, hevc_size
from imageshards.pipeline.images.errors import UnreadableError

CODED = (b"av01", b"hvc1")  # the kinds of items that are coded pixels

_MOST = 100_000  # boxes, items, references; the largest photos have some hundred
_MOST_DEPTH = 8
_MOST_TILES = 10_000
_TURNS = {  # (quarter turns against the clock, mirrored at: 0 horizontal axis, 1 vertical axis, None) → EXIF's number
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


class Box(NamedTuple):
    """A box: its body, and `name`, where its kind is written."""

    kind: bytes
    body: memoryview
    name: memoryview


@dataclasses.dataclass(frozen=True)
class Still:
    """The primary picture: how its pixels are coded, as large as they are stored, and how they are to be seen."""

    coded: bytes
    width: int
    height: int
    coded_pixels: int  # that have to be decoded for it, tiles and transparency included
    largest: int  # of them in one piece
    coded_bytes: int
    orientation: int
    aperture: tuple[int, int, int, int] | None  # the part that is to be seen: left, top, right, bottom
    profile: bytes | None


def is_media(data: bytes) -> bool:
    """Says whether a file is of boxes, the first of which says what it is compatible with."""
    return data[4:8] == b"ftyp"


def brands(data: bytes) -> list[bytes]:
    """Returns what the file says it is compatible with, its own brand first."""
    body = next(box.body for box in boxes(memoryview(data)))
    return [bytes(body[at : at + 4]) for at in (0, *range(8, len(body) - 3, 4))]


def boxes(view: memoryview) -> Iterator[Box]:
    """Yields each box; of the last, what there is of it."""
    at = 0
    for _ in range(_MOST):
        if at + 8 > len(view):
            return
        size, kind = struct.unpack_from(">I4s", view, at)
        head = 8
        if size == 1 and at + 16 <= len(view):
            (size,), head = struct.unpack_from(">Q", view, at + 8), 16
        elif size == 0:
            size = len(view) - at
        if size < head:
            return
        yield Box(kind, view[at + head : at + size], view[at + 4 : at + 8])
        at += size
    raise UnreadableError("too-slow", f"more than {_MOST:,} boxes; save it again")


def still_alone(data: bytes) -> bytearray:
    """Returns the file without its sequence of frames and its metadata, neither of which the still picture needs.

    Decoders make tables of what both announce, and pi-heif dies of metadata whose type is not text. Nothing is moved:
    what is left out gets a name that they pass over.
    """
    copy = bytearray(data)
    for box in boxes(memoryview(copy)):
        if box.kind == b"ftyp":
            box.body[:] = bytes(box.body).replace(b"avis", b"avif")
        elif box.kind == b"moov":
            box.name[:] = b"free"
        elif box.kind == b"meta":
            for inner in boxes(box.body[4:]):
                for reference in boxes(inner.body[4:]) if inner.kind == b"iref" else ():
                    if reference.kind == b"cdsc":  # from an item that describes another
                        reference.name[:] = b"skip"
    return copy


def read_still(data: bytes) -> Still:
    """Returns what the file says of its primary picture.

    Raises:
      UnreadableError: unsupported-format, where there is no still picture; corrupt, truncated.
    """
    try:
        return _Items(data).still()
    except (struct.error, IndexError, KeyError, ZeroDivisionError) as error:
        raise UnreadableError("truncated", "the file ends before it says where its pixels are") from error


class _Items:
    """The items of a file's `meta` box."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        top = _by_kind(self._data)
        if b"meta" not in top:
            what = "a sequence of frames" if b"moov" in top else "something else"
            raise UnreadableError("unsupported-format", f"it holds {what} and no still picture")
        inner = _by_kind(top[b"meta"][4:])
        self._idat = inner.get(b"idat", memoryview(b""))
        self._primary = _number(inner[b"pitm"], 4, 2 if inner[b"pitm"][0] == 0 else 4)
        self._kinds = dict(_kinds(inner[b"iinf"]))
        properties = _by_kind(inner[b"iprp"])
        self._properties = list(boxes(properties[b"ipco"]))
        self._of = dict(_associations(properties[b"ipma"]))
        self._references = list(_references(inner[b"iref"])) if b"iref" in inner else []
        self._extents = dict(_extents(inner[b"iloc"]))
        ends = (
            min(start + length, len(data)) - start for _, pieces in self._extents.values() for start, length in pieces
        )
        if sum(max(0, size) for size in ends) > 2 * len(data):
            raise UnreadableError("corrupt", "its items take more bytes than the file has")

    def still(self) -> Still:
        properties = self._of_item(self._primary)
        width, height = struct.unpack_from(">II", properties[b"ispe"], 4)
        items = list(itertools.islice(self._decoded(self._primary, 0), _MOST_TILES + 1))
        if len(items) > _MOST_TILES:
            raise UnreadableError("too-large", f"more than {_MOST_TILES:,} tiles")
        kinds = {self._kinds[item] for item in items} - {b"grid", b"iden", b"iovl"}
        coded = next((kind for kind in CODED if kind in kinds), b"/".join(sorted(kinds)))
        size_of = {item: self._coded_size(item) for item in set(items) if self._kinds[item] in CODED}
        sizes = [size_of[item] for item in items if item in size_of]
        color = properties.get(b"colr", memoryview(b""))
        return Still(
            coded,
            width,
            height,
            sum(w * h for w, h in sizes),
            max((w * h for w, h in sizes), default=0),
            sum(length for item in items if item in self._extents for _, length in self._extents[item][1]),
            _orientation(properties),
            _aperture(properties.get(b"clap"), width, height),
            bytes(color[4:]) if bytes(color[:4]) in (b"prof", b"rICC") else None,
        )

    def _of_item(self, item: int) -> Mapping[bytes, memoryview]:
        """Returns an item's properties; a color profile rather than color's numbers."""
        found: dict[bytes, memoryview] = {}
        for number in self._of.get(item, ()):
            if 0 < number <= len(self._properties):
                kind, body, _ = self._properties[number - 1]
                if kind != b"colr" or bytes(body[:4]) != b"nclx" or kind not in found:
                    found[kind] = body
        return found

    def _decoded(self, item: int, depth: int) -> Iterator[int]:
        """Yields the items whose pixels the picture is made of, each as often as it is used."""
        if depth > _MOST_DEPTH:
            raise UnreadableError("corrupt", "its pictures lead back to themselves")
        yield item
        for kind, source, targets in self._references:
            if kind == b"dimg" and source == item:
                for target in targets:
                    yield from self._decoded(target, depth + 1)
            elif kind == b"auxl" and item in targets and source != item:
                yield from self._decoded(source, depth + 1)

    def _coded_size(self, item: int) -> tuple[int, int]:
        """Returns the size that the codec allocates: what its own header says, or the item where that is more."""
        properties = self._of_item(item)
        width, height = struct.unpack_from(">II", properties[b"ispe"], 4)
        if self._kinds[item] == b"av01":
            codec = av1_size(self._content(item))
        else:
            codec = hevc_size(properties[b"hvcC"], self._content(item))
        return max(width, codec[0]), max(height, codec[1])

    def _content(self, item: int) -> bytes:
        construction, extents = self._extents[item]
        source = self._idat if construction == 1 else self._data
        parts = [source[start : start + length] for start, length in extents]
        if any(len(part) < length for part, (_, length) in zip(parts, extents, strict=True)):
            raise UnreadableError("truncated", "the file ends within its pixels")
        return b"".join(parts)


def _by_kind(view: memoryview) -> dict[bytes, memoryview]:
    """Returns the first box of each kind."""
    return {box.kind: box.body for box in reversed(list(boxes(view)))}


def _number(view: memoryview, at: int, size: int) -> int:
    if at + size > len(view):
        raise IndexError(at)
    return int.from_bytes(view[at : at + size])


def _kinds(iinf: memoryview) -> Iterator[tuple[int, bytes]]:
    for kind, body, _ in boxes(iinf[6 if iinf[0] == 0 else 8 :]):
        if kind == b"infe" and body[0] in (2, 3):
            wide = 2 if body[0] == 2 else 4
            yield _number(body, 4, wide), bytes(body[6 + wide : 10 + wide])


def _associations(ipma: memoryview) -> Iterator[tuple[int, Sequence[int]]]:
    wide, large, at = 2 if ipma[0] == 0 else 4, ipma[3] & 1, 8
    for _ in range(min(_number(ipma, 4, 4), _MOST)):
        item, count = _number(ipma, at, wide), ipma[at + wide]
        at += wide + 1
        each = 2 if large else 1
        numbers = [_number(ipma, at + n * each, each) & (0x7FFF if large else 0x7F) for n in range(count)]
        at += count * each
        yield item, numbers


def _references(iref: memoryview) -> Iterator[tuple[bytes, int, Sequence[int]]]:
    wide = 2 if iref[0] == 0 else 4
    for kind, body, _ in boxes(iref[4:]):
        count = _number(body, wide, 2)
        yield kind, _number(body, 0, wide), [_number(body, wide + 2 + n * wide, wide) for n in range(count)]


def _extents(iloc: memoryview) -> Iterator[tuple[int, tuple[int, Sequence[tuple[int, int]]]]]:
    """Yields item → (0 in the file or 1 in `idat`, the pieces where its bytes lie)."""
    version, sizes = iloc[0], _number(iloc, 4, 2)
    offset, length, base, index = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15 if version else 0
    wide = 4 if version == 2 else 2
    count, at = _number(iloc, 6, wide), 6 + wide
    for _ in range(min(count, _MOST)):
        item = _number(iloc, at, wide)
        at += wide
        construction = _number(iloc, at, 2) & 15 if version else 0
        at += (2 if version else 0) + 2
        start = _number(iloc, at, base)
        at += base
        pieces, each = _number(iloc, at, 2), index + offset + length
        at += 2
        firsts = range(at + index, at + index + pieces * each, each or 1)
        yield (
            item,
            (construction, [(start + _number(iloc, n, offset), _number(iloc, n + offset, length)) for n in firsts]),
        )
        at += pieces * each


def _orientation(properties: Mapping[bytes, memoryview]) -> int:
    turns = properties[b"irot"][0] & 3 if b"irot" in properties else 0
    mirror = properties[b"imir"][0] & 1 if b"imir" in properties else None
    return _TURNS[turns, mirror]


def _aperture(clap: memoryview | None, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Returns the rectangle of a clean aperture, whose centre lies off the picture's by so much; None for the whole."""
    if clap is None:
        return None
    wide, wide_in, high, high_in, right, right_in, down, down_in = struct.unpack_from(">IIIIiIiI", clap, 0)
    new = Fraction(wide, wide_in), Fraction(high, high_in)
    left = Fraction(right, right_in) + Fraction(width) / 2 - new[0] / 2
    top = Fraction(down, down_in) + Fraction(height) / 2 - new[1] / 2
    box = (round(left), round(top), round(left + new[0]), round(top + new[1]))
    inside = 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height
    return box if inside and box != (0, 0, width, height) else None
