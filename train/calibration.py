"""Probabilities that mean what they say: of images that are given 90 %, nine in ten are right.

Source: Guo et al., "On Calibration of Modern Neural Networks", 2017.
"""

import numpy as np
import numpy.typing as npt

from imageshards.train.softmax import Floats, softmax

LEAST_IMAGES = 100  # with fewer, a temperature is more noise than help

_LOWEST, _HIGHEST = 1 / 8, 8.0
_HALVINGS = 24
_BINS = 15


def temperature(logits: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Returns what logits (images, labels) must be divided by, to have the least cross-entropy; 1 for too few images.

    The logits must be of images that the model did not learn from.
    """
    if len(labels) < LEAST_IMAGES:
        return 1.0
    of_truth = float(logits[np.arange(len(labels)), labels].mean())
    low, high = np.log(_LOWEST), np.log(_HIGHEST)  # the cross-entropy is convex in 1 / temperature
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = float((softmax(logits / np.float32(np.exp(middle))) * logits).sum(axis=1).mean())
        low, high = (middle, high) if expected > of_truth else (low, middle)
    return float(np.exp((low + high) / 2))


def calibration_error(probabilities: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Returns how far, on average, the probability of the most probable label is from how often it is right.

    This is the expected calibration error with 15 bins of equal width.
    """
    said = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((said * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(bins, said - right, _BINS)
    return float(np.abs(gaps).sum() / len(labels))
