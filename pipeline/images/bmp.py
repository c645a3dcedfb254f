"""BMP: by Pillow, but for channel masks and run lengths, which it reads in part or wrongly."""

import dataclasses
import struct

import numpy as np
import numpy.typing as npt
from PIL import BmpImagePlugin, Image

from imageshards.pipeline.images.errors import UnreadableError, check_pixels
from imageshards.pipeline.images.picture import Picture, load, stream
from imageshards.pipeline.images.settings import Normalization

SIGNATURE = b"BM"

_RLE8, _RLE4, _MASKS, _JPEG, _PNG, _ALPHA_MASKS = 1, 2, 3, 4, 5, 6
_MOST_RUN_BYTES = 16_000_000  # a run takes Python a fraction of a microsecond
_STRIP_PIXELS = 1 << 20


@dataclasses.dataclass(frozen=True)
class _Header:
    pixels: int  # where they start
    size: int
    width: int
    height: int  # negative where the first row comes first
    bits: int
    compression: int
    colors: int


def decode(data: bytes, normalization: Normalization) -> Picture:
    """Decodes; unused bits of 32 are not transparency unless a mask says so.

    Raises:
      UnreadableError: too-large, too-slow, truncated, corrupt, unsupported-format.
    """
    header = _read_header(data)
    size = header.width, abs(header.height)
    check_pixels(*size, normalization.max_pixels)
    if header.compression in (_JPEG, _PNG):
        raise UnreadableError("unsupported-format", "a JPEG or PNG within a BMP: save it as what it is")
    truncated = False
    if header.compression in (_RLE8, _RLE4):
        image = _run_lengths(data, header)
    elif header.compression in (_MASKS, _ALPHA_MASKS) and header.bits in (16, 32):
        image = _masked(data, header)
    else:
        picture = BmpImagePlugin.BmpImageFile(stream(data))
        truncated = load(picture, keep_truncated=normalization.keep_truncated)
        image = picture
    return Picture(image, size, profile=_profile(data, header), truncated=truncated)


def _read_header(data: bytes) -> _Header:
    if len(data) < 26:
        raise UnreadableError("truncated", "the file ends within its header")
    pixels, size = struct.unpack_from("<II", data, 10)
    if size == 12:
        width, height, bits = struct.unpack_from("<HH2xH", data, 18)
        return _Header(pixels, size, width, height, bits, 0, 0)
    if size < 40:
        raise UnreadableError("corrupt", f"a header of {size} bytes is not a BMP's")
    if len(data) < 54:
        raise UnreadableError("truncated", "the file ends within its header")
    return _Header(pixels, size, *struct.unpack_from("<ii2xHI12xI", data, 18))


def _profile(data: bytes, header: _Header) -> bytes | None:
    if header.size < 124 or len(data) < 138 or data[70:74] != b"DEBM":
        return None
    start, size = struct.unpack_from("<II", data, 126)
    return data[14 + start : 14 + start + size]


def _masked(data: bytes, header: _Header) -> Image.Image:
    """Returns pixels of 16 or 32 bits whose channels lie where masks say; alpha that is 0 everywhere is none."""
    masks = list(
        struct.unpack_from("<4I" if header.size > 52 or header.compression == _ALPHA_MASKS else "<3I", data, 54)
    )
    height, row = abs(header.height), (header.width * header.bits // 8 + 3) // 4 * 4
    if header.pixels + height * row > len(data):
        raise UnreadableError(
            "truncated", f"{header.pixels + height * row - len(data):,} bytes of its pixels are missing"
        )
    kind = np.dtype(f"<u{header.bits // 8}")
    rows = np.frombuffer(data, np.uint8, height * row, header.pixels).reshape(height, row)
    samples = rows.view(kind)[:, : header.width]
    samples = samples if header.height < 0 else samples[::-1]
    used = [mask for mask in masks if mask] if len(masks) == 4 and not masks[3] else masks
    result = np.empty((height, header.width, len(used)), np.uint8)
    step = max(1, _STRIP_PIXELS // header.width)
    for top in range(0, height, step):
        for channel, mask in enumerate(used):
            result[top : top + step, :, channel] = _channel(samples[top : top + step], mask)
    if len(used) == 4 and not result[..., 3].any():
        result = result[..., :3]
    return Image.fromarray(result)


def _channel(samples: npt.NDArray[np.unsignedinteger], mask: int) -> npt.NDArray[np.uint8]:
    """Returns the bits below a mask, scaled to 0..255."""
    if not mask:
        return np.zeros(samples.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    values = (samples.astype(np.uint32) & mask) >> shift
    scaled: npt.NDArray[np.uint8] = np.rint(values * (255 / (mask >> shift))).astype(np.uint8)
    return scaled


def _run_lengths(data: bytes, header: _Header) -> Image.Image:
    """Returns palette pixels that are coded as runs and literals; what none of them sets has the first color."""
    packed = header.compression == _RLE4
    if len(data) - header.pixels > _MOST_RUN_BYTES:
        raise UnreadableError("too-slow", "too many runs; save it without compression")
    width, height = header.width, header.height
    pixels = bytearray(width * height)
    at, x, y = header.pixels, 0, 0
    while y < height:
        code = data[at : at + 2]
        if len(code) < 2:
            raise UnreadableError("truncated", f"{height - y} of {height} rows are missing")
        at += 2
        count, value = code
        if count:
            run = bytes([value >> 4, value & 15]) * (count // 2 + 1) if packed else bytes([value]) * count
        elif value == 0:
            x, y = 0, y + 1
            continue
        elif value == 1:
            break
        elif value == 2:
            x, y, at = x + data[at], y + data[at + 1], at + 2
            continue
        else:
            count = value
            size = (count + 1) // 2 if packed else count
            run = _nibbles(data[at : at + size]) if packed else data[at : at + size]
            at += size + size % 2
        kept = max(0, min(count, width - x))
        pixels[y * width + x : y * width + x + kept] = run[:kept]
        x += kept
    image = Image.frombytes("P", (width, height), bytes(pixels)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    colors = min(header.colors or 1 << header.bits, 256)
    image.putpalette(data[14 + header.size : 14 + header.size + 4 * colors], "BGRX")
    return image


def _nibbles(packed: bytes) -> bytes:
    return bytes(value for both in packed for value in (both >> 4, both & 15))
