"""What decides the stored pixels of a source image."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

Color = Literal["rgb", "gray"]
Encoding = Literal["jpeg", "png"]
Fit = Literal["crop", "pad", "stretch"]

# The stored pixels of the same file change when this number does: it takes part in every fingerprint.
NORMALIZATION_VERSION = 3


@dataclasses.dataclass(frozen=True)
class Normalization:
    """What decides the stored pixels of a source image, together with `NORMALIZATION_VERSION`."""

    size: int = 224
    color: Color = "rgb"
    encoding: Encoding = "jpeg"
    quality: int = 90
    max_pixels: int = 100_000_000
    keep_truncated: bool = False
    fit: Fit = "crop"
    pad_color: str = "white"

    @classmethod
    def recorded(cls, normalization: Mapping[str, Any]) -> "Normalization":
        """Returns what a dataset's metadata or a run says of itself, which names versions of libraries besides."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in normalization.items() if name in names})
