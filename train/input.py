"""From a TFDS dataset to batches: uint8 images (B, H, W, C) and int64 labels (B,)."""

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.file_adapters import FileFormat

from imageshards.pipeline import storage
from imageshards.pipeline.source import SPLIT_NAMES, SPLITS, UserError
from imageshards.pipeline.verify import check_readable
from imageshards.pipeline.versions import check_finished, find_versions, published_versions
from imageshards.train.options import is_path

_MOST_SHUFFLED = 2_048  # the records lie in a salted order already
_SHARDS_AT_ONCE = 8
_KEPT_BYTES = 1 << 30  # of pixels, decoded once and kept in memory
_READ_BYTES = 1 << 18
_READ_AT_ONCE = 1_024
_KEY = "key"

# Autograph would read and rewrite the source of each function, for 0.1 s, and finds no control flow in ours.
_as_it_is = tf.autograph.experimental.do_not_convert


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset and its splits. `splits` maps train, validation and test to TFDS's words for them."""

    builder: tfds.core.DatasetBuilder
    splits: dict[str, str]
    _columns: dict[str, tuple[list[str], npt.NDArray[np.int64]]] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def folder(self) -> Path:
        """Where its records are."""
        return Path(self.builder.data_dir)

    @property
    def labels(self) -> list[str]:
        """The class names, by number."""
        names: list[str] = self.builder.info.features[self.label_key].names
        return names

    @property
    def image_key(self) -> str:
        """The name of the feature with the image."""
        return _supervised_keys(self.builder.info)[0]

    @property
    def label_key(self) -> str:
        """The name of the feature with the label."""
        return _supervised_keys(self.builder.info)[1]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels, the same for every image."""
        height, width, channels = self.builder.info.features[self.image_key].shape
        return height, width, channels

    @property
    def fingerprint(self) -> str:
        """Changes when the dataset does."""
        metadata = self.builder.info.metadata or {}
        sizes = {name: split.shard_lengths for name, split in self.builder.info.splits.items()}
        return str(metadata.get("fingerprint", f"{self.builder.info.full_name} {sizes}"))

    def count(self, split: str) -> int:
        """Returns the number of images of a split."""
        return int(self.builder.info.splits[self.splits[split]].num_examples)

    def columns(self, split: str) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Returns the key and the label of each image of a split, which are read once."""
        if split not in self._columns:
            self._columns[split] = _read_columns(self, split)
        return self._columns[split]

    def metadata(self) -> dict[str, Any]:
        """Returns what the records job wrote of a dataset of ours; nothing of another."""
        path = self.folder / "metadata.json"
        metadata: dict[str, Any] = storage.read_json(path) if path.exists() else {}
        return metadata if "normalization" in metadata else {}


def open_dataset(name: str, data: str, validation_percent: int = 0) -> Dataset:
    """Opens `data`/name, or the dataset whose path `name` is; or prepares one of TFDS's catalogue.

    A dataset without a validation split gives the last `validation_percent` of train, in the records' order, instead.

    Raises:
      UserError: there is no such dataset, or it is not one of images of one size with class labels.
    """
    builder = _builder(name, data)
    _check_features(builder)
    return Dataset(builder, _splits(builder.info, validation_percent))


def _builder(name: str, data: str) -> tfds.core.DatasetBuilder:
    if is_path(name):
        return _in_folder(find_versions(Path(name))[-1])
    folder_name, _, number = name.partition(":")
    versions = published_versions(Path(data) / folder_name)
    wanted = [path for path in versions if number in ("", path.name)]
    if versions and not wanted:
        there = ", ".join(path.name for path in versions)
        raise UserError(f"{Path(data) / folder_name}: no version {number}, only {there}")
    if wanted:
        return _in_folder(wanted[-1])
    check_finished(Path(data) / folder_name)
    return _from_catalogue(name, data)


def _splits(info: tfds.core.DatasetInfo, validation_percent: int) -> dict[str, str]:
    """Returns TFDS's words for train, validation and test, where there are such splits."""
    splits = {SPLIT_NAMES[name.lower()]: name for name in info.splits if name.lower() in SPLIT_NAMES}
    splits |= {split: split for split in SPLITS if split in info.splits}
    if "train" not in splits:
        raise UserError(f"{info.full_name}: no train split, only {', '.join(info.splits)}")
    train, edge = splits["train"], 100 - validation_percent
    if validation_percent and "validation" not in splits and info.splits[f"{train}[{edge}%:]"].num_examples:
        splits |= {"train": f"{train}[:{edge}%]", "validation": f"{train}[{edge}%:]"}
    return {split: splits[split] for split in SPLITS if split in splits}


