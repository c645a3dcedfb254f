"""PNG, by Pillow, which is given the chunks that hold pixels and no others.

So what others read stays readable: a text with a wrong checksum, a short sRGB chunk, an animation's default image. And
what Pillow does not look at is checked here: the checksums of the pixels, theirs and the compressed stream's.
"""

import dataclasses
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from PIL import PngImagePlugin

from imageshards.pipeline.images.errors import UnreadableError, check_pixels
from imageshards.pipeline.images.picture import Picture, load, stream
from imageshards.pipeline.images.settings import Normalization
from imageshards.pipeline.images.tags import exif_orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # color type → samples per pixel
_GRAY, _RGB = 0, 2
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # of Adam7
_SLICE = 1 << 14  # bytes that are inflated at once: a thousand times as many at most
_MOST_CHUNKS = 100_000
_LARGEST_PROFILE = 1 << 22


class _Chunk(NamedTuple):
    kind: bytes
    body: memoryview
    whole: memoryview
    good: bool  # its checksum is right


@dataclasses.dataclass
class _Header:
    width: int
    height: int
    depth: int
    color: int
    interlaced: int

    def row_bytes(self, width: int) -> int:
        """Returns the bytes of a row of pixels, its filter included."""
        return 1 + (width * _SAMPLES[self.color] * self.depth + 7) // 8

    def stream_bytes(self) -> int:
        """Returns the bytes that the compressed stream expands to."""
        if not self.interlaced:
            return self.height * self.row_bytes(self.width)
        total = 0
        for left, top, right, down in _PASSES:
            width, height = -(-(self.width - left) // right), -(-(self.height - top) // down)
            total += height * self.row_bytes(width) if width > 0 and height > 0 else 0
        return total


def decode(data: bytes, normalization: Normalization) -> Picture:
    """Decodes the still picture.

    Raises:
      UnreadableError: too-large, too-slow, truncated, corrupt, unsupported-format.
    """
    chunks = list(_chunks(data))
    header = _read_header(chunks)
    check_pixels(header.width, header.height, normalization.max_pixels)
    pixels = [chunk for chunk in chunks if chunk.kind == b"IDAT"]
    _check_stream(pixels, header.stream_bytes(), keep_truncated=normalization.keep_truncated)
    kept = [part for chunk in chunks for part in _for_pillow(chunk, header)]
    image = PngImagePlugin.PngImageFile(stream(memoryview(SIGNATURE), *kept))
    truncated = load(image, keep_truncated=normalization.keep_truncated)
    others = {chunk.kind: chunk for chunk in chunks if chunk.kind in (b"iCCP", b"eXIf")}
    exif = others.get(b"eXIf")
    only_pixels = {chunk.kind for chunk in chunks} == {b"IHDR", b"IDAT", b"IEND"} and data.endswith(_END)
    return Picture(
        image,
        (header.width, header.height),
        exif_orientation(exif.body if exif and exif.good else None),
        _profile(others.get(b"iCCP")),
        truncated,
        as_it_is=only_pixels and header.depth == 8 and not header.interlaced and _length(chunks) == len(data),
    )


def _length(chunks: list[_Chunk]) -> int:
    return len(SIGNATURE) + sum(len(chunk.whole) for chunk in chunks)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Yields the chunks up to the last that is whole, or the end; pixels also where the file ends within them."""
    view, start = memoryview(data), len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        if len(data) - start < 8:
            return
        length, kind = struct.unpack_from(">I4s", data, start)
        body, end = view[start + 8 : start + 8 + length], start + 12 + length
        whole = end <= len(data)
        good = not whole or zlib.crc32(view[start + 4 : end - 4]) == int.from_bytes(view[end - 4 : end])
        if whole or kind == b"IDAT":
            yield _Chunk(kind, body, view[start:end], good)
        if kind == b"IEND" or not whole:
            return
        start = end
    raise UnreadableError("too-slow", f"more than {_MOST_CHUNKS:,} chunks; save it again")


def _read_header(chunks: list[_Chunk]) -> _Header:
    first = chunks[0] if chunks else None
    if first is not None and first.kind == b"CgBI":
        raise UnreadableError("unsupported-format", "an app's PNG, in Apple's own variant: save it as a common PNG")
    if first is None or first.kind != b"IHDR" or len(first.body) != 13:
        raise UnreadableError("truncated" if first is None else "corrupt", "it does not begin with a PNG header")
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", first.body)
    if not first.good or color not in _SAMPLES or depth not in (1, 2, 4, 8, 16) or interlaced > 1:
        raise UnreadableError("corrupt", "its header is damaged")
    return _Header(width, height, depth, color, interlaced)


def _check_stream(pixels: list[_Chunk], expected: int, *, keep_truncated: bool) -> None:
    """Inflates the pixels a little at a time and forgets them: Pillow does not look at the stream's own checksum."""
    if not all(chunk.good for chunk in pixels):
        raise UnreadableError("corrupt", "the checksum of its pixels is wrong")
    inflate, size = zlib.decompressobj(), 0
    try:
        for chunk in pixels:
            for start in range(0, len(chunk.body), _SLICE):
                size += len(inflate.decompress(chunk.body[start : start + _SLICE]))
                if size > expected + _SLICE:  # all pixels are there, and no decoder reads on
                    return
    except zlib.error as error:
        raise UnreadableError("corrupt", f"its pixels are damaged: {error}") from error
    if size < expected and not keep_truncated:
        raise UnreadableError("truncated", f"{expected - size:,} of {expected:,} bytes of its pixels are missing")


def _for_pillow(chunk: _Chunk, header: _Header) -> Iterator[memoryview | bytes]:
    """Yields a chunk that decides the pixels, as Pillow understands it."""
    if chunk.kind in (b"IHDR", b"IDAT", b"IEND"):
        yield chunk.whole
    elif chunk.kind == b"PLTE":
        if not chunk.good:
            raise UnreadableError("corrupt", "the checksum of its palette is wrong")
        if header.color not in (_GRAY, 4):
            yield chunk.whole
    elif chunk.kind == b"tRNS" and chunk.good:
        yield _transparency(chunk, header)


def _transparency(chunk: _Chunk, header: _Header) -> memoryview | bytes:
    """Returns the transparent color in the depth that Pillow compares it in: 8 bits, but for gray of 16."""
    if header.color not in (_GRAY, _RGB) or header.depth == 8 or (header.color, header.depth) == (_GRAY, 16):
        return chunk.whole
    samples = struct.unpack(f">{len(chunk.body) // 2}H", chunk.body[: len(chunk.body) // 2 * 2])
    most = (1 << header.depth) - 1
    body = b"tRNS" + struct.pack(f">{len(samples)}H", *(sample * 255 // most for sample in samples))
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def _profile(chunk: _Chunk | None) -> bytes | None:
    """Returns the color profile; empty where it is damaged."""
    if chunk is None:
        return None
    _, _, packed = bytes(chunk.body).partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], _LARGEST_PROFILE) if chunk.good else b""
    except zlib.error:
        return b""
