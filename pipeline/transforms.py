"""The steps as Beam transforms: each a pure function of chunks.py, plan.py or shards.py, and its shuffle.

Between steps travel arrays of plan.ROWS, packed, so the cost of an element is shared by a chunk of images. No label
is ever a key by itself: a label may have ten million images.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from imageshards.pipeline import index, plan, shards, storage
from imageshards.pipeline.awaited import Watch
from imageshards.pipeline.chunks import Stager, Staging, resume_chunk
from imageshards.pipeline.facts import Chunk, SourceRow, read_chunks, read_sources
from imageshards.pipeline.lookalikes import QUARTERS
from imageshards.pipeline.plan import Rows, Rules, Totals
from imageshards.pipeline.source import SPLITS

_FOR_SPLITS = ("group", "sha256", "split")  # columns of the index

Key = Callable[[Rows, Rules], npt.NDArray[np.int64]]


class _Stage(beam.DoFn):  # type: ignore[misc]
    """Chunk → ROWS of its good images. A chunk that was staged before a kill is not staged again."""

    def __init__(self, staging: Staging, rules: Rules) -> None:
        self._staging = staging
        self._rules = rules

    def setup(self) -> None:
        self._sources = read_sources(self._staging.sources)
        self._stager = Stager(self._staging)
        self._watch = Watch(self._staging.work, self._staging.job)

    def process(self, chunk: Chunk) -> Iterator[Rows]:
        self._watch.check()
        sources = self._sources.get_batch(chunk.number)
        facts = resume_chunk(chunk, sources, self._staging)
        if facts is not None:
            yield self._rows(chunk, facts)
        else:
            for done in self._stager.stage(chunk, SourceRow.all_of(sources)):
                yield self._rows(*done)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for done in self._stager.finish():
            yield GlobalWindows.windowed_value(self._rows(*done))

    def teardown(self) -> None:
        self._stager.close()

    def _rows(self, chunk: Chunk, facts: pa.RecordBatch) -> Rows:
        sources = self._sources.get_batch(chunk.number)
        return plan.rows_of(chunk, sources, facts, self._staging.numbers, self._rules)


@dataclasses.dataclass
class StageChunks(beam.PTransform):  # type: ignore[misc]
    """Nothing → ROWS of all good images, a chunk of them at a time."""

    staging: Staging
    rules: Rules

    def expand(self, begin: Any) -> Any:
        return (
            begin
            | beam.Impulse()
            | "Chunks" >> beam.FlatMap(lambda _, path: read_chunks(path), self.staging.chunks)  # Chunk
            | beam.Reshuffle()
            | "Stage" >> beam.ParDo(_Stage(self.staging, self.rules))
        )


@dataclasses.dataclass
class ReadAssignments(beam.PTransform):  # type: ignore[misc]
    """Nothing → ROWS that hold the splits of a published version."""

    version: Path

    def expand(self, begin: Any) -> Any:
        return (
            begin
            | beam.Impulse()
            | "Pieces" >> beam.FlatMap(lambda _, version: range(index.count_pieces(version)), self.version)
            | beam.Reshuffle()
            | "Read" >> beam.Map(self._read)
        )

    def _read(self, piece: int) -> Rows:
        rows = index.read_piece(self.version, piece, _FOR_SPLITS)
        return plan.previous_assignments(*(rows[name].to_pylist() for name in _FOR_SPLITS))


@dataclasses.dataclass
class GroupRows(beam.PTransform):  # type: ignore[misc]
    """ROWS in any pieces → all ROWS that have the same key."""

    key: Key
    rules: Rules

    def expand(self, rows: Any) -> Any:
        return (
            rows
            | "Cut" >> beam.FlatMap(_cut, self.key, self.rules).with_output_types(tuple[int, bytes])  # (key, ROWS)
            | "Group" >> beam.GroupByKey()
            | "Join" >> beam.Map(lambda pieces: plan.unpacked(pieces[1]))  # ROWS
        )


@dataclasses.dataclass
class LinkGroups(beam.PTransform):  # type: ignore[misc]
    """ROWS → pairs of groups that share a picture."""

    rules: Rules

    def expand(self, rows: Any) -> Any:
        if not self.rules.alike:
            return rows | "ByContent" >> GroupRows(plan.content_range, self.rules) | "Link" >> beam.Map(plan.link)
        return [
            rows
            | f"ByQuarter{number}" >> GroupRows(functools.partial(plan.quarter_range, number=number), self.rules)
            | f"LinkAlike{number}" >> beam.Map(plan.link_alike, number)
            for number in QUARTERS
        ] | beam.Flatten()


@dataclasses.dataclass
class DrawSplits(beam.PTransform):  # type: ignore[misc]
    """ROWS → ROWS with a split. Images of `previous`, a published version, keep theirs."""

    rules: Rules
    previous: Path | None

    def expand(self, rows: Any) -> Any:
        assigned = [rows.pipeline | "Previous" >> ReadAssignments(self.previous)] if self.previous else []
        if self.rules.linked:
            links = beam.pvalue.AsList(rows | "Links" >> LinkGroups(self.rules))
            roots = rows.pipeline | beam.Create([None]) | "Roots" >> beam.Map(lambda _, links: plan.roots(links), links)
            rows = rows | "Merge" >> beam.Map(plan.merge, beam.pvalue.AsSingleton(roots))
        return (
            (rows, *assigned)
            | beam.Flatten()
            | "ByGroup" >> GroupRows(plan.group_range, self.rules)
            | "Settle" >> beam.Map(plan.settle, self.rules)
            | "ByStratum" >> GroupRows(plan.stratum, self.rules)
            | "Draw" >> beam.Map(plan.decide, self.rules)
        )


@dataclasses.dataclass
class WriteShards(beam.PTransform):  # type: ignore[misc]
    """ROWS with a split → where they came to lie: (piece of the index, Placed).

    Each shard is written, read again and checked by one worker.
    """

    staging: Staging
    wanted: int

    def expand(self, rows: Any) -> Any:
        totals = beam.pvalue.AsSingleton(rows | "Totals" >> beam.CombineGlobally(_AddTotals()))
        return (
            rows
            | "Cut"
            >> beam.FlatMap(_cut_shards, totals, self.wanted).with_output_types(tuple[tuple[int, int, int], bytes])
            | "Group" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(_Write(self.staging)).with_output_types(tuple[int, Any])
        )


class _Write(beam.DoFn):  # type: ignore[misc]
    """A shard's numbers and its packed ROWS → (piece of the index, Placed); the shard and its facts are written."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging

    def setup(self) -> None:
        self._chunks = read_chunks(self._staging.chunks)
        self._watch = Watch(self._staging.work, self._staging.job)

    def process(
        self, key_and_pieces: tuple[tuple[int, int, int], Iterable[bytes]]
    ) -> Iterator[tuple[int, shards.Placed]]:
        shard, rows = shards.Shard(*key_and_pieces[0]), plan.unpacked(key_and_pieces[1])
        staging, version = self._staging, self._staging.version
        self._watch.check()
        path = version.unpublished / shard.name(version.name)
        with storage.made_here(path, staging.work) as here:
            offsets = shards.write_shard(here, rows, lambda number: staging.staged(self._chunks[number]))
        facts = shards.check_shard(path, SPLITS[shard.split], len(rows), len(staging.labels))
        shards.save(staging.work, facts)
        for piece, places in _by_key(offsets["chunk"] // index.PIECE_CHUNKS):
            yield piece, shards.Placed(facts.name, facts.split, offsets[places])


@dataclasses.dataclass
class WriteIndex(beam.PTransform):  # type: ignore[misc]
    """(piece of the index, Placed) → the pieces of index.parquet, also of those with no image."""

    staging: Staging

    def expand(self, placed: Any) -> Any:
        every = (
            placed.pipeline
            | beam.Impulse()
            | "Pieces" >> beam.FlatMap(_every_piece, self.staging.chunks).with_output_types(tuple[int, Any])
        )
        return (
            (placed, every)
            | beam.Flatten()
            | "Group" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(_WritePiece(self.staging))
        )


class _WritePiece(beam.DoFn):  # type: ignore[misc]
    """The number of a piece, and where its images lie → nothing; the piece is written."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging

    def setup(self) -> None:
        self._sources = read_sources(self._staging.sources)
        self._chunks = dict(index.pieces(read_chunks(self._staging.chunks)))
        self._watch = Watch(self._staging.work, self._staging.job)

    def process(self, piece_and_placed: tuple[int, Iterable[shards.Placed]]) -> None:
        piece, placed = piece_and_placed
        self._watch.check()
        index.write_piece(piece, self._chunks[piece], placed, self._sources, self._staging)


def _every_piece(_: bytes, chunks: Any) -> Iterator[tuple[int, shards.Placed]]:
    for piece, _of_piece in index.pieces(read_chunks(chunks)):
        yield piece, shards.Placed("", "", np.zeros(0, shards.OFFSETS))


class _AddTotals(beam.CombineFn):  # type: ignore[misc]
    def create_accumulator(self) -> Totals:
        return Totals.none()

    def add_input(self, totals: Totals, rows: Rows) -> Totals:
        return totals.add(rows)

    def merge_accumulators(self, parts: Iterable[Totals]) -> Totals:
        return sum(parts, start=Totals.none())

    def extract_output(self, totals: Totals) -> Totals:
        return totals


def _cut(rows: Rows, key: Key, rules: Rules) -> Iterator[tuple[int, bytes]]:
    return _pieces(rows, key(rows, rules))


def _cut_shards(rows: Rows, totals: Totals, wanted: int) -> Iterator[tuple[tuple[int, int, int], bytes]]:
    of = [totals.shards(split, wanted) for split in range(len(SPLITS))]
    numbers = plan.shard_numbers(rows, totals, wanted)
    for key, piece in _pieces(rows, numbers * len(SPLITS) + rows["split"]):
        number, split = divmod(key, len(SPLITS))
        yield (split, number, of[split]), piece


def _pieces(rows: Rows, keys: npt.NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
    for key, places in _by_key(keys):
        yield key, plan.packed(rows[places])


def _by_key(keys: npt.NDArray[np.integer]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Yields each key, in order, and the places that have it."""
    order = np.argsort(keys, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        if len(places):
            yield int(keys[places[0]]), places
