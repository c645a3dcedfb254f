"""Which labels are likely to be wrong, by what a model says of images that it did not learn from.

Sources: Northcutt, Jiang and Chuang, "Confident Learning", 2021, for how many; Kuan and Mueller, "Model-agnostic label
quality scoring", 2022, for the order: the probability of the given label, which they call self-confidence.
"""

import numpy as np
import numpy.typing as npt

from imageshards.train.softmax import Floats

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
