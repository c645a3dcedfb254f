"""The last heavy step: one (split, shard) in, one TFRecord file out, its records copied from the staged files.

The file's name depends on the split and the shard alone and its order on the salted hashes, so a shard is the same
bytes whoever writes it, and writing it twice does no harm. It is read again at once, and its checksum is of what was
read.
"""

import dataclasses
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from imageshards.pipeline import storage, tfrecord
from imageshards.pipeline.errors import JobError
from imageshards.pipeline.plan import Rows
from imageshards.pipeline.record import Record
from imageshards.pipeline.source import SPLITS

# Where each image came to lie, an array per shard; ordered by chunk and row it is the dataset's index.
OFFSETS = np.dtype([("chunk", "<u4"), ("row", "<u4"), ("offset", "<u8"), ("length", "<u4")])
Offsets = npt.NDArray[np.void]
Check = Callable[[Record, int, int], None]


@dataclasses.dataclass(frozen=True, order=True)
class Shard:
    """A file of the dataset."""

    split: int
    number: int
    of: int

    def name(self, dataset: str) -> str:
        """Returns TFDS's default file name."""
        return f"{dataset}-{SPLITS[self.split]}.tfrecord-{self.number:05d}-of-{self.of:05d}"


class Placed(NamedTuple):
    """Where some images of a shard came to lie."""

    name: str
    split: str
    offsets: Offsets


@dataclasses.dataclass(frozen=True)
class ShardFacts:
    """What a shard turned out to hold, as it was read back."""

    name: str
    split: str
    images: int
    message_bytes: int  # what TFDS calls num_bytes: without the frames
    sha256: str


class DamagedShardError(JobError):
    """A shard that does not hold what was written to it."""


def write_shard(path: Path, rows: Rows, staged: Callable[[int], Path]) -> Offsets:
    """Writes the frames of `rows` in salted order and returns their OFFSETS.

    `path` is on this machine. A staged file is read once, and its frames go straight to where they belong.
    """
    rows = rows[np.lexsort((rows["row"], rows["chunk"], rows["order"]))]
    offsets = np.zeros(len(rows), OFFSETS)
    for name in ("chunk", "row", "length"):
        offsets[name] = rows[name]
    offsets["offset"] = np.cumsum(rows["length"], dtype=np.uint64) - rows["length"]
    by_chunk = np.argsort(rows["chunk"], kind="stable")
    with path.open("wb", buffering=0) as shard:
        for of_chunk in np.split(by_chunk, np.flatnonzero(np.diff(rows["chunk"][by_chunk])) + 1):
            ranges = list(zip(rows["offset"][of_chunk].tolist(), rows["length"][of_chunk].tolist(), strict=True))
            frames = storage.read_ranges(staged(int(rows["chunk"][of_chunk[0]])), ranges)
            for frame, offset in zip(frames, offsets["offset"][of_chunk].tolist(), strict=True):
                if os.pwrite(shard.fileno(), frame, offset) != len(frame):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    return offsets


def read_frames(path: Path) -> Iterator[bytes]:
    """Yields the whole frames of a shard.

    Raises:
      DamagedRecordError: a frame's header is damaged, or the file ends within a frame.
    """
    with storage.open_read(path) as file:
        left = file.seek(0, os.SEEK_END)
        file.seek(0)
        while header := file.read(tfrecord.HEADER_BYTES):
            length = tfrecord.frame_length(header)
            if length > left:  # whatever a header says, so much memory is not asked for
                raise tfrecord.DamagedRecordError("the file ends within the record")
            left -= length
            yield header + file.read(length - len(header))


def accept(record: Record, offset: int, length: int) -> None:
    """Accepts any record that is one."""


def check_shard(path: Path, split: str, images: int, labels: int, check: Check = accept) -> ShardFacts:
    """Reads a shard again, record by record, and lets `check` see each with the offset and length of its frame.

    Raises:
      DamagedShardError: a frame is damaged, a label is not of this dataset, records are missing, or `check` raised
        DamagedRecordError.
    """
    digest = hashlib.sha256()
    count = offset = message_bytes = 0
    try:
        for frame in read_frames(path):
            record = tfrecord.decode(frame)
            check(record, offset, len(frame))
            offset += len(frame)
            if not 0 <= record.label < labels:
                raise tfrecord.DamagedRecordError(f"{record.key}: label {record.label} of {labels}")
            digest.update(frame)
            count += 1
            message_bytes += len(frame) - tfrecord.HEADER_BYTES - tfrecord.FOOTER_BYTES
    except (tfrecord.DamagedRecordError, OSError) as error:
        raise DamagedShardError(f"{path.name}: record {count}: {error}") from error
    if count != images:
        raise DamagedShardError(f"{path.name}: {count} records where {images} were written")
    return ShardFacts(path.name, split, count, message_bytes, digest.hexdigest())


def save(work: Path, facts: ShardFacts) -> None:
    """Leaves a shard's facts for the publishing step."""
    storage.write(work / "shards" / f"{facts.name}.json", json.dumps(dataclasses.asdict(facts)).encode())


def load(work: Path) -> Iterator[ShardFacts]:
    """Yields what the shards' writers left, in the order of the names."""
    for name in storage.names(work / "shards"):
        yield ShardFacts(**storage.read_json(work / "shards" / name))
