"""Files that are no pictures, or more than that: each with the reason it is rejected for, or None where it is read."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from .conftest import encoded, gradient

Hostile = tuple[str, bytes, str | None]  # a file name, its bytes, the reason


def png(width: int, height: int, rows: bytes, *, before: bytes = b"", depth: int = 8, color: int = 2) -> bytes:
    """A PNG whose header says what it likes about its rows."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = png_part(b"IHDR", header) + before + png_part(b"IDAT", zlib.compress(rows, 9)) + png_part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def png_part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tiff(entries: dict[int, tuple[int, int, int]]) -> bytes:
    """A little-endian TIFF of one directory: tag → (type, count, value)."""
    directory = b"".join(struct.pack("<HHII", tag, *entry) for tag, entry in sorted(entries.items()))
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + directory + bytes(4 + 64)


def tiff_of(width: int, height: int, **more: int) -> bytes:
    strip = 10 + 12 * (9 + len(more))  # more or less: what lies there is nothing anyway
    tags = {"compression": 259, "tile_width": 322, "tile_height": 323}
    entries = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: strip, 277: 1, 278: height, 279: 64}
    entries |= {tags[name]: value for name, value in more.items()}
    return tiff({tag: (4, 1, value) for tag, value in entries.items()})


def gif(width: int, height: int, frames: bytes) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frames + b";"


