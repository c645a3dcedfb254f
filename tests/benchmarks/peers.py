"""What users would run instead, each as its own documentation has it.

python tests/benchmarks/peers.py tfds-generator|tfds-beam|img2dataset|img2dataset-tfrecord|daft SRC OUT
python tests/benchmarks/peers.py keras-reading|torch-reading SRC        prints images and seconds of a second epoch
python tests/benchmarks/peers.py keras-training TRAIN VALIDATION        twenty epochs on a frozen MobileNet
"""

import importlib.util
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
SIZE, BATCH, EPOCHS = 224, 32, 20


def _pixels(path: str) -> Any:
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.convert("RGB").crop((left, top, left + side, top + side))
        return np.asarray(square.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def _examples(paths: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in paths:
        yield path, {"image": _pixels(path), "label": Path(path).parent.name}


def _tfds(src: Path, out: Path, *, in_beam: bool) -> None:
    import apache_beam as beam
    import tensorflow_datasets as tfds
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    paths = sorted(str(path) for path in src.glob("*/*"))
    labels = sorted({Path(path).parent.name for path in paths})

    class Peer(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
        pkg_dir_path = Path(__file__).parent
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            image = tfds.features.Image(shape=(SIZE, SIZE, 3), encoding_format="jpeg")
            features = {"image": image, "label": tfds.features.ClassLabel(names=labels)}
            return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            return {"train": self._generate_examples()}

        def _generate_examples(self) -> Any:
            if in_beam:
                return beam.Create(paths) | beam.FlatMap(lambda path: _examples([path]))
            return _examples(paths)

    config = tfds.download.DownloadConfig(beam_runner=FnApiRunner(), beam_options=PipelineOptions([]))
    Peer(data_dir=str(out)).download_and_prepare(download_config=config)


def _img2dataset(src: Path, out: Path, form: str) -> None:
    from img2dataset import download

    if form == "tfrecord" and importlib.util.find_spec("tensorflow_io") is None:
        sys.exit("it needs tensorflow_io, which is not made for this TensorFlow")
    out.mkdir(parents=True)
    (out / "urls.txt").write_text("".join(f"file://{path.resolve()}\n" for path in sorted(src.glob("*/*"))))
    download(
        url_list=str(out / "urls.txt"),
        output_folder=str(out / "shards"),
        output_format=form,
        image_size=SIZE,
        resize_mode="center_crop",
        encode_quality=90,
        processes_count=2,
        thread_count=4,
        number_sample_per_shard=500,
    )
    written = sum(path.stat().st_size for path in (out / "shards").glob("*.t*"))
    if not written:
        sys.exit("img2dataset wrote nothing")


def _daft(src: Path, out: Path) -> None:
    """The nearest that it has: it does not crop."""
    import daft

    files = daft.from_glob_path(f"{src.resolve()}/*/*.jpg")
    small = daft.col("path").download().decode_image(mode=daft.ImageMode.RGB).resize(SIZE, SIZE)
    images = small.encode_image(daft.ImageFormat.JPEG).alias("image")
    files.select(daft.col("path"), images).write_parquet(str(out))


def _keras_dataset(src: Path) -> Any:
    import keras

    return keras.utils.image_dataset_from_directory(
        src, image_size=(SIZE, SIZE), batch_size=BATCH, crop_to_aspect_ratio=True, verbose=False
    )


def _time(batches: Iterable[Any]) -> None:
    for _ in range(2):
        start = time.perf_counter()
        images = sum(len(labels) for _, labels in batches)
        seconds = time.perf_counter() - start
    print(images, seconds)


def _torch_dataset(src: Path) -> Any:
    import numpy as np
    import torch

    import datasets

    def pixels(rows: dict[str, list[Any]]) -> dict[str, Any]:
        images = [np.asarray(image.convert("RGB").resize((SIZE, SIZE))) for image in rows["image"]]
        return {"image": [torch.from_numpy(image.copy()) for image in images], "label": rows["label"]}

    rows = datasets.load_dataset("imagefolder", data_dir=str(src), split="train").with_transform(pixels)
    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH, shuffle=True, num_workers=2)
    return _Pairs(loader)


class _Pairs:
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return ((batch["image"], batch["label"]) for batch in self._loader)


def _keras_training(train: Path, validation: Path) -> None:
    """Keras's guide to transfer learning: the frozen network is a layer of the model."""
    import keras
    import tensorflow as tf

    training, validating = (_keras_dataset(folder).prefetch(tf.data.AUTOTUNE) for folder in (train, validation))
    base = keras.applications.MobileNet((SIZE, SIZE, 3), alpha=0.25, include_top=False)
    base.trainable = False
    inputs = keras.Input((SIZE, SIZE, 3))
    x = base(keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs), training=False)
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
    labels = len([folder for folder in train.iterdir() if folder.is_dir()])
    model = keras.Model(inputs, keras.layers.Dense(labels, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(training, validation_data=validating, epochs=EPOCHS, verbose=0)


def main() -> None:
    """Runs one of them."""
    kind, src, *out = sys.argv[1], *map(Path, sys.argv[2:])
    if kind.startswith("tfds"):
        _tfds(src, out[0], in_beam=kind == "tfds-beam")
    elif kind.startswith("img2dataset"):
        _img2dataset(src, out[0], "tfrecord" if kind.endswith("tfrecord") else "webdataset")
    elif kind == "daft":
        _daft(src, out[0])
    elif kind == "keras-reading":
        _time(_keras_dataset(src))
    elif kind == "torch-reading":
        _time(_torch_dataset(src))
    else:
        _keras_training(src, out[0])


if __name__ == "__main__":
    main()
