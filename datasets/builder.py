"""A TFDS builder for records of ours: reads them where they are, or makes them with the records job.

A dataset of one's own takes three lines, in a script, a module or a notebook cell. Its name is the class's: MySet is
`my_set`.

    from imageshards.datasets.builder import ImageShardsBuilder

    class MySet(ImageShardsBuilder):
        '''What is in it.'''

`tfds build my_set` needs the file that TFDS expects, my_set/my_set_dataset_builder.py, with the class `Builder`.
"""

import dataclasses
import inspect
import json
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import dataset_builder, dataset_metadata, download
from tensorflow_datasets.core.file_adapters import FileFormat
from tensorflow_datasets.core.utils.lazy_imports_utils import tree

from imageshards.datasets.data_source import TFRecordDataSource
from imageshards.pipeline import storage
from imageshards.pipeline.api import plan_jobs, run_job
from imageshards.pipeline.checksums import METADATA
from imageshards.pipeline.errors import UserError
from imageshards.pipeline.images import Normalization
from imageshards.pipeline.options import Options
from imageshards.pipeline.record import FEATURES, SUPERVISED, Kind, image_shape, nested

# What DownloadConfig can ask for and the records job cannot do.
_REFUSED = ("max_examples_per_split", "min_shard_size", "max_shard_size", "ignore_duplicates")


class ImageShardsBuilder(dataset_builder.FileReaderBuilder, skip_registration=True):  # type: ignore[misc,call-arg]
    """The base of a dataset: `OPTIONS` are those of the records job, such as {"size": 128, "split": "90/10"}."""

    VERSION = tfds.core.Version("1.0.0")
    OPTIONS: ClassVar[dict[str, Any]] = {}
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Give the folder with the images, in any layout that `make records` knows."

    def __init__(self, *, file_format: str | FileFormat | None = None, **kwargs: Any) -> None:
        """Takes DatasetBuilder's arguments.

        tfds.data_source asks for array_record, because it reads at random; our TFRecords are read at random too.
        """
        self._asked_format = None if file_format is None else FileFormat.from_value(file_format)
        if self._asked_format not in (None, FileFormat.TFRECORD, FileFormat.ARRAY_RECORD):
            raise ValueError(f"file_format {file_format}: imageshards writes tfrecord, and reads it at random too")
        super().__init__(**kwargs)

    @classmethod
    def get_metadata(cls) -> dataset_metadata.DatasetMetadata:
        """Returns README.md, CITATIONS.bib and TAGS.txt of a dataset's own folder, else the class's docstring."""
        in_a_folder = cls.__module__.rpartition(".")[2].endswith("_dataset_builder")
        found = super().get_metadata() if in_a_folder else dataset_metadata.DatasetMetadata("", "", [])
        return dataclasses.replace(found, description=found.description or inspect.cleandoc(cls.__doc__ or ""))

    def _info(self) -> tfds.core.DatasetInfo:
        normalization = Options(src="", **self.OPTIONS).normalization()
        return self.dataset_info_from_configs(features=features_dict(normalization), supervised_keys=SUPERVISED)

    def download_and_prepare(
        self,
        *,
        download_dir: str | os.PathLike[str] | None = None,
        download_config: download.DownloadConfig | None = None,
        file_format: str | FileFormat | None = None,
        **_: Any,
    ) -> None:
        """Makes the records from the images in `manual_dir`, unless they are there.

        It is the job of `make records`, with its bytes and its promises: TFDS's own way of preparing would write
        dataset_info.json again, and start from nothing after a kill. Beam's options are those of `download_config`.

        Raises:
          UserError: `manual_dir` does not hold images that can be understood; the records that are there were made
            with other OPTIONS; or something is asked for that the records job cannot do.
        """
        config = download_config or download.DownloadConfig()
        if self.data_path.exists() and not config.download_mode.overwrite_dataset:
            self._check_options()
            return
        _check_config(config, self._asked_format if file_format is None else FileFormat.from_value(file_format))
        manager = self._make_download_manager(download_dir=download_dir, download_config=config)
        place = {"dataset": self.name, "version": str(self.version), "out": os.fspath(self._data_dir_root)}
        options = Options(src=os.fspath(manager.manual_dir), **place, **self.OPTIONS)
        if config.num_shards:
            options = dataclasses.replace(options, shards=config.num_shards)
        (job,) = plan_jobs(options)

        def pipeline() -> Any:
            import apache_beam as beam  # takes a second, which reading need not wait for

            return beam.Pipeline(config.beam_runner, config.beam_options)

        run_job(job, pipeline if config.beam_runner else None)
        self.info.read_from_directory(self.data_dir)

    def _download_and_prepare(self, dl_manager: Any, download_config: Any = None) -> None:
        raise NotImplementedError("download_and_prepare does it all")

    def _as_dataset(self, *arguments: Any, **keywords: Any) -> Any:
        self._check_options()
        return super()._as_dataset(*arguments, **keywords)

    def as_data_source(
        self,
        split: Any = None,
        *,
        decoders: Any = None,
        deserialize_method: tfds.decode.DeserializeMethod = tfds.decode.DeserializeMethod.DESERIALIZE_AND_DECODE,
        file_format: str | FileFormat | None = None,
    ) -> Any:
        """Returns random access to the records of each split, without TensorFlow; arguments as in TFDS."""
        del file_format  # there is one
        self._check_options()
        splits = {name: name for name in self.info.splits} if split is None else split

        def source(name: str) -> Sequence[Any]:
            return TFRecordDataSource(self.info, split=name, decoders=decoders, deserialize_method=deserialize_method)

        return tree.map_structure(source, splits)

    def _check_options(self) -> None:
        """Raises UserError where the published records were made with other options than OPTIONS."""
        path = storage.place(os.fspath(self.data_dir)) / METADATA
        built = storage.read_json(path)["parameters"] if storage.exists(path) else {}
        wanted = Options(src="", **self.OPTIONS).parameters()
        for name in self.OPTIONS:
            if name in built and built[name] != json.loads(json.dumps(wanted[name])):
                raise UserError(
                    f"{self.data_dir} was made with {name}={built[name]!r}, and OPTIONS of {type(self).__name__} say"
                    f" {wanted[name]!r}: give the class another VERSION, or build this one again"
                )


def features_dict(normalization: Normalization) -> tfds.features.FeaturesDict:
    """Returns the features of a record, for images of this size, colour and encoding."""
    kinds = {
        Kind.IMAGE: lambda: tfds.features.Image(
            shape=image_shape(normalization), encoding_format=normalization.encoding
        ),
        Kind.LABEL: tfds.features.ClassLabel,
        Kind.TEXT: tfds.features.Text,
        Kind.INTEGER: lambda: np.int32,
    }
    return tfds.features.FeaturesDict(nested({feature.name: kinds[feature.kind]() for feature in FEATURES}))


def _check_config(config: download.DownloadConfig, file_format: FileFormat | None) -> None:
    """Raises UserError where something is asked for that the records job cannot do."""
    if file_format not in (None, FileFormat.TFRECORD):
        raise UserError(
            f"file_format {file_format.value}: imageshards writes tfrecord; make the records without it, and"
            " tfds.data_source reads them at random too"
        )
    usual = download.DownloadConfig()
    for name in _REFUSED:
        if getattr(config, name) != getattr(usual, name):
            raise UserError(f"{name}={getattr(config, name)}: imageshards cannot do this; leave it out")
