"""TIFF, by Pillow and libtiff, once its table of tags has shown that it can be read."""

import struct

from PIL import ImageFile, TiffImagePlugin

from imageshards.pipeline.images.errors import UnreadableError, check_pixels
from imageshards.pipeline.images.picture import Picture, load, stream
from imageshards.pipeline.images.settings import Normalization
from imageshards.pipeline.images.tags import Tags

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIPS, _STRIP_BYTES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 273, 279, 322, 323, 324, 325
_COLORS_OF_PALETTE, _SUBTABLES, _SAMPLE_FORMAT, _JPEG_TABLES, _PROFILE, _DNG = 320, 330, 339, 347, 34675, 50706
_NEEDED = (_BITS, _STRIPS, _STRIP_BYTES, _COLORS_OF_PALETTE, _TILES, _TILE_BYTES, _JPEG_TABLES)
_UNCOMPRESSED, _YCBCR = 1, 6
_COLORS = {0: "gray", 1: "gray", 2: "RGB", 3: "palette", 4: "a mask", 5: "CMYK", 6: "YCbCr", 8: "CIELAB", 9: "ICCLAB"}
_CODERS = {34712: "JPEG 2000", 33003: "JPEG 2000", 33005: "JPEG 2000", 34887: "LERC", 50001: "WebP", 50002: "JPEG XL"}
_NUMBERS = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}


def decode(data: bytes, normalization: Normalization) -> Picture:
    """Decodes the first page. Pillow turns it upright while it loads.

    Raises:
      UnreadableError: too-large, truncated, corrupt, unsupported-color, unsupported-format.
    """
    try:
        tags = Tags(data)
    except (ValueError, struct.error) as error:
        raise UnreadableError("corrupt", "its header is damaged") from error
    _check(tags, data, normalization)
    cut = _ends_within_pixels(tags, data)
    if cut and not normalization.keep_truncated:
        raise UnreadableError("truncated", "the file ends within its pixels")
    image = _open(tags, data)
    truncated = load(image, keep_truncated=normalization.keep_truncated) or cut
    profile = tags.span(_PROFILE)
    return Picture(image, image.size, profile=None if profile is None else bytes(profile), truncated=truncated)


def _check(tags: Tags, data: bytes, normalization: Normalization) -> None:
    """Refuses what would take too much memory, and raw photos, whose first page is a thumbnail."""
    width, height = (tags.integer(number, 0) for number in (_WIDTH, _HEIGHT))
    if not tags.complete or not all(map(tags.reaches, _NEEDED)) or not width or not height:
        raise UnreadableError("truncated", "the file ends within its table of tags")
    if tags.values_size() > len(data):
        raise UnreadableError("corrupt", "its tags take more bytes than the file has")
    check_pixels(
        max(width, tags.integer(_TILE_WIDTH, 0)), max(height, tags.integer(_TILE_HEIGHT, 0)), normalization.max_pixels
    )
    if tags.integers(_DNG) or (tags.integer(_SUBFILE, 0) & 1 and tags.integers(_SUBTABLES)):
        raise UnreadableError("unsupported-format", "a camera's raw file: develop it, and save it as JPEG")


def _ends_within_pixels(tags: Tags, data: bytes) -> bool:
    """Says so of strips and tiles; but of uncompressed strips Pillow does, which sees that only padding is cut."""
    strips = tags.integers(_STRIPS)
    if strips and tags.integer(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED:
        return False
    starts = strips or tags.integers(_TILES)
    sizes = tags.integers(_STRIP_BYTES) or tags.integers(_TILE_BYTES)
    return any(start + size > len(data) for start, size in zip(starts, sizes, strict=False))


def _open(tags: Tags, data: bytes) -> TiffImagePlugin.TiffImageFile:
    try:
        image = TiffImagePlugin.TiffImageFile(stream(data))
    except (SyntaxError, KeyError, TypeError, ValueError, OSError) as error:
        raise UnreadableError(*_reason(tags)) from error
    if (tags.integer(_PHOTOMETRIC, 0), tags.integer(_COMPRESSION, 1)) == (_YCBCR, _UNCOMPRESSED):
        image.use_load_libtiff = True  # Pillow alone takes these samples for RGB
        where = (0, 0, tags.integer(_WIDTH, 0), tags.integer(_HEIGHT, 0))
        image.tile = [ImageFile._Tile("libtiff", where, 0, ("RGBX", "raw", False, image.tag_v2.offset))]
    return image


def _reason(tags: Tags) -> tuple[str, str]:
    """Returns why Pillow cannot read it, in the words of its tags."""
    coder = tags.integer(_COMPRESSION, 1)
    if coder in _CODERS:
        return "unsupported-format", f"{_CODERS[coder]} in a TIFF: save it with LZW or without compression"
    bits = "/".join(map(str, tags.integers(_BITS))) or "1"
    number = _NUMBERS.get(tags.integer(_SAMPLE_FORMAT, 1), "")
    color = _COLORS.get(tags.integer(_PHOTOMETRIC, 0), "unknown color")
    words = f"{color} of {bits} bits{' ' + number if number else ''}, compression {coder}"
    return "unsupported-color", f"a TIFF of {words}: save it with 8 or 16 bits a sample, in RGB or gray"
