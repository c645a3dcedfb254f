"""Which labels are likely to be wrong, by what a model says of images that it did not learn from.

Sources: Northcutt, Jiang and Chuang, "Confident Learning", 2021, for how many; Kuan and Mueller, "Model-agnostic label
quality scoring", 2022, for the order: the probability of the given label, which they call self-confidence.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from imageshards.train.softmax import Floats

if TYPE_CHECKING:
    from imageshards.train.labelled import Labelled

Labels = npt.NDArray[np.int64]


def self_confidence(probabilities: Floats, labels: Labels) -> Floats:
    """Returns the out-of-fold probability of each image's given label."""
    own: Floats = probabilities[np.arange(len(labels)), labels]
    return own


def confidently_wrong(probabilities: Floats, labels: Labels) -> npt.NDArray[np.bool_]:
    """Says which images confident learning counts as wrongly labelled.

    An image belongs with confidence to a label whose probability is at least what images of that label have on average,
    or to the most probable one of several. It counts as wrong where that label is not the given one, and the given one
    is not the most probable of all.
    """
    count = probabilities.shape[1]
    images = np.bincount(labels, minlength=count)
    total = np.bincount(labels, self_confidence(probabilities, labels), count)
    usual = np.where(images > 0, total / np.maximum(images, 1), np.inf)
    confident = np.where(probabilities >= usual, probabilities, -1)
    likely = confident.argmax(axis=1)
    wrong: npt.NDArray[np.bool_] = (
        (confident.max(axis=1) >= 0) & (likely != labels) & (probabilities.argmax(axis=1) != labels)
    )
    return wrong


@dataclasses.dataclass(frozen=True)
class LabelIssue:
    """An image whose label a person should look at.

    Attributes:
      file: its source file.
      split: where it is.
      number: its place in the split.
      given: its label.
      likely: the label that it probably is.
      score: the out-of-fold probability of the given label; the lower, the more likely that is wrong.
      reason: why it is here, in words.
    """

    file: str
    split: str
    number: int
    given: str
    likely: str
    score: float
    reason: str


@dataclasses.dataclass(frozen=True)
class LabelIssues:
    """What to look at, the likeliest errors first, and how many labels are wrong by estimate."""

    estimate: int
    issues: Sequence[LabelIssue]


def find_label_issues(probabilities: Floats, judged: "Labelled", names: Sequence[str]) -> LabelIssues:
    """Returns images that the model takes for another label, and pictures that are there under two labels.

    Args:
      probabilities: out of fold, of the judged images (images, labels).
      judged: the images.
      names: of the labels, by number.
    """
    labels = judged.labels
    score, predicted = self_confidence(probabilities, labels), probabilities.argmax(axis=1)
    reasons = dict.fromkeys(np.flatnonzero(predicted != labels).tolist(), "taken for another label")
    likely = {place: int(predicted[place]) for place in reasons}
    for pairs, how in ((judged.likeness.alike, "looks like"), (judged.likeness.same, "the same picture as")):
        for one, other in pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]].tolist():
            for place, twin in ((one, other), (other, one)):
                reasons[place] = f"{how} {judged.keys[twin]}, which is {names[labels[twin]]}"
                likely.setdefault(place, int(labels[twin]))
    issues = [
        LabelIssue(
            judged.keys[place],
            judged.splits[place],
            int(judged.numbers[place]),
            names[labels[place]],
            names[likely[place]],
            float(score[place]),
            reasons[place],
        )
        for place in sorted(reasons, key=lambda place: (float(score[place]), place))
    ]
    return LabelIssues(int(confidently_wrong(probabilities, labels).sum()), issues)