def jpeg_of_scans(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG that repeats its last scan."""
    data = encoded(Image.new("L", (width, height), 128), "JPEG", progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * scans + b"\xff\xd9"


def bombs() -> Iterator[Hostile]:
    """Small files that announce a picture of gigabytes."""
    yield "png.png", png(60_000, 60_000, bytes(10_000_000)), "too-large"
    yield "png-gray.png", png(2**31 - 1, 2**31 - 1, b"", color=0), "too-large"
    image = b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02\x4c\x01\x00"
    yield "screen.gif", gif(65_535, 65_535, image), "too-large"
    yield "frame.gif", gif(10, 10, image), "too-large"
    yield "tiff.tif", tiff_of(60_000, 60_000), "too-large"
    yield (
        "bmp.bmp",
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 65_000, 65_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "too-large",
    )
    webp = bytearray(encoded(gradient(20, 20), "WEBP", lossless=True))
    webp[21:25] = struct.pack("<I", (16_383) | (16_383 << 14))  # VP8L: 14 bits of width - 1, 14 of height - 1
    yield "webp.webp", bytes(webp), "too-large"
    jpeg = bytearray(encoded(Image.new("L", (16, 16)), "JPEG"))
    start = jpeg.index(b"\xff\xc0")
    jpeg[start + 5 : start + 9] = struct.pack(">HH", 65_000, 65_000)
    yield "jpeg.jpg", bytes(jpeg), "too-large"
    yield "scans.jpg", jpeg_of_scans(4000, 3000, 2000), "too-slow"
    text = png_part(b"zTXt", b"a\0\0" + zlib.compress(bytes(300_000_000), 9))
    yield "text.png", png(4, 4, bytes(52), before=text), None
    profile = png_part(b"iCCP", b"a\0\0" + zlib.compress(bytes(300_000_000)))
    yield "profile.png", png(4, 4, bytes(52), before=profile), None
    yield "tile.tif", tiff_of(16, 16, tile_width=2**31 - 16, tile_height=2**31 - 16), "too-large"
    yield "tile-lzw.tif", tiff_of(16, 16, compression=5, tile_width=30_000, tile_height=30_000), "too-large"


def damaged() -> Iterator[Hostile]:
    """What cameras, disks and downloads make of pictures."""
    picture = gradient(300, 200)
    files = {encoding: encoded(picture, encoding) for encoding in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")}
    yield "empty.jpg", b"", "empty"
    yield "words.jpg", b"these are words, and no picture", "unsupported-format"
    yield "page.jpg", b"<html><body>404 Not Found</body></html>", "unsupported-format"
    for encoding, data in files.items():
        known = {"WEBP": "unsupported-format"}
        yield f"header-{encoding}.jpg", data[:8], known.get(encoding, "truncated")
        known = {"JPEG": "truncated", "BMP": "corrupt"}
        yield f"zeros-{encoding}.jpg", data[:2] + bytes(len(data) - 2), known.get(encoding, "unsupported-format")
    for encoding in ("JPEG", "PNG", "BMP", "TIFF"):
        yield f"cut-{encoding}.jpg", files[encoding][: len(files[encoding]) // 2], "truncated"
    yield "cut.webp", files["WEBP"][: len(files["WEBP"]) // 2], "truncated"
    yield "cut.gif", files["GIF"][: len(files["GIF"]) // 2], "truncated"
    broken = bytearray(files["PNG"])
    broken[60] ^= 255
    yield "checksum.png", bytes(broken), "corrupt"
    yield "no-frame.gif", gif(10, 10, b""), "corrupt"
    yield "no-width.png", png(0, 10, b""), "corrupt"
    yield "float.tif", encoded(Image.fromarray(np.zeros((9, 9), np.float32)), "TIFF"), "unsupported-color"


def exotic() -> Iterator[Hostile]:
    """Formats that Pillow opens, some by starting another program, under names that promise pictures."""
    picture = gradient(30, 20)
    for encoding in (
        "EPS",
        "PPM",
        "ICO",
        "TGA",
        "PCX",
        "SGI",
        "IM",
        "MSP",
        "XBM",
        "PDF",
        "DDS",
        "ICNS",
        "JPEG2000",
    ):
        image = picture.convert("1") if encoding in ("MSP", "XBM") else picture
        try:
            yield f"{encoding.lower()}.jpg", encoded(image, encoding), "unsupported-format"
        except (OSError, KeyError):  # this Pillow was built without it
            continue
    yield "fits.jpg", b"SIMPLE  =                    T" + bytes(2850), "unsupported-format"
    yield "psd.png", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 20, 30, 8, 3) + bytes(40), "unsupported-format"
    yield "wmf.png", b"\xd7\xcd\xc6\x9a" + bytes(60), "unsupported-format"
    yield "svg.png", b'<?xml version="1.0"?><svg onload="alert(1)"/>', "unsupported-format"
    yield "ghostscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "unsupported-format"
    yield "zip.jpg", b"PK\3\4" + bytes(100), "unsupported-format"
    yield "program.png", b"\x7fELF" + bytes(100), "unsupported-format"


def strange() -> Iterator[Hostile]:
    """Pictures that are read, whatever comes with them."""
    picture = gradient(300, 200)
    words = png_part(b"zTXt", b"a\0\0" + zlib.compress(bytes(3_000_000)))
    yield "words-of-3-MB.png", png(4, 4, bytes(52), before=words), None
    yield "wrong-extension.jpg", encoded(picture, "PNG"), None
    yield "long.png", encoded(gradient(1, 65_535), "PNG"), None
    yield "wide.jpg", encoded(gradient(65_500, 1), "JPEG"), None
    yield "dot.gif", encoded(gradient(1, 1), "GIF"), None
    yield "exif-garbage.jpg", encoded(picture, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage"), None
    exif = Image.Exif()
    exif[0x0112] = 77
    yield "exif-orientation-77.jpg", encoded(picture, "JPEG", exif=exif), None
    loop = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    yield "exif-loop.jpg", encoded(picture, "JPEG", exif=loop), None
    yield "exif-huge-count.jpg", encoded(picture, "JPEG", exif=loop[:18] + struct.pack("<HII", 4, 2**32 - 1, 8)), None
    yield "profile-garbage.jpg", encoded(picture, "JPEG", icc_profile=b"\xff" * 5000), None
    yield "xmp-garbage.webp", encoded(picture, "WEBP", xmp=b"<!ENTITY a 'b'><x>" * 100, exif=b"\0" * 50), None
    yield "cmyk-without-profile.jpg", encoded(picture.convert("CMYK"), "JPEG"), None
    yield "scans-small.jpg", jpeg_of_scans(100, 80, 300), None
    yield "words-after-the-end.jpg", encoded(picture, "JPEG") + b"PK\3\4 and an archive", None


def all_files() -> list[Hostile]:
    return [*bombs(), *damaged(), *exotic(), *strange()]
