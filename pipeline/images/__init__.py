"""Image file bytes in, normalized bytes out. Pure: no Beam, no TensorFlow, no files."""

from imageshards.pipeline.images.normalization import (
    NORMALIZATION_VERSION,
    Color,
    Encoding,
    Normalization,
    Normalized,
    UnreadableError,
    normalize,
)

__all__ = ["NORMALIZATION_VERSION", "Color", "Encoding", "Normalization", "Normalized", "UnreadableError", "normalize"]
