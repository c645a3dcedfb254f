"""JPEG, by libjpeg-turbo through simplejpeg, which says what is missing where Pillow keeps silent.

libjpeg warns of much that loses no pixel, such as a missing end marker or stray bytes before one. A file that it warns
of is mended first: only what still misses pixels is refused as truncated.
"""

import dataclasses
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image, JpegImagePlugin

from imageshards.pipeline.images import fit
from imageshards.pipeline.images.errors import UnreadableError, check_coded_bytes, check_pixels
from imageshards.pipeline.images.picture import Picture
from imageshards.pipeline.images.settings import Normalization
from imageshards.pipeline.images.tags import exif_orientation

SIGNATURE = b"\xff\xd8"

# A progressive JPEG comes in some ten scans, each a pass over all of its pixels; a hostile one in thousands, which take
# hours. This many passes over 100 megapixels take some ten seconds.
_SCAN_PIXELS = 2_000_000_000

_MOST_SEGMENTS = 100_000
_NEXT = re.compile(rb"\xff([^\x00\xff])")
_NEXT_AFTER_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_END = b"\xff\xd9"
_EOI, _SOS, _EXIF, _ICC = 0xD9, 0xDA, 0xE1, 0xE2
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
_OTHER_FRAMES = {
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), "a lossless JPEG"),
    **dict.fromkeys((0xC5, 0xC6, 0xCD, 0xCE), "a hierarchical JPEG"),
    0xF7: "a JPEG-LS",
}
_PROGRESSIVE = (0xC2, 0xCA)
_ARITHMETIC = (0xC9, 0xCA)
_ARITHMETIC_COST = 3  # it is decoded three times, to see whether it is whole
_NEEDED = {
    *_FRAMES,
    0xC4,
    0xCC,
    0xDB,
    0xDD,
    0xE0,
    0xEE,
}  # tables, restart interval, and what JFIF and Adobe say of colour
_COLORS = {1: ("GRAY", "L", "L"), 3: ("RGB", "RGB", "RGB"), 4: ("CMYK", "CMYK", "CMYK;I")}
_NEVER_SENT = 16  # more bits than any coefficient has
_HARMLESS = re.compile(
    "extraneous|Invalid SOS|Inconsistent progression|unknown JFIF|Unknown Adobe"
)  # of libjpeg's warnings
_LOST = re.compile("premature end|instead of RST", re.IGNORECASE)
_FILLER = bytes(range(1, 255))  # what no decoder takes for a marker
_ARITHMETIC_FILLER = bytes(16) + _FILLER  # an arithmetic coder leaves zeros out at the end, and its decoder reads ahead


class _Segment(NamedTuple):
    marker: int
    start: int  # of the marker
    body: memoryview
    end: int


@dataclasses.dataclass
class _Header:
    """What stands before the first scan."""

    marker: int = 0
    precision: int = 0
    width: int = 0
    height: int = 0
    components: bytes = b""  # their numbers
    exif: memoryview | None = None
    profile: bytes | None = None
    scan: int = 0  # where the first scan's marker stands; 0 where there is none
    interleaved: bool = False  # that scan brings all there is


def decode(data: bytes, normalization: Normalization) -> Picture:
    """Decodes at a DCT scale that leaves at least twice the stored pixels, a fifth of the work on 12 megapixels.

    Raises:
      UnreadableError: too-large, too-slow, truncated, corrupt, unsupported-color, unsupported-format.
    """
    header = _read_header(data)
    _check(header, normalization)
    scale = fit.reduction(header.width, header.height, normalization)
    image, truncated = _pixels(data, header, scale, keep_truncated=normalization.keep_truncated)
    size = header.width, header.height
    return Picture(image, size, exif_orientation(header.exif), header.profile, truncated, scale)


