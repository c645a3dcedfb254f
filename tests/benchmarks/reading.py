"""How fast records become training batches: ours beside a bare loop, and random access beside streaming.

    python tests/benchmarks/reading.py [DATASET [DATA [EPOCHS]]]

EPOCHS (3) of the train split per reader, alternating, after a first one that opens files and builds graphs; the median.
What is not installed is named and left out: `pip install torch grain` for the last two.
"""

import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from imageshards.datasets.data_source import TFRecordDataSource
from imageshards.train.input import open_dataset, training_batches

BATCH = 32
DEFAULTS = ("cats_and_dogs_filtered", "data", "3")
NAME, DATA, EPOCHS = (*sys.argv[1:], *DEFAULTS[len(sys.argv) - 1 :])


def bare_loop() -> Iterable[Any]:
    """Parse, decode, batch, and nothing else."""
    files = sorted(str(path) for path in Path(DATA, NAME).glob(f"*/{NAME}-train.tfrecord-*"))
    features = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}

    def decode(message: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        example = tf.io.parse_single_example(message, features)
        return tf.io.decode_jpeg(example["image"], 3), example["label"]

    records = tf.data.TFRecordDataset(files).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return records.batch(BATCH).prefetch(tf.data.AUTOTUNE)


def streamed() -> Iterable[Any]:
    """`train/input.py` as it reads what does not fit into memory: shuffled, and decoded in every epoch."""
    return training_batches(open_dataset(NAME, DATA, 10), BATCH, 0, 0, kept_bytes=0)


def kept() -> Iterable[Any]:
    """`train/input.py` as it reads what fits into memory: decoded in the first epoch, which is not timed here."""
    return training_batches(open_dataset(NAME, DATA, 10), BATCH, 0, 0)


def source() -> Any:
    return TFRecordDataSource(tfds.builder_from_directory(str(next(Path(DATA, NAME).iterdir()))).info, "train")


def collate(examples: list[Any]) -> tuple[Any, Any]:
    return np.stack([e["image"] for e in examples]), np.array([e["label"] for e in examples])


class DataSource:
    """Random access in one process."""

    def __iter__(self) -> Iterator[Any]:
        records = source()
        for start in range(0, len(records), BATCH):
            yield collate([records[n] for n in range(start, min(start + BATCH, len(records)))])


def torch_loader() -> Iterable[Any]:
    """Random access under PyTorch's DataLoader, 2 workers."""
    torch = importlib.import_module("torch")
    return torch.utils.data.DataLoader(
        source(), batch_size=BATCH, shuffle=True, num_workers=2, collate_fn=collate, multiprocessing_context="fork"
    )


def grain_loader() -> Iterable[Any]:
    """Random access under Grain, in threads."""
    grain = importlib.import_module("grain")
    images = grain.MapDataset.source(source()).shuffle(seed=0).map(lambda e: (e["image"], e["label"]))
    return images.batch(BATCH).to_iter_dataset()


def main() -> None:
    """Prints the table."""
    readers: dict[str, Callable[[], Iterable[Any]]] = {
        "bare tf.data loop": bare_loop,
        "imageshards, decoded every epoch": streamed,
        "imageshards, pixels kept": kept,
        "data_source, one process": DataSource,
        "data_source, torch DataLoader(2)": torch_loader,
        "data_source, grain": grain_loader,
    }
    for name, module in (("data_source, torch DataLoader(2)", "torch"), ("data_source, grain", "grain")):
        if importlib.util.find_spec(module) is None:
            print(f"{name}: left out, {module} is not installed")
            del readers[name]
    images = tfds.builder_from_directory(str(next(Path(DATA, NAME).iterdir()))).info.splits["train"].num_examples
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in readers}
    batches = {name: reader() for name, reader in readers.items()}
    for epoch in range(int(EPOCHS) + 1):
        for name in readers:
            wall, cpu = time.perf_counter(), sum(os.times()[:4])
            seen = sum(len(batch[1]) for batch in batches[name])
            assert seen == images, (name, seen)
            if epoch:
                times[name].append((time.perf_counter() - wall, sum(os.times()[:4]) - cpu))
    floor = statistics.median(wall for wall, _ in times["bare tf.data loop"])
    print(f"{'reader':<34}{'images/s':>10}{'CPU-s':>8}{'÷ bare':>8}   ({images} images, median of {EPOCHS})")
    for name, runs in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name:<34}{images / wall:>10.0f}{cpu:>8.2f}{floor / wall:>8.2f}")


if __name__ == "__main__":
    main()
