"""The heavy step: a chunk of sources in, one staged file of records and one table of facts out.

Pixels stay within this step. It reads, hashes, decodes, normalizes and frames in threads, for Pillow and hashlib
release the interpreter lock, and appends the frames in the order of the sources. A chunk's facts are written last, so a
chunk of a killed run is either whole, and is used again, or is not there.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from imageshards.pipeline import storage, tfrecord
from imageshards.pipeline.facts import Chunk, FactRow, SourceRow, read_batch, write_facts
from imageshards.pipeline.images import Normalization, UnreadableError, normalize
from imageshards.pipeline.originals import Originals
from imageshards.pipeline.progress import Progress
from imageshards.pipeline.record import Record
from imageshards.pipeline.source import PASSING, Reason
from imageshards.pipeline.versions import Version

# What is known of an image, and its frame unless it is rejected.
Staged = tuple[FactRow, bytes | None]

# A chunk that is staged, and its facts.
Done = tuple[Chunk, pa.RecordBatch]

# So much is one thread's task: small images share the cost of the hand-over, large ones spread over the threads. In a
# bucket each is a task of its own, for there it is waiting that takes the time.
_SLICE_BYTES = 1 << 18
_SLICE_IMAGES = 32

# Images on a disk smaller than this decode so quickly that threads would only wait for each other's Python.
_INLINE_BYTES = 2048
_PIXEL_BYTES = 8  # of the largest kind that is read, 16-bit RGBA; a larger file is not a picture of --max-pixels


@dataclasses.dataclass(frozen=True)
class Staging:
    """What a job reads, where it stages, and what decides its records."""

    originals: Originals
    version: Version  # that is built
    previous: Path | None  # the version whose records are used again
    normalization: Normalization
    labels: tuple[str, ...]
    workers: int
    progress: Progress
    job: str = dataclasses.field(default_factory=lambda: secrets.token_hex(8))  # its name, which is no other's

    @functools.cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each label."""
        return {label: number for number, label in enumerate(self.labels)}

    @property
    def work(self) -> Path:
        """The folder of this job."""
        return self.version.work

    @property
    def sources(self) -> Path:
        """The table of all sources."""
        return self.work / "sources.arrow"

    @property
    def chunks(self) -> Path:
        """The names of all chunks."""
        return self.work / "chunks.txt"

    def staged(self, chunk: Chunk) -> Path:
        """The chunk's records, one after the other."""
        return self.work / "staged" / f"{chunk.name}.records"

    def facts(self, chunk: Chunk) -> Path:
        """The chunk's facts; there when the chunk is done."""
        return self.work / "staged" / f"{chunk.name}.arrow"


def resume_chunk(chunk: Chunk, sources: pa.RecordBatch, staging: Staging) -> pa.RecordBatch | None:
    """Returns the facts of a chunk that an earlier job left; None where it left none that can be used.

    The disk may have lost some of it, and a file that could not be read then may be there now.
    """
    try:
        facts = read_batch(staging.facts(chunk))
        if not PASSING.isdisjoint(facts["reason"].to_pylist()):
            return None
        rows = zip(sources["key"].to_pylist(), FactRow.all_of(facts), strict=True)
        good = [(key, fact) for key, fact in rows if fact.reason is None]
        ranges = [(fact.offset or 0, fact.length or 0) for _, fact in good]
        frames = storage.read_ranges(staging.staged(chunk), ranges) if good else []
        for (key, fact), frame in zip(good, frames, strict=True):
            record = tfrecord.decode(frame)
            if (record.key, record.sha256) != (key, fact.sha256):
                return None
    except (OSError, ValueError, pa.ArrowException, tfrecord.DamagedRecordError):
        return None
    staging.progress.add(len(facts), len(facts) - facts["reason"].null_count)
    return facts


@dataclasses.dataclass
class _Open:
    """A chunk under way: its staged file so far, and what closes it."""

    chunk: Chunk
    file: BinaryIO
    closing: contextlib.ExitStack
    slices_left: int
    facts: list[FactRow] = dataclasses.field(default_factory=list)
    size: int = 0

    def add(self, fact: FactRow, frame: bytes | None) -> None:
        if frame is not None:
            self.file.write(frame)
            fact = fact._replace(offset=self.size, length=len(frame))
            self.size += len(frame)
        self.facts.append(fact)