def _read_header(data: bytes) -> _Header:
    header = _Header()
    profile: dict[int, bytes] = {}
    for segment in _segments(data):
        body = segment.body
        if segment.marker in _FRAMES or segment.marker in _OTHER_FRAMES:
            if len(body) < 6:
                break
            header.marker, header.precision = segment.marker, body[0]
            header.height, header.width = int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
            header.components = bytes(body[6::3][: body[5]])
        elif segment.marker == _EXIF and bytes(body[:6]) == b"Exif\0\0" and header.exif is None:
            header.exif = body[6:]
        elif segment.marker == _ICC and bytes(body[:12]) == b"ICC_PROFILE\0" and len(body) > 14:
            profile[body[12]] = bytes(body[14:])
            header.profile = b""
        elif segment.marker == _SOS:
            header.scan = segment.start
            header.interleaved = header.marker not in _PROGRESSIVE and body[:1] == bytes([len(header.components)])
            break
    if header.profile is not None and sorted(profile) == list(range(1, len(profile) + 1)):
        header.profile = b"".join(profile[number] for number in sorted(profile))
    return header


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yields the marker segments up to the end marker, over stray bytes, each scan's data skipped."""
    view, at, pattern = memoryview(data), 2, _NEXT
    for _ in range(_MOST_SEGMENTS):
        found = pattern.search(data, at)
        if found is None:
            return
        marker, start = found[1][0], found.start()
        at, pattern = found.end(), _NEXT
        if marker == _EOI:
            yield _Segment(marker, start, view[at:at], at)
            return
        if marker == 1 or 0xD0 <= marker <= 0xD8:
            continue
        length = int.from_bytes(view[at : at + 2])
        if length < 2 or at + length > len(data):
            return
        yield _Segment(marker, start, view[at + 2 : at + length], at + length)
        at += length
        pattern = _NEXT_AFTER_SCAN if marker == _SOS else _NEXT
    raise UnreadableError("too-slow", f"more than {_MOST_SEGMENTS:,} segments; save it again")


def _check(header: _Header, normalization: Normalization) -> None:
    if header.marker in _OTHER_FRAMES:
        words = f"{_OTHER_FRAMES[header.marker]}, which few programs read: save it as a baseline JPEG"
        raise UnreadableError("unsupported-format", words)
    if not header.marker or not header.scan:
        raise UnreadableError("truncated", "the file ends before its first pixel")
    check_pixels(header.width, header.height, normalization.max_pixels)
    if header.precision != 8:
        raise UnreadableError("unsupported-color", f"{header.precision} bits per sample: save it with 8")
    if len(header.components) not in _COLORS:
        words = f"{len(header.components)} components: save it in RGB, gray or CMYK"
        raise UnreadableError("unsupported-color", words)


def _check_scans(data: bytes, header: _Header) -> str:
    """Returns what is missing where the pixels come in several scans.

    Raises:
      UnreadableError: too-slow.
    """
    if header.marker in _ARITHMETIC:
        check_coded_bytes(len(data) * _ARITHMETIC_COST)
    if header.interleaved:
        return ""
    scans, ended, gaps = 0, False, False
    bits = {(component, k): _NEVER_SENT for component in header.components for k in range(64)}
    for segment in _segments(data):
        ended = segment.marker == _EOI
        if segment.marker == _SOS:
            scans += 1
            sent, after = _sent(segment.body, header)
            gaps = gaps or any(bits.get(coefficient, 0) > after for coefficient in sent if after)
            bits |= sent
    if scans * header.width * header.height > _SCAN_PIXELS:
        words = f"{scans} scans of {header.width} × {header.height} pixels; save it again as a baseline JPEG"
        raise UnreadableError("too-slow", words)
    lost = gaps or (_NEVER_SENT in bits.values() if ended else any(bits.values()))
    return "scans are missing" if lost else ""


