"""What decides a dataset's bytes, as digests.

An unchanged request need not be built, an unchanged image not normalized.
"""

import dataclasses
import importlib.metadata
from typing import Any

from PIL import features

from imageshards.pipeline.facts import fingerprint
from imageshards.pipeline.images import NORMALIZATION_VERSION
from imageshards.pipeline.options import Options
from imageshards.pipeline.record import FORMAT
from imageshards.pipeline.sources.dataset import SourceDataset

_DECODERS = ("pillow", "simplejpeg", "pi-heif")
_PACKAGES = ("imageshards", "apache-beam", "numpy", "pillow", "pyarrow", "tensorflow-datasets")


def libraries() -> dict[str, str]:
    """Returns the versions of what takes part in a build."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {**versions, **_codecs()}


def normalization(options: Options) -> dict[str, Any]:
    """Returns all that decides the bytes of a stored image, but for its source."""
    return {**dataclasses.asdict(options.normalization()), "version": NORMALIZATION_VERSION, **_codecs()}


def dataset_fingerprint(dataset: SourceDataset) -> str:
    """Returns a digest that changes when the published dataset would."""
    options = dataset.options
    more = (FORMAT, libraries(), normalization(options), options.parameters(), dataset.labels, dataset.rejected)
    return fingerprint(dataset.sources, *more)


def chunk_salt(dataset: SourceDataset) -> tuple[Any, ...]:
    """Returns what a chunk's records depend on, beside its sources."""
    return FORMAT, normalization(dataset.options), dataset.labels


def _codecs() -> dict[str, str]:
    """Returns the versions of what decodes, empty where it is not installed: then its pictures are refused."""
    found = {name: next(iter(importlib.metadata.Distribution.discover(name=name)), None) for name in _DECODERS}
    versions = {name: distribution.version if distribution else "" for name, distribution in found.items()}
    return versions | {name: features.version(name) or "" for name in ("libjpeg_turbo", "zlib", "littlecms2")}
