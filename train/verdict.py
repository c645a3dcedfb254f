"""A word for how a model fits, from figures that know how far they can be trusted."""

import dataclasses
import math

from imageshards.train.intervals import Estimate, percent

_LEARNED = 0.6  # of the way from guessing to perfect, below which a model has not learned its training images
_GAP = 0.1  # training accuracy so far above that on new images is overfitting
_TOO_WIDE = 0.3  # an interval that says little


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One of good, overfit, underfit and unknown, and a sentence about it."""

    word: str
    sentence: str


def verdict(train: Estimate, new: Estimate | None, labels: int) -> Verdict:
    """Returns how a model of so many labels fits.

    Args:
      train: balanced accuracy (the mean of the labels' recalls) on the training images.
      new: balanced accuracy on images that it was not trained on, if there are any.
      labels: among how many labels it chooses, at least 2; guessing reaches a balanced accuracy of 1 / labels.
    """
    guessing = 1 / labels
    learned = (train.value - guessing) / (1 - guessing)
    if new is None or math.isnan(new.value):
        if learned < _LEARNED:
            return _underfit(train)
        return Verdict("unknown", "there are no validation images, so nothing is known about new images")
    gap = train.value - new.value
    if gap > _GAP and new.high < train.value - _GAP / 2:
        return Verdict(
            "overfit",
            f"its balanced accuracy is {percent(train.value)} on its training images and {percent(new.value)} on new"
            " ones; more images, --augment or a pretrained model would help",
        )
    if learned < _LEARNED:
        return _underfit(train)
    if gap > _GAP or new.width > _TOO_WIDE:
        return Verdict("unknown", f"there are too few validation images to tell (balanced accuracy {new})")
    return Verdict("good", "it does about as well on new images as on its training images")


def _underfit(train: Estimate) -> Verdict:
    return Verdict(
        "underfit",
        f"its balanced accuracy on its training images is only {percent(train.value)}: train longer, or take a larger"
        " model",
    )
