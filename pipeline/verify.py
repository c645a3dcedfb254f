"""Reads published versions again, whole, and says what is not as it was published.

Every file is held against its published checksum, every record against its CRC and its row of index.parquet, and the
counts in metadata.json and dataset_info.json against the records.
"""

import concurrent.futures
import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image
from tqdm import tqdm

from imageshards.pipeline import checksums, storage, tfrecord
from imageshards.pipeline.errors import UserError
from imageshards.pipeline.images import Normalization
from imageshards.pipeline.index import Statistics, read_index
from imageshards.pipeline.record import Record
from imageshards.pipeline.shards import DamagedShardError, ShardFacts, check_shard
from imageshards.pipeline.source import SPLITS, printable
from imageshards.pipeline.versions import (
    FEATURES,
    INDEX_FILE,
    INFO,
    LABELS,
    REJECTED,
    Version,
    missing_files,
    read_labels,
)

_OURS = (checksums.METADATA, INDEX_FILE)  # without both, imageshards itself would not know the version for its own
BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, csv.Error, pa.ArrowException)
"""What is raised where a file of a version is damaged."""


def verify(version: Path) -> Iterator[str]:
    """Yields, in words, all that is wrong with a published version; nothing where it is whole."""
    try:
        published = checksums.read_checksums(version)
    except BROKEN as error:
        yield f"{checksums.METADATA}: {_words(error)}"
        return
    shards = {name for name in published if ".tfrecord-" in name}
    others = published.keys() - shards
    for name in checksums.foreign_names(version, published):
        yield f"{printable(name)}: does not belong to the dataset; delete it"
    broken = _in_words(_check_files(version, published, others))
    yield from broken or _check_content(version, published)
    if broken:  # what they say of the shards is worth nothing
        yield from _in_words(_check_files(version, published, shards))


def _in_words(problems: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name}: {why}" for name, why in problems]


def _words(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) else None
    return printable(said or str(error) or type(error).__name__)


