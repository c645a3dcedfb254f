"""The labelled images of some splits, side by side: their names, labels, and which of them belong together."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imageshards.train.duplicates import Likeness, likeness
from imageshards.train.input import Dataset, keys, labels


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Images of one split after the other, each in the order of the records.

    Attributes:
      keys: the source file of each image.
      splits: the split of each image.
      numbers: the place of each image in its split.
      labels: the number of each image's label.
      likeness: which images belong together.
    """

    keys: list[str]
    splits: Sequence[str]
    numbers: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    likeness: Likeness

    @property
    def groups(self) -> npt.NDArray[np.int64]:
        """The group of each image, as a number; those that belong together have the same."""
        return self.likeness.groups

    def of_split(self, split: str) -> npt.NDArray[np.bool_]:
        """Says which images are of a split."""
        return np.array([each == split for each in self.splits], bool)


def labelled(dataset: Dataset, splits: Sequence[str]) -> Labelled:
    """Returns the images of these splits."""
    names = [key for split in splits for key in keys(dataset, split)]
    counts = [dataset.count(split) for split in splits]
    return Labelled(
        names,
        [split for split, count in zip(splits, counts, strict=True) for _ in range(count)],
        np.concatenate([np.arange(count) for count in counts]),
        np.concatenate([labels(dataset, split) for split in splits]),
        likeness(Path(dataset.builder.data_dir), names),
    )
