"""Image file bytes in, normalized bytes out. Pure: no Beam, no TensorFlow, no files.

formats        bytes → Picture, by jpeg, png, webp, gif, bmp, tiff, or heif for AVIF and HEIC
color, fit     Picture → pixels in sRGB (by `profiles`), upright, of the stored size
normalization  the whole way, and the encoding
"""

from imageshards.pipeline.images.errors import UnreadableError
from imageshards.pipeline.images.normalization import Normalized, normalize
from imageshards.pipeline.images.settings import NORMALIZATION_VERSION, Color, Encoding, Fit, Normalization

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
