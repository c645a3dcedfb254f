"""Pictures that belong together, being of one group or with the same content, and pictures that look alike.

The records job has written all this into index.parquet. In a dataset of others each picture stands for itself.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from imageshards.pipeline import storage
from imageshards.pipeline.errors import UserError
from imageshards.pipeline.facts import content_number
from imageshards.pipeline.lookalikes import look_alikes
from imageshards.pipeline.source import printable
from imageshards.pipeline.versions import INDEX_FILE

Numbers = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Likeness:
    """How images are related.

    Attributes:
      groups: (images,), the same number for images of one group or with the same content, directly or through others.
      same: (pairs, 2), places of images with the same content.
      alike: (pairs, 2), places of images that look alike.
    """

    groups: Numbers
    same: Numbers
    alike: Numbers


def likeness(version: Path, keys: Sequence[str]) -> Likeness:
    """Returns how the images with these keys are related, by the index of the dataset in the folder `version`.

    Raises:
      UserError: the index is damaged, or is of other images.
    """
    path = version / INDEX_FILE
    if not path.exists():
        none = np.zeros((0, 2), np.int64)
        return Likeness(np.arange(len(keys)), none, none)
    try:
        names, contents, looks = _rows(path, keys)
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, pa.ArrowException) as error:
        if storage.is_fault(error):
            raise
        raise UserError(
            f"{path}: not the index of these records ({printable(str(error))}); copy the version again from where it is"
            f" whole, or move {version} away and build the dataset again"
        ) from error
    _, groups = np.unique([name or f"\0{number}" for number, name in enumerate(names)], return_inverse=True)
    pairs = look_alikes(looks, contents)
    same = _neighbours(contents)
    alike = np.stack([pairs["one"], pairs["other"]], axis=1)
    return Likeness(_connected(len(keys), np.concatenate([same, _neighbours(groups)])), same, alike)


def _rows(path: Path, keys: Sequence[str]) -> tuple[list[str], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Returns the group, a number for the content, and the look of the images with these keys."""
    import pyarrow.parquet as pq

    index = pq.read_table(path, columns=["key", "group", "sha256", "phash"])
    place = {key: number for number, key in enumerate(index["key"].to_pylist())}
    rows = index.take(pa.array([place[key] for key in keys], pa.int64()))
    contents = np.array([content_number(each) for each in rows["sha256"].to_pylist()], np.uint64)
    looks = rows["phash"].cast(pa.uint64())
    if looks.null_count:
        raise ValueError("a picture has no perceptual hash")
    return rows["group"].cast(pa.string()).to_pylist(), contents, looks.to_numpy()


def _neighbours(values: npt.NDArray[np.uint64] | Numbers) -> Numbers:
    """Returns pairs of places that have the same value: each place with the next one."""
    order = np.argsort(values, kind="stable")
    again = np.flatnonzero(values[order[1:]] == values[order[:-1]])
    pairs: Numbers = np.stack([order[again], order[again + 1]], axis=1)
    return pairs


def _connected(count: int, pairs: Numbers) -> Numbers:
    """Returns for each of `count` places the lowest place that it is connected with."""
    lowest: Numbers = np.arange(count)
    while True:
        lower = lowest.copy()
        np.minimum.at(lower, pairs[:, 0], lowest[pairs[:, 1]])
        np.minimum.at(lower, pairs[:, 1], lowest[pairs[:, 0]])
        lower = lower[lower]
        if np.array_equal(lower, lowest):
            return lowest
        lowest = lower
