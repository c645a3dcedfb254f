"""WebP, by Pillow, which is given the pixels of the first frame and nothing else."""

import struct
from collections.abc import Iterator

from PIL import Image, WebPImagePlugin

from imageshards.pipeline.images.errors import UnreadableError, check_coded_bytes, check_pixels
from imageshards.pipeline.images.picture import Picture, stream
from imageshards.pipeline.images.settings import Normalization
from imageshards.pipeline.images.tags import exif_orientation

_ALPHA = 0x10
_MOST_CHUNKS = 100_000

_Chunk = tuple[bytes, memoryview]


def is_webp(data: bytes) -> bool:
    """Says whether a file begins as WebP does."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def decode(data: bytes, normalization: Normalization) -> Picture:
    """Decodes the still picture, or the first frame on its canvas.

    Raises:
      UnreadableError: too-large, too-slow, truncated, corrupt.
    """
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    chunks = dict(reversed(list(_chunks(memoryview(data)[12:end]))))
    orientation = exif_orientation(chunks.get(b"EXIF"))
    profile = bytes(chunks[b"ICCP"]) if b"ICCP" in chunks else None
    if b"ANMF" not in chunks:
        image = _frame(chunks, normalization)
        return Picture(image, image.size, orientation, profile)
    head = bytes(chunks[b"VP8X"][4:10]) + bytes(chunks[b"ANMF"][:6])
    if len(head) < 12:
        raise UnreadableError("truncated", "the file ends before its first frame")
    width, height, left, top = (int.from_bytes(head[at : at + 3], "little") for at in range(0, 12, 3))
    size = width + 1, height + 1
    check_pixels(*size, normalization.max_pixels)
    canvas = Image.new("RGBA", size)
    canvas.paste(_frame(dict(_chunks(chunks[b"ANMF"][16:])), normalization).convert("RGBA"), (2 * left, 2 * top))
    return Picture(canvas, size, orientation, profile)


def _chunks(view: memoryview) -> Iterator[_Chunk]:
    """Yields kind and body of each chunk.

    Raises:
      UnreadableError: truncated, where the data ends within pixels; too-slow.
    """
    at = 0
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(view):
            return
        kind, size = struct.unpack_from("<4sI", view, at)
        body = view[at + 8 : at + 8 + size]
        if len(body) < size and kind in (b"VP8 ", b"VP8L", b"ALPH", b"ANMF"):
            raise UnreadableError("truncated", f"{size - len(body):,} of {size:,} bytes of its pixels are missing")
        yield kind, body
        at += 8 + size + size % 2
    raise UnreadableError("too-slow", f"more than {_MOST_CHUNKS:,} chunks; save it again")


def _frame(chunks: dict[bytes, memoryview], normalization: Normalization) -> Image.Image:
    """Decodes the pixels of one frame, as a file of their own."""
    kind = next((kind for kind in (b"VP8 ", b"VP8L") if kind in chunks), None)
    if kind is None:
        raise UnreadableError("truncated", "the file ends before its first pixel")
    width, height = _size(kind, chunks[kind])
    check_pixels(width, height, normalization.max_pixels)
    if kind == b"VP8 ":
        check_coded_bytes(len(chunks[kind]))
    body = _chunk(kind, chunks[kind])
    if kind == b"VP8 " and b"ALPH" in chunks:
        extent = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        body = _chunk(b"VP8X", bytes([_ALPHA, 0, 0, 0]) + extent) + _chunk(b"ALPH", chunks[b"ALPH"]) + body
    image = WebPImagePlugin.WebPImageFile(stream(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body))
    image.load()
    return image


def _size(kind: bytes, pixels: memoryview) -> tuple[int, int]:
    if len(pixels) < 10:
        raise UnreadableError("truncated", "the file ends before its first pixel")
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", pixels, 6)
        return width & 0x3FFF, height & 0x3FFF
    (bits,) = struct.unpack_from("<I", pixels, 1)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _chunk(kind: bytes, body: bytes | memoryview) -> bytes:
    return kind + struct.pack("<I", len(body)) + bytes(body) + bytes(len(body) % 2)
