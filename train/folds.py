"""Folds of cross-validation: every image is left out once, and what belongs together is left out together."""

import collections

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

FOLDS = 5


def folds(labels: Numbers, groups: Numbers, seed: int, count: int = FOLDS) -> Numbers:
    """Returns the fold, from 0 to count - 1, of each image.

    Images of one group are in one fold, and every label is spread over the folds as evenly as its groups allow. The
    largest groups are placed first, each into the fold that has fewest images of its labels.

    Args:
      labels: the label of each image.
      groups: the group of each image, any number; an image that belongs with no other has a number of its own.
      seed: decides among equals.
      count: the number of folds.
    """
    _, groups = np.unique(groups, return_inverse=True)
    sizes = np.bincount(groups)
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1])
    random = np.random.default_rng(seed)
    order = random.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    images: dict[int, list[int]] = collections.defaultdict(lambda: [0] * count)  # label → images in each fold
    total = [0] * count
    fold_of_group = np.zeros(len(sizes), np.int64)
    for group in order.tolist():
        own = collections.Counter(labels[members[group]].tolist())
        best = min(range(count), key=lambda fold: (sum(own[label] * images[label][fold] for label in own), total[fold]))
        for label, number in own.items():
            images[label][best] += number
        total[best] += int(sizes[group])
        fold_of_group[group] = best
    fold: Numbers = fold_of_group[groups]
    return fold
