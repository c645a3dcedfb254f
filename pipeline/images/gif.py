"""GIF, by Pillow, which is given the first frame and nothing else.

Comments and later frames are skipped block by block, whatever their number; and the frame is put on the canvas as
browsers do, which show what it does not cover as transparent.
"""

import struct

from PIL import GifImagePlugin, Image

from imageshards.pipeline.images.errors import UnreadableError, check_pixels
from imageshards.pipeline.images.picture import Picture, load, stream
from imageshards.pipeline.images.settings import Normalization

SIGNATURES = (b"GIF87a", b"GIF89a")

_MOST_BLOCKS = 1_000_000
_CONTROL, _EXTENSION, _FRAME = 0xF9, 0x21, 0x2C


def decode(data: bytes, normalization: Normalization) -> Picture:
    """Decodes the first frame on its canvas.

    Raises:
      UnreadableError: too-large, too-slow, truncated, corrupt.
    """
    try:
        return _decode(data, normalization)
    except (struct.error, IndexError) as error:
        raise UnreadableError("truncated", "the file ends before its first frame") from error


def _decode(data: bytes, normalization: Normalization) -> Picture:
    canvas = struct.unpack_from("<HH", data, 6)
    tables = 13 + _table_size(data[10])
    blocks = _Blocks(data)
    control, frame = blocks.find_frame(tables)
    left, top, width, height, flags = struct.unpack_from("<HHHHB", data, frame + 1)
    size = max(canvas[0], left + width), max(canvas[1], top + height)
    check_pixels(width, height, normalization.max_pixels)
    check_pixels(*size, normalization.max_pixels)
    start = frame + 10 + _table_size(flags)
    end = blocks.skip(start + 1)
    screen = data[:6] + struct.pack("<HH", width, height) + data[10:tables]
    descriptor = b"," + struct.pack("<HHHH", 0, 0, width, height) + data[frame + 9 : start]
    image = GifImagePlugin.GifImageFile(stream(screen, control, descriptor, data[start:end], b";"))
    truncated = load(image, keep_truncated=normalization.keep_truncated)
    if size == (width, height):
        return Picture(image, size, truncated=truncated)
    whole = Image.new("RGBA", size)
    whole.paste(image.convert("RGBA"), (left, top))
    return Picture(whole, size, truncated=truncated)


def _table_size(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


class _Blocks:
    """The blocks of a file, each of which begins with its length; a chain of them ends with an empty one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = _MOST_BLOCKS

    def find_frame(self, at: int) -> tuple[bytes, int]:
        """Returns the extension that says what is transparent, and where the first frame begins."""
        data, control = self._data, b""
        while data[at] != _FRAME:
            if data[at] != _EXTENSION:
                raise UnreadableError("corrupt", "it has no frame")
            end = self.skip(at + 2)
            if data[at + 1] == _CONTROL:
                control = data[at:end]
            at = end
        return control, at

    def skip(self, at: int) -> int:
        """Returns where the chain ends that begins at `at`; the file may end before it."""
        data, size, left = self._data, len(self._data), self._left
        while left and at < size and (length := data[at]):
            at += 1 + length
            left -= 1
        if not left:
            raise UnreadableError("too-slow", f"more than {_MOST_BLOCKS:,} blocks; save it again without comments")
        self._left = left - 1
        return at + 1
