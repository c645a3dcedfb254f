"""The end of the flow: from written shards to a published version that plain TFDS reads.

Everything is made in a sibling folder `incomplete.<version>`. dataset_info.json, which makes TFDS believe in the rest,
is written last, and one rename puts the folder in its place; where it replaces a version, they change places at once.
"""

import collections
import csv
import ctypes
import dataclasses
import errno
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from imageshards.pipeline import storage
from imageshards.pipeline.images import Normalization
from imageshards.pipeline.index import Tallied
from imageshards.pipeline.report import write_report
from imageshards.pipeline.request import libraries
from imageshards.pipeline.seal import METADATA, file_digest, seal
from imageshards.pipeline.shards import ShardFacts
from imageshards.pipeline.source import SPLITS, Rejected

_FEATURE = "tensorflow_datasets.core.features"
_FORMULA = ("=", "+", "-", "@")
_RENAME_EXCHANGE = 2
_ASIDE = "replaced"
_INFO = "dataset_info.json"
_MARKERS = ("features.json", _INFO)  # TFDS looks for the first, and then believes the second


@dataclasses.dataclass(frozen=True)
class Dataset:
    """What is published, and where: OUT/<name>/<version>, made in a sibling folder."""

    folder: Path
    version: str

    @property
    def name(self) -> str:
        """As in tfds.load(name)."""
        return self.folder.name

    @property
    def final(self) -> Path:
        """The published version."""
        return self.folder / self.version

    @property
    def work(self) -> Path:
        """Where the version is made."""
        return self.folder / f"incomplete.{self.version}"

    @property
    def made(self) -> Path:
        """The folder that becomes `final`."""
        return self.work / "dataset"


def publish(
    dataset: Dataset,
    labels: Sequence[str],
    how: Normalization,
    written: Sequence[ShardFacts],
    tallied: Tallied,
    about: dict[str, Any],
    root: Path,
) -> dict[str, Any]:
    """Writes the files beside the shards and index.parquet, and moves the dataset to its place.

    `about` goes into metadata.json; what that says of the dataset is returned. `root` is SRC.
    """
    made = dataset.made
    _write_rejected(made / "rejected.csv", tallied.rejected)
    _write(made / "label.labels.txt", "".join(f"{label}\n" for label in labels))
    _write(made / "features.json", json.dumps(features_json(how, len(labels)), indent=4, sort_keys=True))
    info = json.dumps(dataset_info_json(dataset, written), indent=2, sort_keys=True)
    counts = tallied.counts()
    described = {
        **about,
        **counts,
        "found": counts["images"] + sum(not reject.is_row for reject in tallied.rejected),
        "rejected": _by_reason(reject for reject in tallied.rejected if not reject.is_row),
        "rejected_rows": _by_reason(reject for reject in tallied.rejected if reject.is_row),
    }
    write_report(made, dataset.name, dataset.version, labels, tallied, described, str(root))
    digests = {facts.name: facts.sha256 for facts in written}
    digests |= {name: file_digest(made / name) for name in storage.names(made) if name not in digests}
    digests["dataset_info.json"] = hashlib.sha256(info.encode()).hexdigest()
    _write(made / METADATA, seal({**described, "libraries": libraries()}, digests))
    _write(made / "dataset_info.json", info)
    _move_into_place(dataset)
    return described


def previous_version(dataset: Dataset) -> Path | None:
    """Returns the published version that this one replaces, else the dataset's newest; None where there is none."""
    if storage.exists(dataset.final / METADATA):
        return dataset.final
    versions = [name for name in storage.names(dataset.folder) if _numbers(name)]
    whole = [dataset.folder / name for name in versions if storage.exists(dataset.folder / name / METADATA)]
    return max(whole, key=lambda path: _numbers(path.name), default=None)


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(map(int, parts)) if len(parts) == 3 and all(map(str.isdigit, parts)) else ()


def published(dataset: Dataset) -> dict[str, Any] | None:
    """Returns metadata.json of the version as it is published; None where it is not, or cannot be read."""
    try:
        if storage.exists(dataset.final / _INFO):
            metadata: dict[str, Any] = json.loads(storage.read(dataset.final / METADATA))
            return metadata
    except (OSError, ValueError):
        pass
    return None


