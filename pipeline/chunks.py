"""The heavy step: a chunk of sources in, one staged file of records and one table of facts out.

Pixels stay within this step. It reads, hashes, decodes, normalizes and frames in threads, for Pillow and hashlib
release the interpreter lock, and appends the frames in the order of the sources. A chunk's facts are written last, so a
chunk of a killed run is either whole, and is used again, or is not there.
"""

import collections
import concurrent.futures
import dataclasses
import errno
import functools
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from imageshards.pipeline import tfrecord
from imageshards.pipeline.facts import KNOWN, Chunk, read_facts, write_facts
from imageshards.pipeline.images import Normalization, UnreadableError, normalize
from imageshards.pipeline.source import Reason

# What is known of an image, by the columns of the FACTS schema, and its frame unless it is rejected.
Staged = tuple[dict[str, Any], bytes | None]

# So much is one thread's task: small images share the cost of the hand-over, large ones spread over the threads.
_SLICE_BYTES = 1 << 18
_SLICE_IMAGES = 32
_NOT_THE_FILES_FAULT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclasses.dataclass(frozen=True)
class Staging:
    """Where a job reads and stages, and what decides its records. `kept` holds the previous version's shards."""

    root: Path
    work: Path
    kept: Path | None
    how: Normalization
    labels: tuple[str, ...]
    workers: int

    @functools.cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each label."""
        return {label: number for number, label in enumerate(self.labels)}

    @property
    def sources(self) -> Path:
        """The table of all sources."""
        return self.work / "sources.arrow"

    def staged(self, chunk: Chunk) -> Path:
        """The chunk's records, one after the other."""
        return self.work / "staged" / f"{chunk.name}.records"

    def facts(self, chunk: Chunk) -> Path:
        """The chunk's facts; there when the chunk is done."""
        return self.work / "staged" / f"{chunk.name}.arrow"


class Tally:
    """How far the job is, for a progress bar in the same process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.done = self.rejected = 0

    def add(self, done: int, rejected: int) -> None:
        """Counts images that are done, and how many of them were rejected."""
        with self._lock:
            self.done += done
            self.rejected += rejected


tally = Tally()


def resume_chunk(chunk: Chunk, sources: pa.RecordBatch, staging: Staging) -> pa.RecordBatch | None:
    """Returns the facts of a chunk that a killed job left, or None where it left none, or the disk lost some of it."""
    try:
        facts = read_facts(staging.facts(chunk))
        with staging.staged(chunk).open("rb", buffering=0) as staged:
            for key, fact in zip(sources["key"].to_pylist(), facts.to_pylist(), strict=True):
                if fact["reason"] is None:
                    record = tfrecord.decode(os.pread(staged.fileno(), fact["length"], fact["offset"]))
                    if (record.key, record.sha256) != (key, fact["sha256"]):
                        return None
    except (OSError, ValueError, pa.ArrowException, tfrecord.DamagedRecordError):
        return None
    tally.add(len(facts), len(facts) - facts["reason"].null_count)
    return facts


def stage_chunk(
    chunk: Chunk, sources: list[dict[str, Any]], staging: Staging, threads: concurrent.futures.Executor
) -> None:
    """Writes the staged file and the facts of `sources`, rows of the SOURCES schema."""
    facts: list[dict[str, Any]] = []
    offset = 0
    with staging.staged(chunk).open("wb") as file:
        for fact, frame in _in_order(threads, lambda source: _stage(source, staging), sources, staging.workers):
            if frame is not None:
                file.write(frame)
                fact |= {"offset": offset, "length": len(frame)}
                offset += len(frame)
            facts.append(fact)
    write_facts(staging.facts(chunk), facts)


def _in_order(
    threads: concurrent.futures.Executor,
    stage: Callable[[dict[str, Any]], Staged],
    sources: list[dict[str, Any]],
    workers: int,
) -> Iterator[Staged]:
    """Yields stage(source) in the order of the sources; a few slices of work are under way at a time."""
    under_way: collections.deque[concurrent.futures.Future[list[Staged]]] = collections.deque()
    for piece in _slices(sources):
        under_way.append(threads.submit(lambda piece: [stage(source) for source in piece], piece))
        if len(under_way) > 2 * workers:
            yield from _count(under_way.popleft().result())
    while under_way:
        yield from _count(under_way.popleft().result())


def _slices(sources: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    piece: list[dict[str, Any]] = []
    size = 0
    for source in sources:
        piece.append(source)
        size += source["size"]
        if size >= _SLICE_BYTES or len(piece) == _SLICE_IMAGES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _count(staged: list[Staged]) -> list[Staged]:
    tally.add(len(staged), sum(frame is None for _, frame in staged))
    return staged


def _stage(source: dict[str, Any], staging: Staging) -> Staged:
    """Returns what is known of one image, and its frame; or why it has none."""
    if source["kept_shard"] is not None:
        frame = _kept_frame(source, staging)
        if frame is not None:
            return {name: source[name] for name in KNOWN}, frame
    try:
        data = _read(source, staging.root)
        image = normalize(data, staging.how)
    except UnreadableError as error:
        return {"reason": error.reason, "detail": error.detail}, None
    sha256 = hashlib.sha256(data).hexdigest()
    record = tfrecord.Record(
        image.data, staging.numbers[source["label"]], source["key"], sha256, width=image.width, height=image.height
    )
    fact = {
        "sha256": sha256,
        "phash": image.phash,
        "width": image.width,
        "height": image.height,
        "truncated": image.truncated,
    }
    return fact, tfrecord.encode(record)


def _kept_frame(source: dict[str, Any], staging: Staging) -> bytes | None:
    """Returns the frame from the previous version, under the label's number of today; None where it is damaged."""
    assert staging.kept is not None
    try:
        with (staging.kept / source["kept_shard"]).open("rb", buffering=0) as file:
            frame = os.pread(file.fileno(), source["kept_length"], source["kept_offset"])
        record = tfrecord.decode(frame)
    except (OSError, tfrecord.DamagedRecordError):
        return None
    if (record.key, record.sha256) != (source["key"], source["sha256"]):
        return None
    number = staging.numbers[source["label"]]
    return frame if record.label == number else tfrecord.encode(dataclasses.replace(record, label=number))


def _read(source: dict[str, Any], root: Path) -> bytes:
    """Returns the file's bytes, if the file is still the one that was listed."""
    try:
        with (root / source["path"]).open("rb", buffering=0) as file:
            data: bytes = file.read()
            stat = os.fstat(file.fileno())
    except OSError as error:
        if error.errno in _NOT_THE_FILES_FAULT:
            raise
        gone = isinstance(error, FileNotFoundError)
        raise UnreadableError(Reason.CHANGED if gone else Reason.UNREADABLE, error.strerror or str(error)) from error
    if (stat.st_size, stat.st_mtime_ns) != (source["size"], source["mtime_ns"]) or len(data) != stat.st_size:
        raise UnreadableError(Reason.CHANGED, "the file changed while the job ran; run it again")
    return data