def _check_files(version: Path, published: Mapping[str, str], names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields the name of each file that is not as it was published, and what is wrong with it."""
    for name in sorted(set(names) - {checksums.METADATA}):
        try:
            if checksums.file_checksum(version / name) != published[name]:
                yield name, "its bytes are not those that were published"
        except OSError as error:
            yield name, _words(error)


def _check_content(version: Path, published: Mapping[str, str]) -> Iterator[str]:
    """Holds records, index and counts against each other. The files around the shards are those that were published."""
    try:
        metadata, info = checksums.read_described(version), storage.read_json(version / INFO)
        labels = read_labels(version)
        index = read_index(version)
        for shard in _read_shards(version, metadata, labels, index):
            if isinstance(shard, DamagedShardError):
                yield printable(str(shard))
            elif shard.sha256 != published.get(shard.name):
                yield f"{shard.name}: its bytes are not those that were published"
        yield from _check_counts(metadata, info, labels, index)
        yield from _check_rejected(version, metadata)
    except BROKEN as error:
        yield f"it cannot be read as a dataset: {type(error).__name__}: {printable(str(error))}"


def check_readable(version: Path) -> None:
    """Looks at what describes the records of a published version, before they are read. Other datasets pass.

    Shards must be as long as they were; their bytes are checked as they are read.

    Raises:
      UserError: a file is not as it was published; the message says which, and how it can be made again.
    """
    try:
        if not _claims_to_be_ours(version):
            return
        published = checksums.read_checksums(version)
        short = missing_files(Version(version.parent, version.name), checksums.read_described(version))
    except BROKEN as error:
        raise UserError(_damaged(version, checksums.METADATA, _words(error))) from error
    around = {FEATURES, INFO, LABELS, INDEX_FILE}
    for name in short:
        if name in around or ".tfrecord-" in name:
            raise UserError(_damaged(version, name, "it is missing, or not as long as it was"))
    for name, why in _check_files(version, published, around & published.keys()):
        raise UserError(_damaged(version, name, why))


def _claims_to_be_ours(version: Path) -> bool:
    """Says whether imageshards may have published this; TFDS writes a metadata.json of its own, without checksums."""
    if storage.exists(version / INDEX_FILE):
        return True
    return storage.exists(version / checksums.METADATA) and "sha256" in storage.read_json(version / checksums.METADATA)


def _damaged(version: Path, name: str, why: str) -> str:
    if storage.is_bucket(version):
        remedy = "copy it again from where it is whole, or build the next --version"
    elif name in _OURS:
        remedy = f"move {version} away and build the dataset again"
    else:
        remedy = "delete this file, if it is there, and run imageshards-records again, which makes what is missing"
    return f"{version} is damaged: {name}: {why}; {remedy} (imageshards-verify shows all that is wrong)"


def described(version: Path) -> str:
    """Returns, in words, what was found of a version that is as it was published."""
    metadata = storage.read_json(version / checksums.METADATA)
    several = metadata["duplicates"]["in_several_splits"]
    return f"{metadata['images']:,} images and {len(metadata['sha256'])} files are as they were published; " + (
        f"{several} of the pictures in several splits, as the source gave them"
        if several
        else "no picture in two splits"
    )


def _read_shards(
    version: Path, metadata: dict[str, Any], labels: list[str], index: pa.Table
) -> Iterator[ShardFacts | DamagedShardError]:
    """Yields, for each shard that the index names, what it holds, or what is wrong with it."""
    normalization = Normalization.recorded(metadata["normalization"])
    index = index.select(["shard", *_Rows.COLUMNS]).sort_by([("shard", "ascending"), ("offset", "ascending")])
    names, counts = pc.value_counts(index["shard"]).flatten()
    starts = [0, *pc.cumulative_sum(counts).to_pylist()]

    def check(number: int) -> ShardFacts:
        rows = _Rows(index.slice(starts[number], starts[number + 1] - starts[number]), labels, normalization)
        path = version / names[number].as_py()
        return check_shard(path, path.name.split("-")[1].split(".")[0], len(rows), len(labels), rows.check)

    with (
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads,
        tqdm(total=len(index), unit=" images", leave=False, disable=None) as bar,
    ):
        under_way = [threads.submit(check, number) for number in range(len(names))]
        for shard, count in zip(under_way, counts.to_pylist(), strict=True):
            try:
                yield shard.result()
            except DamagedShardError as error:
                yield error
            bar.update(count)


class _Rows:
    """The rows of one shard's images in the index, in the order of their offsets, to hold records against."""

    COLUMNS = ("key", "label", "sha256", "width", "height", "offset", "length")

    def __init__(self, rows: pa.Table, labels: Sequence[str], normalization: Normalization) -> None:
        self._rows = (row for batch in rows.select(self.COLUMNS).to_batches(1024) for row in batch.to_pylist())
        self._length = len(rows)
        self._labels = labels
        self._normalization = normalization

    def __len__(self) -> int:
        return self._length

    def check(self, record: Record, offset: int, length: int) -> None:
        """Raises DamagedRecordError unless the next row says what the record says, and its image is of this dataset."""
        label = self._labels[record.label] if 0 <= record.label < len(self._labels) else None
        said = (record.key, label, record.sha256, record.width, record.height, offset, length)
        row = tuple(next(self._rows, {}).values())
        if said != row:
            differs = next((name for name, a, b in zip(self.COLUMNS, said, row, strict=False) if a != b), "presence")
            raise tfrecord.DamagedRecordError(f"{record.key}: index.parquet says otherwise of its {differs}")
        with Image.open(io.BytesIO(record.image), formats=[self._normalization.encoding]) as image:
            side = self._normalization.size
            mode = "RGB" if self._normalization.color == "rgb" else "L"
            if (image.size, image.mode) != ((side, side), mode):
                raise tfrecord.DamagedRecordError(f"{record.key}: its image is {image.size} {image.mode}")


def _check_counts(metadata: dict[str, Any], info: dict[str, Any], labels: list[str], index: pa.Table) -> Iterator[str]:
    statistics = Statistics(labels)
    for batch in index.to_batches(1 << 16):
        statistics.add(batch)
    counts = statistics.counts()
    for name, count in counts.items():
        if metadata[name] != count:
            yield f"{checksums.METADATA}: {name} is {metadata[name]}, and index.parquet says {count}"
    if metadata["found"] != counts["images"] + sum(metadata["rejected"].values()):
        yield f"{checksums.METADATA}: {metadata['found']} files were found, and are not all written or rejected"
    for split in SPLITS:
        shards = index.filter(pc.field("split") == split).group_by("shard").aggregate([("key", "count")])
        lengths = [str(count) for count in shards.sort_by("shard")["key_count"].to_pylist()]
        said: list[str] = next((of["shardLengths"] for of in info["splits"] if of["name"] == split), [])
        if lengths != said:
            yield f"{INFO}: the shards of {split} hold {', '.join(lengths)} images, and it says {', '.join(said)}"


def _check_rejected(version: Path, metadata: dict[str, Any]) -> Iterator[str]:
    text = io.StringIO(storage.read(version / REJECTED).decode(), newline="")
    lines = sum(1 for _ in csv.reader(text, strict=True)) - 1
    if lines != sum(metadata["rejected"].values()) + sum(metadata["rejected_rows"].values()):
        yield f"rejected.csv: {lines} lines, and {checksums.METADATA} counts otherwise"
