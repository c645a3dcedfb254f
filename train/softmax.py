"""A linear softmax on features, fitted with Adam in NumPy: many at once, since they share the features.

Cross-validation fits the same images over and over, less a fold and with another penalty. Side by side these are one
matrix product a step, which costs little more than a single fit. The weights go into the Keras head of the model.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

_STEPS = 80
_RATE = 0.05  # of features with mean 0 and deviation 1; it falls to 0 along a cosine
_MEAN_DECAY, _SQUARE_DECAY, _TINY = 0.9, 0.999, 1e-8  # of Adam: Kingma and Ba, 2015
_OUTPUTS_AT_ONCE = 1 << 23  # of all softmaxes together in a step, which decides how many images it takes
_LEAST_IMAGES_A_STEP = 256
_LEAST_DEVIATION = 1e-6  # beside the largest feature, below which a feature is constant and tells nothing


@dataclasses.dataclass(frozen=True)
class Softmax:
    """Logits of features (images, N) are features @ kernel (N, labels) + bias (labels,)."""

    kernel: Floats
    bias: Floats

    def logits(self, features: Floats) -> Floats:
        """Returns (images, labels)."""
        result: Floats = features @ self.kernel + self.bias
        return result


def fit_softmaxes(
    features: Floats, labels: Labels, count: int, masks: npt.NDArray[np.bool_], penalties: Sequence[float], seed: int
) -> list[Softmax]:
    """Returns one softmax over `count` labels for each column of `masks`.

    Each minimizes the mean of its images' cross-entropies (nats) + penalty / 2 × the sum of its squared weights, those
    of features scaled to deviation 1.

    Args:
      features: (images, N).
      labels: (images,), each from 0 to count - 1.
      count: the number of labels.
      masks: (images, softmaxes); which images each one learns from, at least one.
      penalties: (softmaxes,).
      seed: decides the order of images where there are more than a step takes.
    """
    center, deviation = features.mean(axis=0), features.std(axis=0)
    varies = deviation > _LEAST_DEVIATION * np.abs(features).max()
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0).astype(np.float32)
    sizes = masks.sum(axis=0)
    shape = (features.shape[1] + 1, count, len(sizes))
    decay = np.zeros((shape[0], 1, shape[2]), np.float32)
    decay[:-1] = penalties  # the last row of weights is the bias
    weights, mean, square = (np.zeros(shape, np.float32) for _ in range(3))
    at_once = max(_LEAST_IMAGES_A_STEP, _OUTPUTS_AT_ONCE // (len(sizes) * count))
    batches = _batches(len(features), at_once, np.random.default_rng(seed))
    inputs = None
    for step in range(1, _STEPS + 1):
        rows = next(batches)
        if inputs is None or len(rows) < len(features):
            inputs = np.append((features[rows] - center) * scale, np.ones((len(rows), 1), np.float32), axis=1)
            shares = (masks[rows] * (len(features) / len(rows) / sizes)).astype(np.float32)
        gradient = _gradient(inputs, labels[rows], shares, weights) + decay * weights
        mean += np.float32(1 - _MEAN_DECAY) * (gradient - mean)
        square += np.float32(1 - _SQUARE_DECAY) * (gradient * gradient - square)
        rate = _RATE * (1 + np.cos(np.pi * (step - 1) / _STEPS)) / 2 / (1 - _MEAN_DECAY**step)
        weights -= np.float32(rate) * mean / (np.sqrt(square / np.float32(1 - _SQUARE_DECAY**step)) + _TINY)
    kernels = weights[:-1] * scale[:, np.newaxis, np.newaxis]
    biases = weights[-1] - np.tensordot(center, kernels, 1)
    return [Softmax(kernels[:, :, number], biases[:, number]) for number in range(len(sizes))]


def softmax(logits: Floats) -> Floats:
    """Returns the probabilities of logits (images, labels) or (images, labels, softmaxes)."""
    powers: Floats = logits - logits.max(axis=1, keepdims=True)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def _gradient(inputs: Floats, labels: Labels, shares: Floats, weights: Floats) -> Floats:
    """Returns the gradient of the mean cross-entropies, in the shape of weights (N + 1, labels, softmaxes)."""
    outputs = inputs @ weights.reshape(len(weights), -1)
    errors = softmax(outputs.reshape(len(inputs), *weights.shape[1:]))
    errors[np.arange(len(inputs)), labels] -= 1
    errors *= shares[:, np.newaxis]
    gradient: Floats = (inputs.T @ errors.reshape(len(inputs), -1)).reshape(weights.shape)
    return gradient


def _batches(images: int, at_once: int, random: np.random.Generator) -> Iterator[Labels]:
    """Yields row numbers without end: all of them, or so many at once of another order every time."""
    while True:
        if images <= at_once:
            yield np.arange(images)
        else:
            order = random.permutation(images)
            yield from (np.sort(order[start : start + at_once]) for start in range(0, images - at_once + 1, at_once))