class Stager:
    """Stages chunks in threads. While the last images of a chunk are under way the next one has begun."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
        self._threads = concurrent.futures.ThreadPoolExecutor(staging.workers)
        self._under_way: collections.deque[tuple[_Open, Callable[[], list[Staged]]]] = collections.deque()

    def stage(self, chunk: Chunk, sources: list[SourceRow]) -> Iterator[Done]:
        """Begins a chunk; yields those that are done by now."""
        remote = storage.is_bucket(self._staging.originals.root)
        slices = list(_slices(sources, 1 if remote else _SLICE_IMAGES))
        closing = contextlib.ExitStack()
        file = closing.enter_context(storage.create(self._staging.staged(chunk)))
        opened = _Open(chunk, file, closing, len(slices))
        inline = not remote and sum(source.size for source in sources) < _INLINE_BYTES * len(sources)
        for images in slices:
            work = functools.partial(self._stage_slice, images)
            self._under_way.append((opened, work if inline else self._threads.submit(work).result))
            if len(self._under_way) > 2 * self._staging.workers:
                yield from self._take()

    def finish(self) -> Iterator[Done]:
        """Yields the chunks that were still under way."""
        while self._under_way:
            yield from self._take()

    def close(self) -> None:
        """Ends the threads; what they have not begun is not done."""
        self._threads.shutdown(cancel_futures=True)

    def _give_up(self) -> None:
        """Begins nothing more, and lets go of the staged files: no half of one is left in a bucket."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._under_way:
            opened, _ = self._under_way.popleft()
            with contextlib.suppress(Exception):  # that of the caller is what went wrong
                opened.closing.__exit__(*sys.exc_info())

    def _stage_slice(self, sources: list[SourceRow]) -> list[Staged]:
        reused = _reused_frames(sources, self._staging)
        return [_stage(source, reused.get(source.key), self._staging) for source in sources]

    def _take(self) -> Iterator[Done]:
        """Waits for the slice that began first; slices end in the order of the sources."""
        opened, result = self._under_way[0]
        try:
            staged = result()
            for fact, frame in staged:
                opened.add(fact, frame)
        except BaseException:
            self._give_up()
            raise
        self._under_way.popleft()
        self._staging.progress.add(len(staged), sum(frame is None for _, frame in staged))
        opened.slices_left -= 1
        if not opened.slices_left:
            opened.closing.close()
            yield opened.chunk, write_facts(self._staging.facts(opened.chunk), opened.facts)


def _slices(sources: list[SourceRow], most: int) -> Iterator[list[SourceRow]]:
    piece: list[SourceRow] = []
    size = 0
    for source in sources:
        piece.append(source)
        size += source.size
        if size >= _SLICE_BYTES or len(piece) == most:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _stage(source: SourceRow, reused: bytes | None, staging: Staging) -> Staged:
    """Returns what is known of one image, and its frame; or why it has none."""
    if reused is not None and source.mtime_ns == source.reused_mtime_ns:
        return FactRow(*source.known), reused
    try:
        data = _read(source, staging)
        sha256 = hashlib.sha256(data).hexdigest()
        if reused is not None and sha256 == source.known.sha256:  # copied or checked out again
            return FactRow(*source.known), reused
        image = normalize(data, staging.normalization)
    except UnreadableError as error:
        return FactRow(reason=error.reason, detail=error.detail), None
    number = staging.numbers[source.label]
    record = Record(image.data, number, source.key, sha256, width=image.width, height=image.height)
    fact = FactRow(sha256, image.phash, image.width, image.height, image.truncated, image.profile)
    return fact, tfrecord.encode(record)


def _reused_frames(sources: list[SourceRow], staging: Staging) -> dict[str, bytes]:
    """Returns, by key, the whole frames that the previous version has, under the labels' numbers of today."""
    by_shard: dict[str, list[SourceRow]] = collections.defaultdict(list)
    for source in sources:
        if source.reused_shard is not None:
            by_shard[source.reused_shard].append(source)
    frames: dict[str, bytes] = {}
    for shard, reused in by_shard.items():
        assert staging.previous is not None
        ranges = [(source.reused_offset, source.reused_length) for source in reused]
        with contextlib.suppress(OSError):
            for source, frame in zip(reused, storage.read_ranges(staging.previous / shard, ranges), strict=True):
                today = _as_today(frame, source, staging)
                if today is not None:
                    frames[source.key] = today
    return frames


def _as_today(frame: bytes, source: SourceRow, staging: Staging) -> bytes | None:
    """Returns a reused frame under the label's number of today; None where it is damaged or another image's."""
    try:
        record = tfrecord.decode(frame)
    except tfrecord.DamagedRecordError:
        return None
    if (record.key, record.sha256) != (source.key, source.known.sha256):
        return None
    number = staging.numbers[source.label]
    return frame if record.label == number else tfrecord.encode(dataclasses.replace(record, label=number))


def _read(source: SourceRow, staging: Staging) -> bytes:
    """Returns the file's bytes, unless the file is larger than any picture that is read."""
    most = staging.normalization.max_pixels * _PIXEL_BYTES
    if source.size > most:
        raise UnreadableError(
            Reason.TOO_LARGE, f"{source.size:,} bytes are more than {most:,}, which --max-pixels sets"
        )
    return staging.originals.read(source.path, source.size, source.mtime_ns)