def recover(dataset: Dataset) -> None:
    """Puts a version back that a killed job, on a system without an exchange of folders, had moved aside."""
    aside = dataset.work / _ASIDE
    if aside.exists() and not dataset.final.exists():
        aside.rename(dataset.final)
    shutil.rmtree(aside, ignore_errors=True)


def features_json(how: Normalization, labels: int) -> dict[str, Any]:
    """Returns features.json, as tfds.core.DatasetInfo would write it."""

    def feature(module: str, name: str, **content: Any) -> dict[str, Any]:
        return {"pythonClassName": f"{_FEATURE}.{module}.{name}", **content}

    def dictionary(**nodes: Any) -> dict[str, Any]:
        return feature("features_dict", "FeaturesDict", featuresDict={"features": nodes})

    dimensions = [str(how.size), str(how.size), "3" if how.color == "rgb" else "1"]
    image = {"dtype": "uint8", "encodingFormat": how.encoding, "shape": {"dimensions": dimensions}}
    number = feature("tensor_feature", "Tensor", tensor={"dtype": "int32", "encoding": "none", "shape": {}})
    return dictionary(
        image=feature("image_feature", "Image", image=image),
        key=feature("text_feature", "Text", text={}),
        label=feature("class_label_feature", "ClassLabel", classLabel={"numClasses": str(labels)}),
        original_size=dictionary(height=number, width=number),
        sha256=feature("text_feature", "Text", text={}),
    )


def dataset_info_json(dataset: Dataset, written: Sequence[ShardFacts]) -> dict[str, Any]:
    """Returns dataset_info.json, as tfds.core.DatasetInfo would write it. An empty split is no split."""
    splits = []
    for split in SPLITS:
        shards = [facts for facts in written if facts.split == split]
        if shards:
            splits.append(
                {
                    "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                    "name": split,
                    "numBytes": str(sum(facts.message_bytes for facts in shards)),
                    "shardLengths": [str(facts.images) for facts in shards],
                }
            )
    return {
        "fileFormat": "tfrecord",
        "name": dataset.name,
        "splits": splits,
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}},
        "version": dataset.version,
    }


def _write_rejected(path: Path, rejected: Iterable[Rejected]) -> None:
    """Writes rejected.csv. A file name that a spreadsheet would take for a formula is written as ./name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "reason", "detail"])
    for reject in sorted(rejected, key=lambda reject: (reject.file, reject.reason, reject.detail)):
        name = f"./{reject.file}" if reject.file.startswith(_FORMULA) else reject.file
        detail = f"'{reject.detail}" if reject.detail.startswith(_FORMULA) else reject.detail
        writer.writerow([name, reject.reason, detail])
    _write(path, text.getvalue())


def _by_reason(rejected: Iterable[Rejected]) -> dict[str, int]:
    return dict(collections.Counter(str(reject.reason) for reject in rejected))


def _write(path: Path, text: str) -> None:
    storage.write(path, text.encode())


def _move_into_place(dataset: Dataset) -> None:
    """Renames `made` to `final`; an older `final` changes places with it, and goes with the work folder.

    A bucket has no rename: there the files are copied, those last without which TFDS sees no version.
    """
    if storage.is_bucket(dataset.final):
        names = storage.names(dataset.made)
        storage.copy(dataset.made, dataset.final, [name for name in names if name not in _MARKERS])
        for name in _MARKERS:
            storage.copy(dataset.made, dataset.final, [name])
        storage.remove(dataset.work)
        return
    for path in dataset.made.iterdir():
        _to_disk(path)
    if dataset.final.exists():
        _exchange(dataset.made, dataset.final)
    else:
        dataset.made.rename(dataset.final)
    _to_disk(dataset.folder)
    shutil.rmtree(dataset.work)


def _exchange(one: Path, other: Path) -> None:
    """Lets two folders change places in one step where the system can (Linux, macOS), else in three."""
    libc = ctypes.CDLL(None, use_errno=True)
    here, there = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        at_cwd = -100
        failed = libc.renameat2(at_cwd, here, at_cwd, there, _RENAME_EXCHANGE)
    elif sys.platform == "darwin":
        failed = libc.renamex_np(here, there, _RENAME_EXCHANGE)  # RENAME_SWAP has the same number
    else:
        failed = -1
        ctypes.set_errno(errno.ENOSYS)
    if failed and ctypes.get_errno() not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(one))
    if failed:
        aside = one.with_name(_ASIDE)
        other.rename(aside)
        one.rename(other)
        aside.rename(one)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
