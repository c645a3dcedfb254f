"""The tables between the steps, as files that any worker can read.

`sources.arrow` lists every source, one record batch a chunk; where the previous version of the dataset has an image of
the same key and size, the columns from `reused_mtime_ns` on say where and what is known of it. A chunk's facts have a
row for each of its sources, in the same order: a `reason` where the image was rejected, else where its record lies in
the staged file. The names of all chunks are a text.
"""

import dataclasses
import hashlib
import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline import storage
from imageshards.pipeline.source import Source
from imageshards.pipeline.sources.files import Sources

CHUNK_IMAGES = 256
CONTENT_DIGITS = 16
_BLOCK_CHUNKS = 64

_KNOWN = [  # what normalizing an image finds out
    pa.field("sha256", pa.string()),
    pa.field("phash", pa.uint64()),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("truncated", pa.bool_()),
    pa.field("profile", pa.string()),
]
_SOURCE = [
    pa.field("key", pa.string()),
    pa.field("path", pa.string()),
    pa.field("label", pa.string()),
    pa.field("split", pa.string()),
    pa.field("group", pa.string()),
    pa.field("size", pa.int64()),
    pa.field("mtime_ns", pa.int64()),
]
SOURCES = pa.schema(
    [
        *_SOURCE,
        pa.field("previous_split", pa.string()),
        pa.field("reused_mtime_ns", pa.int64()),
        pa.field("reused_shard", pa.string()),
        pa.field("reused_offset", pa.int64()),
        pa.field("reused_length", pa.int64()),
        *_KNOWN,
    ]
)
FACTS = pa.schema(
    [
        *_KNOWN,
        pa.field("offset", pa.int64()),
        pa.field("length", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
INDEX = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("label", pa.string()),
        pa.field("split", pa.string()),
        pa.field("group", pa.string()),
        *_KNOWN,
        pa.field("size", pa.int64()),
        pa.field("mtime_ns", pa.int64()),
        pa.field("shard", pa.string()),
        pa.field("offset", pa.int64()),
        pa.field("length", pa.int64()),
    ]
)


class Known(NamedTuple):
    """The columns of _KNOWN for one image."""

    sha256: str
    phash: int
    width: int
    height: int
    truncated: bool
    profile: str


class SourceRow(NamedTuple):
    """A row of SOURCES. Without a `reused_shard`, all that comes from the previous version is None."""

    key: str
    path: str
    label: str
    split: str | None
    group: str | None
    size: int
    mtime_ns: int
    previous_split: str | None
    reused_mtime_ns: int | None
    reused_shard: str | None
    reused_offset: int
    reused_length: int
    known: Known

    @classmethod
    def all_of(cls, batch: pa.RecordBatch) -> "list[SourceRow]":
        """Returns the rows of a batch of SOURCES."""
        own = len(cls._fields) - 1
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        return [cls._make((*row[:own], Known(*row[own:]))) for row in rows]


class FactRow(NamedTuple):
    """A row of FACTS: what is known of an image and where its record is, or why there is none."""

    sha256: str | None = None
    phash: int | None = None
    width: int | None = None
    height: int | None = None
    truncated: bool | None = None
    profile: str | None = None
    offset: int | None = None
    length: int | None = None
    reason: str | None = None
    detail: str | None = None

    @classmethod
    def all_of(cls, batch: pa.RecordBatch) -> "list[FactRow]":
        """Returns the rows of a batch of FACTS."""
        return [cls(*row) for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]


@dataclasses.dataclass(frozen=True, slots=True)
class Chunk:
    """A record batch of sources.arrow. `name` changes with anything that decides what is staged for it."""

    number: int
    name: str


def content_number(sha256: str) -> int:
    """Returns the first 64 bits of a digest in hexadecimal: they tell the contents of a dataset apart."""
    return int(sha256[:CONTENT_DIGITS], 16)


def fingerprint(sources: Iterable[Source], *more: object) -> str:
    """Returns a digest that changes when a source does, or anything in `more`, by its repr."""
    digest = hashlib.sha256(repr(more).encode())
    for s in sources:
        digest.update(f"{s.key}\0{s.label}\0{s.split}\0{s.group}\0{s.size}\0{s.mtime_ns}\n".encode())
    return digest.hexdigest()


def cut(sources: Sources) -> Iterator[Sources]:
    """Yields chunks of at most CHUNK_IMAGES sources.

    A chunk also ends where a key's checksum says so. An image that comes or goes therefore changes the chunks near it
    alone, and a killed job that is started again still finds the others.
    """
    start = 0
    for end, key in enumerate(sources.keys(), start=1):
        if end - start == CHUNK_IMAGES or end == len(sources) or zlib.crc32(key.encode()) % CHUNK_IMAGES == 0:
            yield sources[start:end]
            start = end


def write_sources(path: Path, chunks: Iterable[Sources], previous: pa.Table | None) -> None:
    """Writes sources.arrow. `previous` is the index of the dataset's previous version."""
    previous = INDEX.empty_table() if previous is None else previous
    keys = previous["key"].combine_chunks()
    left = iter(chunks)
    with storage.create(path) as file, pa.ipc.new_file(file, SOURCES) as writer:
        while block := list(itertools.islice(left, _BLOCK_CHUNKS)):  # a chunk alone is soon done, and Arrow is not
            rows = pa.Table.from_batches(chunk.rows for chunk in block).combine_chunks()
            columns = {field.name: rows[field.name].cast(field.type) for field in _SOURCE}
            columns["path"] = pc.coalesce(columns["path"], columns["key"])
            columns |= _known_before(columns, _rows(previous, pc.index_in(columns["key"], keys).combine_chunks()))
            table = pa.table(columns, SOURCES)
            start = 0
            for chunk in block:
                writer.write_table(table.slice(start, len(chunk)), max_chunksize=len(chunk))
                start += len(chunk)


def _rows(table: pa.Table, numbers: pa.Array) -> pa.Table:
    """Returns rows of a table, nulls where there is no number; only the part that they lie in is put together."""
    if numbers.null_count == len(numbers):
        return table.slice(0, 0).combine_chunks().take(numbers)
    bounds = pc.min_max(numbers)
    first, last = bounds["min"].as_py(), bounds["max"].as_py()
    return table.slice(first, last - first + 1).combine_chunks().take(pc.subtract(numbers, first))


def write_chunks(path: Path, names: str) -> None:
    """Writes the names of all chunks, which `names` holds with a space between them, in order."""
    storage.write(path, names.encode())


def read_chunks(path: Path) -> list[Chunk]:
    """Reads the chunks of a job, in order."""
    return [Chunk(number, name) for number, name in enumerate(storage.read(path).decode().split())]


def read_sources(path: Path) -> pa.RecordBatchFileReader:
    """Opens sources.arrow; `get_batch(chunk.number)` reads one chunk of it."""
    return pa.ipc.open_file(storage.open_read(path))


def write_facts(path: Path, rows: Sequence[FactRow]) -> pa.RecordBatch:
    """Publishes a chunk's facts, and returns them: the file is there whole, or not at all."""
    columns = zip(*rows, strict=True)
    facts = pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, FACTS, strict=True)], schema=FACTS
    )
    write_batch(path, facts)
    return facts


def write_batch(path: Path, rows: pa.RecordBatch) -> None:
    """Writes rows as an Arrow file that is there whole, or not at all."""
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_file(buffer, rows.schema) as writer:
        writer.write_batch(rows)
    storage.write(path, buffer.getvalue().to_pybytes())


def read_batch(path: Path) -> pa.RecordBatch:
    """Reads what write_batch wrote, such as a chunk's facts."""
    return pa.ipc.open_file(pa.BufferReader(storage.read(path))).get_batch(0)


def _known_before(columns: dict[str, Any], previous: pa.Table) -> dict[str, Any]:
    """Returns the split of the same key, and the rest where the size is the same, too."""
    same = pc.equal(previous["size"], columns["size"])
    known = {field.name: previous[field.name] for field in _KNOWN}
    known |= {f"reused_{name}": previous[name] for name in ("mtime_ns", "shard", "offset", "length")}
    known = {name: pc.if_else(same, column, None).combine_chunks() for name, column in known.items()}
    return {**known, "previous_split": previous["split"].combine_chunks()}
