"""What normalization is held against: a full decode, and Lanczos-3 in floating point with NumPy."""

import io

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from imageshards.pipeline.images import Normalization, normalize

Pixels = npt.NDArray[np.float64]
LOSSLESS = Normalization(encoding="png")


def lanczos(pixels: Pixels, size: int) -> Pixels:
    """Resizes an (H, W, C) array to (size, size, C): the textbook filter, stretched by the scale where it shrinks."""
    for axis in (0, 1):
        length = pixels.shape[axis]
        scale = length / size
        centre = (np.arange(size) + 0.5) * scale
        distance = (np.arange(length) + 0.5 - centre[:, None]) / max(scale, 1)
        weights = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)
        weights /= weights.sum(axis=1, keepdims=True)
        pixels = np.moveaxis(np.tensordot(weights, pixels, axes=(1, axis)), 0, axis)
    return pixels


def reference(image: Image.Image, size: int = 224) -> Pixels:
    """The upright RGB picture's centre square, resized, never rounded."""
    pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"), np.float64)
    side = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return lanczos(pixels[top : top + side, left : left + side], size)


def stored(data: bytes, normalization: Normalization = LOSSLESS) -> Pixels:
    with Image.open(io.BytesIO(normalize(data, normalization).data)) as image:
        return np.asarray(image, np.float64)


def psnr(one: Pixels, other: Pixels) -> float:
    error = float(np.mean((one - other.clip(0, 255)) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(255**2 / error))


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif
