"""One image: file bytes in, normalized bytes out. Pure: no Beam, no TensorFlow, no files.

The contract of every stored image, held here and nowhere else:

* upright: the EXIF orientation is applied; a malformed EXIF block counts as "already upright";
* 8-bit RGB (or gray), by an explicit policy, see `_to_color`;
* the centre square of the upright picture, of its shorter side, resized to `size` × `size` with Pillow's antialiased
  Lanczos filter;
* encoded as JPEG (quality 90, 4:4:4) or PNG, the same bytes for the same input with the same Pillow; a PNG that is
  nothing but such a picture already is stored as it is.

A JPEG decodes at the smallest DCT scale whose shorter side is still at least 2 × `size`, a fifth of the work on a
12-megapixel photo. Against a full decode and the same filter in floating point it measures above 50 dB.
"""

import contextlib
import dataclasses
import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

Color = Literal["rgb", "gray"]
Encoding = Literal["jpeg", "png"]

# Pillow knows some forty formats, several of which parse in Python or call external programs. Only these are opened.
DECODERS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

# A progressive JPEG comes in some ten scans, each a pass over all of its pixels; a hostile one in thousands, which take
# hours. This many at the largest size that is allowed, and as many more as a picture is smaller.
_SCANS = 20

# The stored pixels of the same file change when this number does: it takes part in every fingerprint.
NORMALIZATION_VERSION = 2

# Doubtful metadata and large headers make Pillow warn; the first does not matter here, the second has a cap of its own.
warnings.filterwarnings("ignore", module=r"PIL\.")

# Pillow refuses a PNG with more than 1 MB of text or profile, which editors do write; what is a bomb has far more.
PngImagePlugin.MAX_TEXT_CHUNK = 1 << 24

_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What follows the size in a PNG's header: 8 bits, the colour type, and neither another packing nor interlaced rows.
_PLAIN_HEADER = {"gray": b"\x08\x00\x00\x00\x00", "rgb": b"\x08\x02\x00\x00\x00"}
_END_OF_PNG = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_TILE_WIDTH, _TILE_HEIGHT = ExifTags.Base.TileWidth, ExifTags.Base.TileLength
_FLIPS_X = (2, 3, 7, 8)  # orientations that show the stored picture's right edge first, along the stored x axis
_FLIPS_Y = (3, 4, 6, 7)
_SWAPS_AXES = (5, 6, 7, 8)


@dataclasses.dataclass(frozen=True)
class Normalization:
    """What decides the stored pixels of a source image, together with `NORMALIZATION_VERSION`."""

    size: int = 224
    color: Color = "rgb"
    encoding: Encoding = "jpeg"
    quality: int = 90
    max_pixels: int = 100_000_000
    keep_truncated: bool = False

    @classmethod
    def recorded(cls, normalization: Mapping[str, Any]) -> "Normalization":
        """Returns what a dataset's metadata or a run says of itself, which names versions of libraries besides."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in normalization.items() if name in names})


@dataclasses.dataclass(frozen=True, slots=True)
class Normalized:
    """A normalized image: `data` is a JPEG or PNG of size × size, `width` and `height` are the upright original's."""

    data: bytes
    width: int
    height: int
    phash: int
    truncated: bool


class UnreadableError(Exception):
    """An image that cannot be normalized: `reason` is a stable code, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = " ".join(detail.split())


def normalize(data: bytes, how: Normalization) -> Normalized:
    """Returns the upright, centre-cropped, resized and encoded picture of the image file `data`.

    Raises:
      UnreadableError: empty, unsupported-format, too-large, too-slow, truncated, corrupt, unsupported-color.
    """
    if not data:
        raise UnreadableError("empty", "the file has no bytes")
    try:
        return _normalize(data, how, truncated=False)
    except UnreadableError as error:
        if error.reason != "truncated" or not how.keep_truncated or data[:2] != b"\xff\xd8":
            raise
        # With an end marker the decoder fills what is missing with gray, as browsers do.
        return _normalize(data + b"\xff\xd9", how, truncated=True)


def difference_hash(image: Image.Image) -> int:
    """Returns a 64-bit perceptual hash: bit i says whether brightness rises between neighbours of a 9 × 8 thumbnail.

    Pictures that look alike differ in few bits. Source: N. Krawetz, "Kind of Like That", 2013 (dHash).
    """
    thumbnail = image.resize((9, 8), Image.Resampling.BOX)
    thumbnail = thumbnail if thumbnail.mode == "L" else thumbnail.convert("L")
    levels = np.frombuffer(thumbnail.tobytes(), np.uint8).reshape(8, 9)
    return int.from_bytes(np.packbits(levels[:, 1:] > levels[:, :-1]).tobytes(), "big")


def _normalize(data: bytes, how: Normalization, *, truncated: bool) -> Normalized:
    with _decoder_errors(), _open(data, how) as image:
        pixels_alone = image.format == "PNG" and _check_png(data)
        stored_size = image.size
        orientation = 1 if pixels_alone else _orientation(image)
        scale = _reduce_while_decoding(image, how.size)
        picture = _to_color(image)
        left, top, right, bottom = _centre_square(*stored_size, orientation)
        box = (left / scale, top / scale, right / scale, bottom / scale)
        same = picture.size == (how.size, how.size) and box == (0, 0, how.size, how.size)
        as_it_is = same and pixels_alone and how.encoding == "png" and data[24:29] == _PLAIN_HEADER[how.color]
        if as_it_is:
            picture.load()  # it has to decode, all the same
        elif same:
            picture = picture.copy()
        else:
            picture = picture.resize((how.size, how.size), Image.Resampling.LANCZOS, box=box)
        picture = _as_8_bit(picture, how.color)
        if orientation in _TURN:
            picture = picture.transpose(_TURN[orientation])
    width, height = reversed(stored_size) if orientation in _SWAPS_AXES else stored_size
    encoded = data if as_it_is else _encode(picture, how)
    return Normalized(encoded, width, height, difference_hash(picture), truncated)


@contextlib.contextmanager
def _decoder_errors() -> Iterator[None]:
    """Turns whatever a decoder raises over hostile bytes into `UnreadableError`, with the decoder's own words."""
    try:
        yield
    except UnreadableError:
        raise
    except Exception as error:
        words = str(error) or type(error).__name__
        raise UnreadableError("truncated" if "truncated" in words.lower() else "corrupt", words) from error