def _sent(scan: memoryview, header: _Header) -> tuple[dict[tuple[int, int], int], int]:
    """Returns the coefficients that a scan brings: (component, number) → how many of the last bits are to follow.

    And how many were to follow before it; 0 where it brings their first bits.
    """
    if not scan or len(scan) < 4 + 2 * scan[0]:
        return {}, 0
    first, last, approximation = scan[1 + 2 * scan[0] :][:3]
    if header.marker not in _PROGRESSIVE:
        first, last, approximation = 0, 63, 0
    numbers = range(first, min(last, 63) + 1)
    components = scan[1 : 1 + 2 * scan[0] : 2]
    return {(component, k): approximation & 15 for component in components for k in numbers}, approximation >> 4


def _pixels(data: bytes, header: _Header, scale: int, *, keep_truncated: bool) -> tuple[Image.Image, bool]:
    """Decodes; returns the image, and whether pixels are missing."""
    words = _check_scans(data, header)
    lost = bool(words)
    for file in (data, _mended(data, header)) if not lost else ():
        try:
            return _decoded(file, header, scale, strict=True), False
        except ValueError as error:
            words = str(error).removeprefix("Corrupt JPEG data: ")
    mended = _mended(data, header)
    if not lost and _HARMLESS.search(words):
        if _complete(mended, header, scale):
            return _decoded(mended, header, scale, strict=False), False
        lost = True
    lost = lost or _LOST.search(words) is not None
    if not (keep_truncated and lost):
        raise UnreadableError("truncated" if lost else "corrupt", f"pixels are missing: {words}" if lost else words)
    return _decoded(mended, header, scale, strict=False), True


def _decoded(data: bytes, header: _Header, scale: int, *, strict: bool) -> Image.Image:
    """Decodes by simplejpeg; or by Pillow what it does not know, samplings that hardly anyone uses.

    Raises:
      ValueError: libjpeg's words; where `strict`, also its warnings.
    """
    color, mode, raw = _COLORS[len(header.components)]
    if strict and header.marker in _ARITHMETIC and not _complete(_mended(data, header), header, scale):
        raise ValueError("premature end of data")  # which libjpeg does not say of this coding
    least = (-(-header.height // scale), -(-header.width // scale))
    try:
        pixels = simplejpeg.decode_jpeg(data, color, min_height=least[0], min_width=least[1], strict=strict)
    except KeyError:
        return _decoded_by_pillow(data, header, scale, strict=strict)
    except ValueError as error:
        if "subsampling" not in str(error):
            raise
        return _decoded_by_pillow(data, header, scale, strict=strict)
    return Image.frombuffer(mode, (pixels.shape[1], pixels.shape[0]), pixels, "raw", raw, 0, 1)


def _decoded_by_pillow(data: bytes, header: _Header, scale: int, *, strict: bool) -> Image.Image:
    mended = _mended(data, header)
    if strict and not _complete(mended, header, scale):
        raise ValueError("premature end of data")
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(mended))
    image.draft(None, (image.width // scale, image.height // scale))
    image.load()
    return image


def _mended(data: bytes, header: _Header) -> bytes:
    """Returns the file without stray bytes before its first scan, and with an end marker."""
    needed, ended = [], False
    for segment in _segments(data):
        if segment.start < header.scan and segment.marker in _NEEDED:
            needed.append(data[segment.start : segment.end])
        ended = segment.marker == _EOI
    return b"".join([SIGNATURE, *needed, data[header.scan :], b"" if ended else _END])


def _complete(data: bytes, header: _Header, scale: int) -> bool:
    """Says whether all pixels are there: then bytes before each marker change nothing, for no decoder needs them."""
    filler = _ARITHMETIC_FILLER if header.marker in _ARITHMETIC else _FILLER
    parts, at, scan = [], 0, False
    for segment in _segments(data):
        if scan:
            parts.append(_RESTART.sub(lambda marker: filler + marker[0], data[at : segment.start]) + filler)
            at = segment.start
        scan = segment.marker == _SOS
        parts.append(data[at : segment.end])
        at = segment.end
    filled = b"".join(parts)
    one, other = (np.asarray(_decoded(file, header, scale, strict=False)) for file in (data, filled))
    return bool((one == other).all())
