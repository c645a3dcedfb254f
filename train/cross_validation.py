"""Cross-validation of a softmax on kept features: a figure for all labelled images, at the cost of one matrix product.

Each image is judged by a softmax that was fitted without its fold. The same folds choose how much large weights cost.
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from imageshards.train.folds import FOLDS, folds
from imageshards.train.softmax import Floats, Softmax, fit_softmaxes, softmax

Labels = npt.NDArray[np.int64]

CROSS_VALIDATION = "cross_validation"  # beside the names of splits

_PENALTIES = (0.06, 0.2, 0.6, 2.0)  # divided by the number of labels, among which the weights are shared
_ENOUGH_TO_CHOOSE = 1_000  # left-out images
_USUAL_PENALTY = 0.2  # where there is nothing to choose by
_FRACTIONS = (1 / 8, 1 / 4, 1 / 2)
_LEAST_IMAGES = 2  # that a point of the learning curve learns from


@dataclasses.dataclass(frozen=True)
class CurvePoint:
    """What is said of left-out images, (images, labels), after learning from so many images."""

    training_images: int
    logits: Floats


@dataclasses.dataclass(frozen=True)
class CrossValidation:
    """What is said of each image by a softmax that was fitted without it.

    Attributes:
      labels: the given label of each image.
      logits: out of fold, (images, labels).
      curve: the learning curve, the fewest training images first.
      penalty: the chosen cost of squared weights.
      folds: how many.
    """

    labels: Labels
    logits: Floats
    curve: list[CurvePoint]
    penalty: float
    folds: int


def fit_and_cross_validate(
    features: Floats, labels: Labels, count: int, groups: Labels, training: npt.NDArray[np.bool_], seed: int
) -> tuple[Softmax, CrossValidation | None]:
    """Returns the softmax over `count` labels of the training images, and how it does on images it has not seen.

    Args:
      features: (images, N), of training images and of others that have a label.
      labels: (images,).
      count: the number of labels.
      groups: (images,); images of one group are left out together.
      training: (images,); which ones the softmax is fitted to.
      seed: decides the folds.

    Returns:
      The softmax, and the cross-validation of all images; None where all are of one group.
    """
    number = min(FOLDS, len(np.unique(groups)))
    if number < 2:
        only = fit_softmaxes(features, labels, count, training[:, np.newaxis], [_USUAL_PENALTY / count], seed)
        return only[0], None
    fold = folds(labels, groups, seed, number)
    learning = np.stack([*(fold != left_out for left_out in range(number)), training], axis=1)
    penalty, fitted = _choose_penalty(features, labels, count, fold, learning[:, :number], seed)
    rest = learning[:, len(fitted) :]
    fitted += fit_softmaxes(features, labels, count, rest, [penalty] * rest.shape[1], seed)
    logits = _out_of_fold(fitted[:number], features, fold)
    curve = _learning_curve(features, labels, count, fold, penalty, seed)
    size = round(float(np.mean([(fold != left_out).sum() for left_out in range(number)])))
    return fitted[-1], CrossValidation(labels, logits, [*curve, CurvePoint(size, logits)], penalty, number)


def cross_entropy(logits: Floats, labels: Labels) -> float:
    """Returns the mean cross-entropy, in nats."""
    of_truth = softmax(logits)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_truth, np.float32(1e-7))).mean())


def _choose_penalty(
    features: Floats, labels: Labels, count: int, fold: Labels, learning: npt.NDArray[np.bool_], seed: int
) -> tuple[float, list[Softmax]]:
    """Returns the penalty with the least cross-entropy of left-out images, and its softmaxes of the first folds.

    Where there are many images, the first folds leave out enough of them to choose by.
    """
    enough = math.ceil(_ENOUGH_TO_CHOOSE * learning.shape[1] / len(labels))
    learning = learning[:, :enough]
    number = learning.shape[1]
    penalties = [penalty / count for penalty in _PENALTIES]
    masks = np.tile(learning, len(penalties))
    fitted = fit_softmaxes(features, labels, count, masks, np.repeat(penalties, number).tolist(), seed)
    by_penalty = [fitted[start : start + number] for start in range(0, len(fitted), number)]
    rows = fold < number
    left_out = features[rows], fold[rows]
    losses = [cross_entropy(_out_of_fold(softmaxes, *left_out), labels[rows]) for softmaxes in by_penalty]
    best = int(np.argmin(losses))
    return penalties[best], by_penalty[best]


def _out_of_fold(softmaxes: list[Softmax], features: Floats, fold: Labels) -> Floats:
    """Returns the logits of all images; each softmax judges the images of its fold."""
    logits = np.empty((len(features), len(softmaxes[0].bias)), np.float32)
    for left_out, fitted in enumerate(softmaxes):
        rows = fold == left_out
        logits[rows] = fitted.logits(features[rows])
    return logits


def _learning_curve(
    features: Floats, labels: Labels, count: int, fold: Labels, penalty: float, seed: int
) -> list[CurvePoint]:
    """Returns the points for parts of the training folds; each part holds the smaller ones, and every label."""
    place = _place_in_label(labels, seed)
    number = int(fold.max()) + 1
    points = []
    for part in _FRACTIONS:
        rows = np.flatnonzero(place < part)
        masks = np.stack([fold[rows] != left_out for left_out in range(number)], axis=1)
        if masks.sum(axis=0).min() < _LEAST_IMAGES:
            continue
        fitted = fit_softmaxes(features[rows], labels[rows], count, masks, [penalty] * number, seed)
        size = round(float(masks.sum(axis=0).mean()))
        points.append(CurvePoint(size, _out_of_fold(fitted, features, fold)))
    return points


def _place_in_label(labels: Labels, seed: int) -> npt.NDArray[np.float64]:
    """Returns each image's place among those of its label in a random order, from 0 to below 1."""
    order = np.random.default_rng(seed).permutation(len(labels))
    place = np.zeros(len(labels))
    for label in np.unique(labels).tolist():
        rows = order[labels[order] == label]
        place[rows] = np.arange(len(rows)) / len(rows)
    return place
