"""From whatever pixels a file has to 8-bit sRGB or gray: before the resize, and after it."""

import numpy as np
from PIL import Image

from imageshards.pipeline.images.errors import UnreadableError
from imageshards.pipeline.images.profiles import ProfileUse, to_srgb
from imageshards.pipeline.images.settings import Color

_PLAIN = ("RGB", "L", "RGBA", "LA", "CMYK")


def expanded(image: Image.Image) -> Image.Image:
    """Returns pixels that can be resized: mode RGB, L, RGBA, LA, CMYK, or F for 16-bit gray scaled to 0..255.

    F keeps the resize from rounding. 16-bit colour arrives from Pillow as its high byte. Samples of 32 bits have no
    agreed range, and CIELAB is not converted: both are refused.
    """
    if image.mode.startswith("I;16"):
        return _gray_of_16_bits(image)
    if image.mode in ("I", "F", "LAB"):
        what = {"I": "32-bit integers", "F": "32-bit floating point", "LAB": "CIELAB"}[image.mode]
        raise UnreadableError(
            "unsupported-color", f"its samples are {what}: save it with 8 or 16 bits a sample, in RGB or gray"
        )
    if image.has_transparency_data:
        return image.convert("LA" if image.mode in ("L", "LA") else "RGBA")
    return image if image.mode in _PLAIN else image.convert("L" if image.mode == "1" else "RGB")


def finished(image: Image.Image, profile: bytes | None, color: Color) -> tuple[Image.Image, ProfileUse]:
    """Returns a resized picture in 8-bit sRGB or gray, and what became of its profile.

    The profile comes first, while the colours are still the file's; then what is transparent shows white; then CMYK
    without a profile is converted as Pillow does.
    """
    if image.mode == "F":
        image = Image.fromarray(np.clip(np.rint(np.asarray(image)), 0, 255).astype(np.uint8))
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    if alpha is not None:
        image = image.convert(image.mode[:-1])
    image, use = to_srgb(image, profile)
    if alpha is not None:
        image = Image.composite(image, Image.new(image.mode, image.size, "white"), alpha)
    mode = "RGB" if color == "rgb" else "L"
    return (image if image.mode == mode else image.convert(mode)), use


def _gray_of_16_bits(image: Image.Image) -> Image.Image:
    samples = np.asarray(image)
    transparent = image.info.get("transparency")
    if transparent is None:
        return Image.fromarray(samples.astype(np.float32) / 257)
    gray = Image.fromarray((samples >> 8).astype(np.uint8))
    return Image.merge("LA", (gray, Image.fromarray(np.where(samples == transparent, 0, 255).astype(np.uint8))))
