"""What a model expects before it has seen a picture: the mix of labels in training, or every label as often.

A model that is trained on 1,000 cats and 53 dogs says cat when in doubt. Where dogs are as frequent at work, or count
as much, the logarithm of the training mix is taken off the logits.
Source: Menon et al., "Long-tail learning via logit adjustment", 2021.
"""

import numpy as np
import numpy.typing as npt

from imageshards.train.softmax import Floats


def log_prior(labels: npt.NDArray[np.int64], count: int) -> Floats:
    """Returns the logarithm of how frequent each of `count` labels is, beside the average label that has images."""
    images = np.bincount(labels, minlength=count)
    average = len(labels) / max(1, int((images > 0).sum()))
    relative = np.where(images > 0, images / average, 1)
    logarithm: Floats = np.log(relative).astype(np.float32)
    return logarithm


def label_weights(labels: npt.NDArray[np.int64], count: int) -> Floats:
    """Returns the weights (count,) of images by label with which every label that has images counts the same."""
    weights: Floats = np.exp(-log_prior(labels, count))
    return weights