def training_batches(
    dataset: Dataset,
    batch_size: int,
    shuffle_buffer: int,
    seed: int,
    augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    kept_bytes: int = _KEPT_BYTES,
    *,
    even: bool = False,
) -> tf.data.Dataset:
    """Yields the training images in another order every epoch; the order and the augmentation are decided by `seed`.

    Where all their pixels fit into `kept_bytes` they are decoded once. Else images are shuffled as they are stored,
    which takes a tenth of the pixels' memory, and decoded in every epoch. With `even`, an epoch leaves out the images
    that do not fill a batch, which are others in every epoch: a device without an image has no gradient to share.
    """
    count = dataset.count("train")
    if count * math.prod(dataset.image_shape) <= kept_bytes:
        images = _decoded(dataset, _records(dataset, "train")).cache()
        images = images.shuffle(shuffle_buffer or count, seed=seed, reshuffle_each_iteration=True)
    else:
        buffer = shuffle_buffer or min(_MOST_SHUFFLED, count)
        records = _records(dataset, "train", seed).shuffle(buffer, seed=seed, reshuffle_each_iteration=True)
        images = _decoded(dataset, records)
    if augment is not None:
        seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
        images = tf.data.Dataset.zip(images, seeds).map(
            lambda image, image_seed: (augment(image[0], image_seed), image[1]), num_parallel_calls=tf.data.AUTOTUNE
        )
    return images.batch(batch_size, drop_remainder=even).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(dataset: Dataset, split: str, batch_size: int) -> tf.data.Dataset:
    """Yields the images of a split once, in the order of the records; the last batch may be smaller."""
    return _decoded(dataset, _records(dataset, split)).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def images_of(dataset: Dataset, split: str) -> Iterator[npt.NDArray[np.uint8]]:
    """Yields the images (H, W, C) of a split, one after the other, in the order of the records."""
    for image, _ in _decoded(dataset, _records(dataset, split)).as_numpy_iterator():
        yield image


def pictures(dataset: Dataset, split: str, numbers: Collection[int]) -> dict[int, npt.NDArray[np.uint8]]:
    """Returns the images (H, W, C) with these numbers in the order of the records."""
    wanted = tf.constant(sorted(numbers), tf.int64)
    records = _records(dataset, split).enumerate()
    found = records.filter(_as_it_is(lambda number, _: tf.reduce_any(number == wanted)))
    found = found.map(_as_it_is(lambda _, record: record))
    images = _decoded(dataset, found).as_numpy_iterator()
    return {number: image for number, (image, _) in zip(sorted(numbers), images, strict=True)}


def keys(dataset: Dataset, split: str) -> list[str]:
    """Returns the source file of each image, or its number, in the order of the records."""
    return dataset.columns(split)[0]


def labels(dataset: Dataset, split: str) -> npt.NDArray[np.int64]:
    """Returns the label of each image, in the order of the records."""
    return dataset.columns(split)[1]


