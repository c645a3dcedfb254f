"""Which formats are read: an allow-list by the first bytes, whatever a file is called.

Pillow knows some forty formats, several of which parse in Python or call external programs. Only these are opened.
"""

from imageshards.pipeline.images import bmp, gif, heif, jpeg, png, tiff, webp
from imageshards.pipeline.images.errors import UnreadableError
from imageshards.pipeline.images.picture import Picture
from imageshards.pipeline.images.settings import Normalization

KNOWN = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC"
_DECODERS = (
    ((jpeg.SIGNATURE,), jpeg.decode),
    ((png.SIGNATURE,), png.decode),
    (gif.SIGNATURES, gif.decode),
    ((bmp.SIGNATURE,), bmp.decode),
    (tiff.SIGNATURES, tiff.decode),
)
_REFUSED = (
    ((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"), "JPEG XL"),
    ((b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"), "JPEG 2000"),
    ((b"8BPS",), "Photoshop"),
    ((b"%!PS", b"%PDF", b"\xc5\xd0\xd3\xc6"), "PostScript or PDF"),
    ((b"<svg", b"<?xml"), "SVG"),
    ((b"<html", b"<!DOCTYPE", b"<!doctype"), "a web page"),
    ((b"PK\3\4",), "an archive"),
    ((b"version https://git-lfs",), "a pointer of Git LFS, whose file was not fetched"),
)


def decode(data: bytes, normalization: Normalization) -> Picture:
    """Decodes a file of any format on the list.

    Raises:
      UnreadableError: unsupported-format, and what the format's own decoder says.
    """
    for signatures, decoder in _DECODERS:
        if data.startswith(signatures):
            return decoder(data, normalization)
    if webp.is_webp(data):
        return webp.decode(data, normalization)
    if heif.is_heif(data):
        return heif.decode(data, normalization)
    what = next((name for signatures, name in _REFUSED if data.startswith(signatures)), "")
    raise UnreadableError("unsupported-format", f"it is {what}, and not {KNOWN}" if what else f"not a {KNOWN} file")
