"""What decides the stored pixels of a source image."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

Color = Literal["rgb", "gray"]
Encoding = Literal["jpeg", "png"]
Fit = Literal["crop", "pad", "stretch"]

# The stored pixels of the same file change when this number does: it takes part in every fingerprint.
NORMALIZATION_VERSION = 3

LARGEST_SIZE = 8192  # 200 MB of pixels per picture, in each thread
PILLOW_MAX_PIXELS = 178_956_970  # above it Pillow itself refuses

_CHOICES: dict[str, Sequence[object]] = {
    "size": range(1, LARGEST_SIZE + 1),
    "color": get_args(Color),
    "encoding": get_args(Encoding),
    "quality": range(101),  # 0: PNG has none
    "max_pixels": range(1, PILLOW_MAX_PIXELS + 1),
    "keep_truncated": (False, True),
    "fit": get_args(Fit),
}


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
        """Returns what a dataset's metadata or a run says of itself, which names versions of libraries besides.

        Raises:
          ValueError: a value is none that a dataset can be made with.
        """
        from PIL import ImageColor  # --help need not wait for it

        names = {field.name for field in dataclasses.fields(cls)}
        recorded = cls(**{name: value for name, value in normalization.items() if name in names})
        for name, choices in _CHOICES.items():
            value = getattr(recorded, name)
            if type(value) is not type(choices[0]) or value not in choices:
                raise ValueError(f"normalization: {name} is {value!r:.80}, with which no dataset is made")
        if not isinstance(recorded.pad_color, str):
            raise ValueError(f"normalization: pad_color is {recorded.pad_color!r:.80}, which is no color")
        ImageColor.getrgb(recorded.pad_color)
        return recorded
