"""AVIF, by Pillow, and HEIC, by the optional pi-heif, both within limits that are read from their boxes."""

from PIL import AvifImagePlugin, Image

from imageshards.pipeline.images import boxes
from imageshards.pipeline.images.errors import UnreadableError, check_coded_bytes, check_pixels
from imageshards.pipeline.images.picture import Picture, stream
from imageshards.pipeline.images.settings import Normalization

_MORE = 2  # so many times the most pixels its tiles and transparency may take together
_OTHERS = {b"jpeg": "JPEG", b"j2k1": "JPEG 2000", b"vvc1": "VVC", b"avc1": "AVC", b"unci": "uncompressed pixels"}
_BRANDS = (b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"miaf")


def is_heif(data: bytes) -> bool:
    """Says whether a file is of boxes that hold pictures."""
    return boxes.is_media(data) and not {*_BRANDS}.isdisjoint(boxes.brands(data))


def decode(data: bytes, normalization: Normalization) -> Picture:
    """Decodes the primary picture. Its own properties turn and crop it; EXIF does not, as the standard says.

    Raises:
      UnreadableError: too-large, truncated, corrupt, unsupported-format.
    """
    still = boxes.read_still(data)
    check_pixels(still.width, still.height, normalization.max_pixels)
    check_coded_bytes(still.coded_bytes)
    if still.largest > normalization.max_pixels or still.coded_pixels > _MORE * normalization.max_pixels:
        words = f"{still.coded_pixels:,} pixels in its tiles are more than --max-pixels {normalization.max_pixels:,}"
        raise UnreadableError("too-large", words)
    if still.coded == b"av01":
        return _decode_avif(data, still)
    if still.coded == b"hvc1":
        image = _decode_heic(data)
        return Picture(image, image.size, profile=still.profile)
    what = _OTHERS.get(still.coded, still.coded.decode("ascii", "replace"))
    raise UnreadableError("unsupported-format", f"a HEIF file of {what}: save it as JPEG")


def _decode_avif(data: bytes, still: boxes.Still) -> Picture:
    file = AvifImagePlugin.AvifImageFile(stream(boxes.still_alone(data)))
    file.load()
    image: Image.Image = file
    if image.size == (still.width, still.height) and still.aperture:
        image = image.crop(still.aperture)
    return Picture(image, image.size, still.orientation, still.profile)


def _decode_heic(data: bytes) -> Image.Image:
    """Decodes with libheif, which turns and crops on its way."""
    try:
        import pi_heif
    except ImportError as error:
        words = "HEIC is read where the extra is installed: pip install 'imageshards[heic]'"
        raise UnreadableError("unsupported-format", words) from error
    file = pi_heif.open_heif(stream(boxes.still_alone(data)), convert_hdr_to_8bit=True)
    image = file[file.primary_index]
    pixels = image.data  # decoding may change the size that the header said
    return Image.frombytes(image.mode, image.size, pixels, "raw", image.mode, image.stride)
