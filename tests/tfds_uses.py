"""What TFDS users do with a dataset, each as a function; run as a script it tries them all and prints which worked.

tfds_uses.py DATA_DIR RAW plain|imported        pexels must lie in DATA_DIR, and its images in RAW
"""

import importlib
import json
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

DATA, RAW = (Path(argument) for argument in sys.argv[1:3]) if len(sys.argv) > 2 else (Path(), Path())
USES: dict[str, Callable[[], bool]] = {}


def use(name: str) -> Callable[[Callable[[], bool]], Callable[[], bool]]:
    def register(function: Callable[[], bool]) -> Callable[[], bool]:
        USES[name] = function
        return function

    return register


def load(split: Any = "train", **options: Any) -> Any:
    return tfds.load("pexels", data_dir=DATA, split=split, **options)


def count(dataset: Any) -> int:
    return sum(1 for _ in dataset)


@use('tfds.load("pexels", data_dir=…)')
def by_name() -> bool:
    return count(load()) == 24 and set(load(None)) == {"train", "validation", "test"}


@use('tfds.load("pexels:1.0.0")')
def by_version() -> bool:
    return count(tfds.load("pexels:1.0.0", data_dir=DATA, split="train")) == 24


@use("TFDS_DATA_DIR")
def by_environment() -> bool:
    os.environ["TFDS_DATA_DIR"] = str(DATA)
    tfds.core.constants.DATA_DIR = str(DATA)  # read once, when TFDS is imported
    return count(tfds.load("pexels", split="train")) == 24


@use("tfds.builder_from_directory")
def from_directory() -> bool:
    return count(tfds.builder_from_directory(str(DATA / "pexels/1.0.0")).as_dataset(split="test")) == 3


@use("as_supervised, with_info")
def supervised() -> bool:
    data, info = load(as_supervised=True, with_info=True)
    image, label = next(iter(data))
    return image.shape == (224, 224, 3) and int(label) in range(3) and info.features["label"].num_classes == 3


@use("train[:80%], train+validation")
def slices() -> bool:
    return count(load("train[:50%]")) == 12 and count(load("train+validation")) == 27


@use("tfds.even_splits")
def even() -> bool:
    return [count(load(split)) for split in tfds.even_splits("train", 3)] == [8, 8, 8]


@use("tfds.ReadConfig, shuffle_files")
def read_config() -> bool:
    config = tfds.ReadConfig(shuffle_seed=1, add_tfds_id=True)
    return "tfds_id" in next(iter(load(shuffle_files=True, read_config=config)))


@use("tfds.decode.SkipDecoding")
def skip_decoding() -> bool:
    raw = next(iter(load(decoders={"image": tfds.decode.SkipDecoding()})))["image"]
    return bytes(raw.numpy()).startswith(b"\xff\xd8")


@use("tfds.as_dataframe")
def dataframe() -> bool:
    data, info = load(with_info=True)
    return len(tfds.as_dataframe(data.take(4), info)) == 4


@use("tfds.show_examples")
def show() -> bool:
    import matplotlib as mpl

    mpl.use("agg")
    data, info = load(with_info=True)
    return tfds.show_examples(data, info, rows=1, cols=2) is not None


@use("tfds.benchmark")
def benchmark() -> bool:
    return tfds.benchmark(load(), num_iter=10) is not None


@use("tfds.beam.ReadFromTFDS")
def read_in_beam() -> bool:
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    with tempfile.TemporaryDirectory() as folder:
        with beam.Pipeline(FnApiRunner()) as pipeline:
            _ = (
                pipeline
                | tfds.beam.ReadFromTFDS(tfds.builder("pexels", data_dir=DATA), split="train")
                | beam.Map(lambda example: example["key"].numpy().decode())
                | beam.io.WriteToText(f"{folder}/keys")
            )
        return sum(len(path.read_text().splitlines()) for path in Path(folder).iterdir()) == 24


@use("tfds.testing.mock_data")
def mock() -> bool:
    policy = tfds.testing.MockPolicy.USE_FILES
    with tfds.testing.mock_data(num_examples=5, policy=policy, data_dir=str(DATA)):
        return count(load()) == 5


@use("tfds.data_source")
def data_source() -> bool:
    source = tfds.data_source("pexels", data_dir=DATA, split="train")
    again = pickle.loads(pickle.dumps(source))
    return len(source) == 24 and again[-1]["key"] == source[23]["key"]


@use("download_and_prepare from raw images")
def prepare() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        builder = tfds.builder("pexels", data_dir=folder)
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=str(RAW)))
        ours, theirs = (Path(data) / "pexels/1.0.0" for data in (DATA, folder))
        return all((theirs / path.name).read_bytes() == path.read_bytes() for path in ours.iterdir())


def main() -> None:
    if sys.argv[3] == "imported":
        importlib.import_module("imageshards.datasets.pexels")
    worked = {}
    for name, function in USES.items():
        try:
            worked[name] = function()
        except Exception as error:
            worked[name] = False
            print(f"{name}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
    if sys.argv[3] == "plain":
        assert not any(name.startswith("imageshards") for name in sys.modules)
    print(json.dumps(worked))


if __name__ == "__main__":
    main()
