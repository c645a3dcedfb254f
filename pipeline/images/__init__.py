"""Image file bytes in, normalized bytes out. Pure: no Beam, no TensorFlow, no files.

formats        bytes → Picture, by jpeg, png, webp, gif, bmp, tiff, or heif for AVIF and HEIC
color, fit     Picture → pixels in sRGB (by `profiles`), upright, of the stored size
normalization  the whole way, and the encoding
"""

from typing import TYPE_CHECKING, Any

from imageshards.pipeline.images.errors import UnreadableError
from imageshards.pipeline.images.settings import NORMALIZATION_VERSION, Color, Encoding, Fit, Normalization

if TYPE_CHECKING:
    from imageshards.pipeline.images.normalization import Normalized, normalize

__all__ = [
    "NORMALIZATION_VERSION",
    "Color",
    "Encoding",
    "Fit",
    "Normalization",
    "Normalized",
    "UnreadableError",
    "normalize",
]


def __getattr__(name: str) -> Any:
    """Imports Pillow and NumPy when they are needed, and not for a command's --help."""
    if name in ("Normalized", "normalize"):
        from imageshards.pipeline.images import normalization

        return getattr(normalization, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
