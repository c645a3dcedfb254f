"""Embedded ICC profiles, applied to resized pictures: a fraction of a millisecond each."""

import functools
import io
from typing import Literal

import numpy as np
from PIL import Image, ImageCms

ProfileUse = Literal["none", "srgb", "converted", "ignored"]

_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}  # Pillow's modes, and the profiles that fit them
_LARGEST = 16 << 20  # bytes; press profiles have 3 MB
_SAME = 2  # levels: profiles that differ from sRGB by rounding alone change no colour by more


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, ProfileUse]:
    """Returns an RGB, L or CMYK image in sRGB by its profile, perceptually; and what became of the profile.

    A profile that is sRGB changes nothing. One that is broken, or of another kind of colour, is ignored.
    """
    if profile is None:
        return image, "none"
    use, transform = _transform(profile, image.mode)
    if transform is None:
        return image, use
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # it is None where it works in place
    return converted, use


@functools.lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> tuple[ProfileUse, ImageCms.ImageCmsTransform | None]:
    """Returns what is to be done with a profile. Photos of one camera share theirs, so the last few are kept."""
    try:
        if len(profile) > _LARGEST:
            raise ValueError("too large to be a profile")
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            raise ValueError("a profile for other colours")
        transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB", ImageCms.Intent.PERCEPTUAL)
        same = mode != "CMYK" and _changes_nothing(transform, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return "ignored", None
    return ("srgb", None) if same else ("converted", transform)


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Says whether a transform leaves colours from all over the cube where they are."""
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    probe = Image.fromarray(cube if mode == "RGB" else cube[..., 0])
    converted = ImageCms.applyTransform(probe, transform)
    assert converted is not None
    return int(np.abs(np.asarray(converted, np.int16) - np.asarray(probe.convert("RGB"), np.int16)).max()) <= _SAME
