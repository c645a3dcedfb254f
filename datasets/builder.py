"""A TFDS builder for records of ours: reads them where they lie, or makes them with the records job.

A dataset of one's own is a package `my_set/` with an empty `__init__.py` and `my_set_dataset_builder.py`

    from imageshards.datasets.builder import ImageShardsBuilder

    class Builder(ImageShardsBuilder):
        '''What is in it.'''
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import dataset_builder, download
from tensorflow_datasets.core.file_adapters import FileFormat
from tensorflow_datasets.core.utils.lazy_imports_utils import tree

from imageshards.datasets.data_source import TFRecordDataSource
from imageshards.pipeline.api import plan_jobs, run_job
from imageshards.pipeline.images import Normalization
from imageshards.pipeline.options import Options
from imageshards.pipeline.record import FEATURES, SUPERVISED, Kind, image_shape, nested


class ImageShardsBuilder(dataset_builder.FileReaderBuilder, skip_registration=True):  # type: ignore[misc,call-arg]
    """The base of a dataset: `OPTIONS` are those of the records job, such as {"size": 128, "split": "90/10"}."""

    VERSION = tfds.core.Version("1.0.0")
    OPTIONS: ClassVar[dict[str, Any]] = {}
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Give the folder with the images, in any layout that `make records` knows."

    def __init__(self, *, file_format: str | FileFormat | None = None, **kwargs: Any) -> None:
        """Takes DatasetBuilder's arguments. tfds.data_source asks for array_record; our TFRecords serve as well."""
        if file_format is not None and FileFormat.from_value(file_format) not in _SERVED:
            raise ValueError(f"file_format {file_format}: imageshards writes tfrecord, and reads it at random too")
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        normalization = Options(src="", **self.OPTIONS).normalization()
        return self.dataset_info_from_configs(features=features_dict(normalization), supervised_keys=SUPERVISED)

    def download_and_prepare(
        self,
        *,
        download_dir: str | os.PathLike[str] | None = None,
        download_config: download.DownloadConfig | None = None,
        **_: Any,
    ) -> None:
        """Makes the records from the images in `manual_dir`, unless they are there.

        It is the job of `make records`, with its bytes and its promises: TFDS's own way of preparing would write
        dataset_info.json anew, and start from nothing after a kill. Beam's options are those of `download_config`.

        Raises:
          UserError: `manual_dir` does not hold images that can be understood.
        """
        config = download_config or download.DownloadConfig()
        if self.data_path.exists() and not config.download_mode.overwrite_dataset:
            return
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
        splits = {name: name for name in self.info.splits} if split is None else split

        def source(name: str) -> Sequence[Any]:
            return TFRecordDataSource(self.info, split=name, decoders=decoders, deserialize_method=deserialize_method)

        return tree.map_structure(source, splits)


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


_SERVED = (FileFormat.TFRECORD, FileFormat.ARRAY_RECORD)
