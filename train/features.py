"""What a frozen backbone makes of each image, computed once and kept on disk.

Twenty epochs of a head then cost one forward pass of the backbone. The file is read through a memory map, so features
that are larger than memory train too. Its name changes with the dataset, the split, the backbone and its weights.
"""

import hashlib
import math
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from imageshards.train.input import Dataset, evaluation_batches
from imageshards.train.progress import Progress, Report, silent

Floats = npt.NDArray[np.float32]

_BATCH = 64


def features_of(
    dataset: Dataset, splits: Iterable[str], backbone: keras.Model, folder: Path, report: Report = silent
) -> dict[str, Floats]:
    """Returns the features (images, N) of splits, in the order of the records; from `folder` if they are there."""
    pixels = tf.TensorSpec((None, *dataset.image_shape), tf.uint8)
    compute = tf.function(lambda images: backbone(images, training=False), input_signature=[pixels])  # traced once
    kept: dict[str, Floats] = {}
    for split in splits:
        path = folder / f"{_name(dataset, split, backbone)}.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            aside = folder / f"{path.stem}-{secrets.token_hex(4)}.tmp"  # another run may be computing the same
            try:
                _write_features(aside, dataset, split, compute, backbone.output_shape[-1], report)
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
        kept[split] = np.load(path, mmap_mode="r")
    return kept


def _write_features(
    path: Path, dataset: Dataset, split: str, compute: Callable[[tf.Tensor], tf.Tensor], width: int, report: Report
) -> None:
    """Writes a .npy file batch by batch: on a full disk that is an error, where a memory map would end the process."""
    shape = (dataset.count(split), width)
    done = 0
    with path.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for images, _ in evaluation_batches(dataset, split, _BATCH):
            file.write(compute(images).numpy().astype("<f4").tobytes())
            done += len(images)
            report(Progress(f"features of {split}", done, shape[0]))


class FeatureBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of kept features, in another order every epoch that `seed` decides.

    With `weights`, how much each label counts, a batch has a weight for each image too.
    """

    def __init__(
        self,
        features: Floats,
        labels: npt.NDArray[np.int64],
        batch_size: int,
        seed: int,
        weights: Floats | None = None,
    ) -> None:
        super().__init__()
        self._features, self._labels, self._batch_size = features, labels, batch_size
        self._weights = weights
        self._random = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self._labels) / self._batch_size)

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        rows = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        rows = np.sort(rows)  # a memory map is read front to back; within a batch the order means nothing
        truth = self._labels[rows]
        return (
            (self._features[rows], truth)
            if self._weights is None
            else (self._features[rows], truth, self._weights[truth])
        )

    def on_epoch_end(self) -> None:
        """Shuffles."""
        self._order = self._random.permutation(len(self._labels))


def _name(dataset: Dataset, split: str, backbone: keras.Model) -> str:
    digest = hashlib.sha256(f"1 {dataset.fingerprint} {dataset.splits[split]} {backbone.output_shape}".encode())
    for weights in backbone.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    return f"{dataset.builder.name}-{split}-{digest.hexdigest()[:16]}"