def _open(data: bytes, how: Normalization) -> Image.Image:
    """Reads the header alone, and refuses what is not on the allow-list or would take too much memory or time."""
    try:
        image = Image.open(io.BytesIO(data), formats=DECODERS)
    except Image.DecompressionBombError as error:
        raise UnreadableError("too-large", str(error)) from error
    except UnidentifiedImageError as error:
        words = f"not a {', '.join(DECODERS[:-1])} or {DECODERS[-1]} file, or its header is broken"
        raise UnreadableError("unsupported-format", words) from error
    width, height = _allocated(image)
    if width * height > how.max_pixels:
        words = f"{width} × {height} pixels are more than {how.max_pixels:,}; --max-pixels sets the limit"
        raise UnreadableError("too-large", words)
    scans = data.count(b"\xff\xda") if "progressive" in image.info else 1
    if scans * width * height > _SCANS * how.max_pixels:
        raise UnreadableError(
            "too-slow", f"{scans} scans of {width} × {height} pixels; save it again as a baseline JPEG"
        )
    return image


def _allocated(image: Image.Image) -> tuple[int, int]:
    """Returns the size that decoding needs memory for: a TIFF of a few pixels may lie in one tile of a billion."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        tile_width, tile_height = int(tags.get(_TILE_WIDTH, 0)), int(tags.get(_TILE_HEIGHT, 0))
        return max(image.width, tile_width), max(image.height, tile_height)
    return image.size


def _check_png(data: bytes) -> bool:
    """Checks the CRC of each IDAT, as libpng does and Pillow does not: damage would decode to other pixels.

    Returns whether the file holds its header and its pixels, and nothing besides.
    """
    start, others = 8, 0
    while len(head := data[start : start + 8]) == 8:
        length, kind = struct.unpack(">I4s", head)
        end = start + 8 + length
        crc = data[end : end + 4]
        if kind == b"IDAT" and len(crc) == 4 and zlib.crc32(memoryview(data)[start + 4 : end]) != int.from_bytes(crc):
            raise UnreadableError("corrupt", "the checksum of its pixels is wrong")
        others += kind not in (b"IHDR", b"IDAT", b"IEND")
        start = end + 4
    return not others and data.endswith(_END_OF_PNG) and start == len(data)


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":
        return 1  # Pillow turns a TIFF while it loads, and reports its upright size
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # hostile EXIF raises anything, and is not a reason to lose the picture
        return 1
    return orientation if orientation in _TURN else 1


def _centre_square(width: int, height: int, orientation: int) -> tuple[int, int, int, int]:
    """Returns the square, in stored coordinates, that is the centre of the upright picture.

    Where the margin is odd the upright picture gives the extra pixel to the right and bottom, so it turns with it.
    """
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    if orientation in _FLIPS_X:
        left = width - side - left
    if orientation in _FLIPS_Y:
        top = height - side - top
    return left, top, left + side, top + side


def _reduce_while_decoding(image: Image.Image, size: int) -> float:
    """Asks the JPEG decoder for fewer pixels, at least 2 × size on the shorter side; returns original ÷ decoded."""
    width = image.size[0]
    reduced = image.draft(None, (2 * size, 2 * size))
    return width / reduced[1][2] if reduced else 1.0


def _to_color(image: Image.Image) -> Image.Image:
    """Decodes to mode RGB, L, or F (16-bit gray scaled to 0..255, so that nothing is rounded before the resize).

    Transparent pixels are composited on white, palettes expanded, CMYK converted as Pillow does without a profile.
    16-bit colour arrives from Pillow as its high byte. Samples of 32 bits have no agreed range and are refused.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.asarray(image).astype(np.float32) / 257)
    if image.mode in ("I", "F", "LAB"):
        words = f"Pillow mode {image.mode}: save it with 8 or 16 bits a sample, in RGB or gray"
        raise UnreadableError("unsupported-color", words)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        opaque = Image.new("RGB", image.size, "white")
        opaque.paste(image, mask=image.getchannel("A"))
        return opaque
    return image if image.mode in ("RGB", "L") else image.convert("L" if image.mode == "1" else "RGB")


def _as_8_bit(picture: Image.Image, color: Color) -> Image.Image:
    if picture.mode == "F":
        picture = Image.fromarray(np.clip(np.rint(np.asarray(picture)), 0, 255).astype(np.uint8))
    mode = "RGB" if color == "rgb" else "L"
    return picture if picture.mode == mode else picture.convert(mode)


def _encode(picture: Image.Image, how: Normalization) -> bytes:
    picture.info = {}  # comments and profiles of the source do not belong to the normalized picture
    buffer = io.BytesIO()
    if how.encoding == "jpeg":
        picture.save(buffer, "JPEG", quality=how.quality, subsampling=0)
    else:
        picture.save(buffer, "PNG")
    return buffer.getvalue()