def _read_columns(dataset: Dataset, split: str) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Returns the keys and the labels of a split, without decoding an image."""
    names = [name for name in (_KEY, dataset.label_key) if name in dataset.builder.info.features]
    batches = list(_parsed(dataset, _records(dataset, split), names).batch(_READ_AT_ONCE).as_numpy_iterator())
    numbers = np.concatenate([np.zeros(0, np.int64), *(batch[dataset.label_key] for batch in batches)])
    if _KEY not in names:
        return [f"{dataset.splits[split]}/{number}" for number in range(dataset.count(split))], numbers
    return [key.decode() for batch in batches for key in batch[_KEY].tolist()], numbers


def _records(dataset: Dataset, split: str, seed: int | None = None) -> tf.data.Dataset:
    """Yields the serialized records of a split, in order; with a seed, shards in another order every epoch, mixed."""
    pieces = dataset.builder.info.splits[dataset.splits[split]].file_instructions
    read = _array_records if dataset.builder.info.file_format == FileFormat.ARRAY_RECORD else _tfrecords
    skips, takes = (np.array([getattr(piece, name) for piece in pieces], np.int64) for name in ("skip", "take"))
    files = tf.data.Dataset.from_tensor_slices(([piece.filename for piece in pieces], skips, takes))
    if seed is not None:
        files = files.shuffle(len(pieces), seed=seed, reshuffle_each_iteration=True)
    records = files.interleave(
        _as_it_is(lambda name, skip, take: read(name).skip(skip).take(take)),
        cycle_length=1 if seed is None else _SHARDS_AT_ONCE,
    )
    return records.apply(tf.data.experimental.assert_cardinality(dataset.count(split)))


def _decoded(dataset: Dataset, records: tf.data.Dataset) -> tf.data.Dataset:
    """Parses and decodes in one step: each step more costs a hand-over between threads an image."""
    names = [dataset.image_key, dataset.label_key]
    return _parsed(dataset, records, names, lambda example: (example[names[0]], example[names[1]]))


def _parsed(
    dataset: Dataset, records: tf.data.Dataset, names: Collection[str], chosen: Callable[[Any], Any] = lambda each: each
) -> tf.data.Dataset:
    """Yields what `chosen` takes of the features of these names."""
    wanted = tfds.features.FeaturesDict({name: dataset.builder.info.features[name] for name in names})
    parse = _as_it_is(lambda record: chosen(wanted.deserialize_example(record)))
    return records.map(parse, num_parallel_calls=tf.data.AUTOTUNE)


def _tfrecords(name: tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(name, buffer_size=_READ_BYTES)


def _array_records(name: tf.Tensor) -> tf.data.Dataset:
    """Yields the records of a file in TFDS's other format, which tf.data cannot read by itself."""
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    def records(path: bytes) -> Iterator[bytes]:
        yield from ArrayRecordDataSource(path.decode())

    return tf.data.Dataset.from_generator(records, args=(name,), output_signature=tf.TensorSpec((), tf.string))


def _in_folder(folder: Path) -> tfds.core.DatasetBuilder:
    check_readable(folder)
    try:
        return tfds.builder_from_directory(str(folder))
    except Exception as error:  # of JSON, protobuf or TFDS, as the file is damaged
        raise UserError(
            f"{folder}: TFDS cannot read dataset_info.json or features.json ({error}); if imageshards made it,"
            " remove the folder and build it again"
        ) from error


def _from_catalogue(name: str, data: str) -> tfds.core.DatasetBuilder:
    try:
        builder = tfds.builder(name, data_dir=data)
    except (tfds.core.registered.DatasetNotFoundError, ValueError, AssertionError) as error:
        here = sorted({path.parents[1].name for path in Path(data).glob("*/*.*.*/dataset_info.json")})
        raise UserError(
            f"{name}: no such dataset in {data} ({', '.join(here) or 'none is there'}), nor in TFDS's catalogue;"
            f" make it with: make records SRC=… DATASET={name.partition(':')[0]}"
        ) from error
    try:
        builder.download_and_prepare()
    except Exception as error:  # a download fails in as many ways as there are catalogues
        raise UserError(f"{name}: TFDS has it in its catalogue, but could not prepare it: {error}") from error
    return builder


def _supervised_keys(info: tfds.core.DatasetInfo) -> tuple[str, str]:
    """Returns the names of the image and of the label: those that the dataset names, else the only ones that there are.

    Raises:
      UserError: it names none, and has none, or several.
    """
    if info.supervised_keys:
        image, label, *_ = info.supervised_keys
        return image, label
    kinds = tfds.features.Image, tfds.features.ClassLabel
    found = [[name for name, feature in dict(info.features).items() if isinstance(feature, kind)] for kind in kinds]
    if [len(names) for names in found] != [1, 1]:
        raise UserError(f"{info.full_name}: it does not have one image and one class label an example: {info.features}")
    return found[0][0], found[1][0]


def _check_features(builder: tfds.core.DatasetBuilder) -> None:
    info = builder.info
    image, label = (dict(info.features).get(key) for key in _supervised_keys(info))
    if not isinstance(image, tfds.features.Image) or not isinstance(label, tfds.features.ClassLabel):
        raise UserError(f"{info.full_name}: not a dataset of images with class labels: {info.features}")
    if None in image.shape:
        raise UserError(f"{info.full_name}: its images have no common size, {image.shape}; build it with make records")
