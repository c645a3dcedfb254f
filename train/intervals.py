"""How far a share of images can be trusted: 95 % confidence intervals."""

import dataclasses
import math
from collections.abc import Sequence

from imageshards.pipeline.source import counted

_Z = 1.959964  # of the normal distribution: 95 % lie within so many standard deviations


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A share between 0 and 1, the number of images it was counted on, and its 95 % confidence interval."""

    value: float
    images: int
    low: float
    high: float

    @property
    def width(self) -> float:
        """How wide the interval is."""
        return self.high - self.low

    @property
    def interval(self) -> str:
        """The interval in words, such as "57–100%"."""
        return f"{100 * self.low:.0f}–{100 * self.high:.0f}%"

    @property
    def basis(self) -> str:
        """What the value rests on, in words, such as "of 5 images: 57–100%"."""
        return f"of {counted(self.images, 'image')}: {self.interval}"

    def __str__(self) -> str:
        return f"{percent(self.value)}, {self.basis}"


def percent(value: float) -> str:
    """Returns "97.5%" or "100%": 100 % and 0 % are said only where nothing was rounded."""
    if value in (0, 1):
        return f"{value:.0%}"
    return f"{min(max(value, 0.001), 0.999):.1%}"


def wilson(correct: int, images: int) -> Estimate:
    """Returns the share `correct` of `images`, with Wilson's score interval.

    Unlike the textbook interval it stays within 0 and 1, and is not empty where all or none are correct.
    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not images:
        return Estimate(math.nan, 0, 0.0, 1.0)
    share, spread = correct / images, _Z**2 / images
    centre = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    low = 0.0 if correct == 0 else centre - half
    high = 1.0 if correct == images else centre + half
    return Estimate(share, images, low, high)


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """Returns the unweighted mean of independent estimates; its interval combines theirs.

    Source: Zou and Donner, "Construction of confidence limits about effect measures", 2008 (the MOVER method).
    """
    known = [estimate for estimate in estimates if estimate.images]
    if not known:
        return Estimate(math.nan, 0, 0.0, 1.0)
    value = math.fsum(estimate.value for estimate in known) / len(known)
    below = math.hypot(*(estimate.value - estimate.low for estimate in known)) / len(known)
    above = math.hypot(*(estimate.high - estimate.value for estimate in known)) / len(known)
    images = sum(estimate.images for estimate in known)
    return Estimate(value, images, max(0.0, value - below), min(1.0, value + above))
