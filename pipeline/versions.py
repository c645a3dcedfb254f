"""The versions of a dataset: which are there, which is the newest, which are ours, and what their files are called.

A version is the folder OUT/<dataset>/<number>. It is built in a sibling folder, `incomplete.<number>`.
"""

import dataclasses
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from imageshards.pipeline import storage
from imageshards.pipeline.checksums import METADATA, are_checksums
from imageshards.pipeline.errors import UserError

INFO = "dataset_info.json"
"""The file that is written last: with it a folder is a published version, for TFDS too."""

LABELS = "label.labels.txt"
"""The class names, a line each, in the order of their numbers; TFDS reads it."""

INDEX_FILE = "index.parquet"
"""A row per image: where each came from, and where its record is."""

FEATURES = "features.json"
"""What a record holds, for TFDS."""

REJECTED = "rejected.csv"
"""A line for each file and row that was not used, and why."""

REPORT = "report.html"
"""A page that shows what the dataset holds."""

_SIGNS = (METADATA, INDEX_FILE)  # other datasets of TFDS may have the first
_AROUND = {*_SIGNS, FEATURES, INFO, LABELS, REJECTED, REPORT}
_FACTS = {"fingerprint": str, "normalization": dict, "rejected": dict, "sha256": dict}
_NUMBER = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
REMADE = ("shards", "index", "dataset")
"""The folders in a work folder that every job makes again; what an earlier one staged stays."""

JOB = "process "
"""How the name of every job begins, in the file by which it holds a work folder."""


@dataclasses.dataclass(frozen=True)
class Version:
    """One version of a dataset, published or not."""

    folder: Path  # OUT/<dataset>, which holds all versions
    number: str  # such as 1.0.0

    @property
    def name(self) -> str:
        """The dataset's name, as in tfds.load(name)."""
        return self.folder.name

    @property
    def path(self) -> Path:
        """The published folder."""
        return self.folder / self.number

    @property
    def work(self) -> Path:
        """The folder of the job that builds the version."""
        return self.folder / f"incomplete.{self.number}"

    @property
    def unpublished(self) -> Path:
        """The folder that becomes `path`."""
        return self.work / "dataset"

    def absolute(self) -> "Version":
        """Returns the same version, by a path that does not depend on the folder that a process is in."""
        return Version(storage.absolute(self.folder), self.number)


def is_version_number(text: str) -> bool:
    """Says whether TFDS takes `text` for a version: three whole numbers without leading zeros."""
    return _NUMBER.fullmatch(text) is not None


def is_published(path: Path) -> bool:
    """Says whether this folder is a published version of any TFDS dataset."""
    return storage.exists(path / INFO)


def is_ours(path: Path) -> bool:
    """Says whether this folder is a version that imageshards published, whole or damaged since."""
    return all(storage.exists(path / name) for name in _SIGNS)


def may_be_ours(name: str, version: Version) -> bool:
    """Says whether a file of this name may be one that a job published as part of `version`."""
    return name in _AROUND or (name.startswith(f"{version.name}-") and ".tfrecord-" in name)


def refuse_foreign(version: Version) -> NoReturn:
    """Raises UserError: something is at the version's place that imageshards did not publish."""
    raise UserError(
        f"{version.path} is there, and is not a version that imageshards published, or has lost its"
        f" {' or '.join(_SIGNS)}: move it away, or give another --version, such as {following_number(version)}"
    )


def this_job() -> str:
    """Returns what another job is told of the one in this process."""
    return f"{JOB}{os.getpid()} on {socket.gethostname()}"


def following_number(version: Version) -> str:
    """Returns a number that no version of the dataset has yet, such as 1.1.0 after 1.0.0."""
    numbers = [name for name in storage.names(version.folder) if is_version_number(name)]
    major, minor, _ = max([_order(version.number), *map(_order, numbers)])
    return f"{major}.{minor + 1}.0"


def published_versions(folder: Path) -> list[Path]:
    """Returns the published versions in a dataset's folder, the oldest first; a `2.0.0.bak` is none."""
    numbers = sorted(filter(is_version_number, storage.names(folder)), key=_order)
    return [folder / number for number in numbers if is_published(folder / number)]


def find_versions(folder: Path) -> list[Path]:
    """Returns `folder` alone if it is a published version, else those in it, the oldest first.

    Raises:
      UserError: there is none.
    """
    versions = [folder] if is_published(folder) else published_versions(folder)
    if not versions:
        check_finished(folder)
        raise UserError(f"{folder}: no published version is there; give a folder such as data/pexels/1.0.0")
    return versions


def check_finished(folder: Path) -> None:
    """Raises UserError where `folder` is, or holds, a version of ours that lacks the file that is written last."""
    numbers = filter(is_version_number, storage.names(folder))
    for path in (folder, *(folder / number for number in numbers)):
        if is_ours(path) and not is_published(path):
            raise UserError(f"{path} is damaged: {INFO} is missing; run imageshards-records again, which makes it")


def published_name(path: Path) -> str:
    """Returns the name that a version was published under, also where its folder was renamed or moved since.

    Raises:
      OSError, ValueError: dataset_info.json cannot be read.
    """
    return str(storage.read_json(path / INFO)["name"])


def read_labels(path: Path) -> list[str]:
    """Returns the class names of a published version, in the order of their numbers.

    Raises:
      OSError, ValueError: label.labels.txt cannot be read.
    """
    return storage.read(path / LABELS).decode().split("\n")[:-1]


def previous_version(version: Version) -> Path | None:
    """Returns the published version of ours that this one replaces, else the newest; None where there is none."""
    numbers = sorted(filter(is_version_number, storage.names(version.folder)), key=_order)
    ours = [version.folder / number for number in numbers if is_ours(version.folder / number)]
    return version.path if version.path in ours else ours[-1] if ours else None


def read_metadata(version: Version) -> dict[str, Any] | None:
    """Returns metadata.json of a published version; None where there is none, or it is damaged.

    Raises:
      OSError, JobError: the machine or the store failed.
    """
    try:
        metadata = storage.read_json(version.path / METADATA)
    except (OSError, ValueError) as error:
        if storage.is_fault(error):
            raise
        return None
    if not isinstance(metadata, dict) or not all(isinstance(metadata.get(name), kind) for name, kind in _FACTS.items()):
        return None
    return metadata if are_checksums(metadata["sha256"]) else None


def missing_files(version: Version, metadata: Mapping[str, Any]) -> list[str]:
    """Returns the files that metadata.json names and that are not there, or not as long as they were written."""
    there = storage.sizes(version.path)
    sizes = metadata.get("bytes", {})
    return [name for name in metadata["sha256"] if there.get(name, -1) != sizes.get(name, there.get(name))]


def _order(number: str) -> tuple[int, ...]:
    return tuple(map(int, number.split(".")))
