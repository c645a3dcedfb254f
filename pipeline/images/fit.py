"""Where a picture goes in the stored square: upright, and cropped, padded or stretched to it."""

from PIL import Image, ImageColor

from imageshards.pipeline.images.picture import Picture
from imageshards.pipeline.images.settings import Normalization

_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FLIPS_X = (2, 3, 7, 8)  # orientations that show the stored picture's right edge first, along the stored x axis
_FLIPS_Y = (3, 4, 6, 7)
_SWAPS_AXES = (5, 6, 7, 8)


def reduction(width: int, height: int, normalization: Normalization) -> int:
    """Returns the factor, 1, 2, 4 or 8, that leaves at least twice the pixels that are stored, each way."""
    side = max(width, height) if normalization.fit == "pad" else min(width, height)
    return max(factor for factor in (1, 2, 4, 8) if factor == 1 or side >= 2 * normalization.size * factor)


def upright_size(picture: Picture) -> tuple[int, int]:
    """Returns the width and height that the picture is seen with."""
    width, height = picture.size
    return (height, width) if picture.orientation in _SWAPS_AXES else (width, height)


def resize(image: Image.Image, picture: Picture, normalization: Normalization) -> Image.Image:
    """Returns `image`, the picture's pixels, at the size they are stored with; not turned yet, not padded yet."""
    left, top, right, bottom = _kept(picture, normalization)
    scale = picture.scale
    box = (left / scale, top / scale, right / scale, bottom / scale)
    size = _inner_size(picture, normalization)
    if image.size == size and box == (0, 0, *size):
        return image
    return image.resize(size, Image.Resampling.LANCZOS, box=box)


def place(image: Image.Image, picture: Picture, normalization: Normalization) -> Image.Image:
    """Turns the resized picture upright, and pads it to the stored square."""
    if picture.orientation in _TURN:
        image = image.transpose(_TURN[picture.orientation])
    if image.size == (normalization.size, normalization.size):
        return image
    square = Image.new(
        image.mode, (normalization.size, normalization.size), ImageColor.getcolor(normalization.pad_color, image.mode)
    )
    square.paste(image, ((normalization.size - image.width) // 2, (normalization.size - image.height) // 2))
    return square


def _kept(picture: Picture, normalization: Normalization) -> tuple[int, int, int, int]:
    """Returns the part of the stored picture that is kept: with `crop` the centre square of the upright picture.

    Where the margin is odd the upright picture gives the extra pixel to the right and bottom, so it turns with it.
    """
    width, height = picture.size
    if normalization.fit != "crop":
        return 0, 0, width, height
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    if picture.orientation in _FLIPS_X:
        left = width - side - left
    if picture.orientation in _FLIPS_Y:
        top = height - side - top
    return left, top, left + side, top + side


def _inner_size(picture: Picture, normalization: Normalization) -> tuple[int, int]:
    if normalization.fit != "pad":
        return normalization.size, normalization.size
    width, height = picture.size
    longer = max(width, height)
    return max(1, round(width * normalization.size / longer)), max(1, round(height * normalization.size / longer))
