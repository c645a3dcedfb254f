"""Says which pictures are unlike all that a model was trained on, and whose labels therefore mean nothing.

A picture is compared with pictures from training by the cosine similarity of their features. The least similarity that
still passes is the one that 95 % of the training pictures have to their nearest neighbour.
"""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imageshards.pipeline.source import UserError
from imageshards.train.softmax import Floats

NOVELTY = "novelty.npz"

_MOST_VECTORS = 1_000
_PASSING = 0.95
_BLOCK = 1_024  # rows that are compared at once


@dataclasses.dataclass(frozen=True)
class Novelty:
    """Features of training pictures as float16 vectors of length 1, (vectors, N), and the least similarity to pass."""

    vectors: npt.NDArray[np.float16]
    threshold: float

    def save(self, folder: Path) -> None:
        """Writes novelty.npz into a run's folder. It holds features of training pictures, who shares it should know."""
        np.savez_compressed(folder / NOVELTY, vectors=self.vectors, threshold=self.threshold)

    def is_unlike(self, features: Floats) -> npt.NDArray[np.bool_]:
        """Says of features (images, N) which are unlike every training picture's."""
        similarity = _unit(features) @ self.vectors.astype(np.float32).T
        unlike: npt.NDArray[np.bool_] = similarity.max(axis=1) < self.threshold
        return unlike


def load_novelty(folder: Path) -> Novelty | None:
    """Returns what `save` wrote; None where the run has none.

    Raises:
      UserError: the file is damaged.
    """
    path = folder / NOVELTY
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            novelty = Novelty(file["vectors"].astype(np.float16), float(file["threshold"]))
        if not np.isfinite(novelty.threshold):
            raise ValueError(f"the threshold is {novelty.threshold}")
        return novelty
    except Exception as error:  # numpy raises whatever a damaged file makes it stumble over
        raise UserError(f"{path}: the file is damaged ({error}); train again") from error


def fit_novelty(features: Floats, groups: npt.NDArray[np.int64], seed: int) -> Novelty | None:
    """Returns what tells strangers from pictures like these (images, N); None where all are of one group.

    Each picture is compared with those of other groups only: its own copy would always be near. At most 1,000 vectors
    are kept, drawn by `seed`.
    """
    if len(np.unique(groups)) < 2:
        return None
    kept = np.sort(np.random.default_rng(seed).permutation(len(features))[:_MOST_VECTORS])
    vectors = _unit(features[kept]).astype(np.float16)
    columns = vectors.astype(np.float32).T
    nearest = []
    for start in range(0, len(features), _BLOCK):
        similarity = _unit(features[start : start + _BLOCK]) @ columns
        similarity[groups[start : start + _BLOCK, np.newaxis] == groups[kept]] = -1
        nearest.append(similarity.max(axis=1))
    return Novelty(vectors, float(np.quantile(np.concatenate(nearest), 1 - _PASSING)))


def _unit(features: Floats) -> Floats:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Floats = features / np.maximum(length, np.float32(1e-12))
    return unit
