"""index.parquet: one row per image, in the order of the keys; what is in the dataset and where it came from.

Workers join it, a piece of some chunks at a time, from the sources, what became of them, and where the shards put
them; the pieces are put together where the job was started. Here nothing may be lost: every source is in exactly one
record, or has a reason.
"""

import collections
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from imageshards.pipeline import storage
from imageshards.pipeline.chunks import Staging
from imageshards.pipeline.errors import LostError
from imageshards.pipeline.facts import INDEX, Chunk, Known, content_number, read_batch, write_batch
from imageshards.pipeline.shards import Placed
from imageshards.pipeline.source import SPLITS, Reason, Rejected
from imageshards.pipeline.versions import INDEX_FILE, read_labels

PIECE_CHUNKS = 256  # as many as one worker joins, in one row group


class Statistics:
    """Counts of the rows and rejects that went by; keeps 16 bytes per image, to find equal content."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = labels
        self._number = {label: number for number, label in enumerate(labels)}
        self._seen: list[npt.NDArray[np.void]] = []
        self.truncated = 0
        self.profiles: collections.Counter[str] = collections.Counter()
        self.rejected: list[Rejected] = []

    def add(self, rows: pa.RecordBatch) -> None:
        """Counts rows of the index."""
        seen = np.zeros(len(rows), [("content", "<u8"), ("label", "<u4"), ("split", "<u4")])
        seen["content"] = [content_number(sha256) for sha256 in rows["sha256"].to_pylist()]
        seen["label"] = [self._number[label] for label in rows["label"].to_pylist()]
        seen["split"] = [SPLITS.index(split) for split in rows["split"].to_pylist()]
        self._seen.append(seen)
        self.truncated += sum(rows["truncated"].to_pylist())
        if "profile" in rows.schema.names:  # 0.1.0 knew of none
            self.profiles.update(rows["profile"].to_pylist())

    def seen(self) -> npt.NDArray[np.void]:
        """Returns `content`, `label` and `split` of each row, as numbers, in the index's order."""
        return np.concatenate(self._seen)

    @property
    def images(self) -> int:
        """How many rows went by."""
        return sum(map(len, self._seen))

    def counts(self) -> dict[str, Any]:
        """Returns what metadata.json says of the dataset's images."""
        seen = self.seen()
        table = np.zeros((len(SPLITS), len(self._number)), np.int64)
        np.add.at(table, (seen["split"], seen["label"]), 1)
        splits = {
            split: {label: int(table[s, n]) for label, n in self._number.items()}
            for s, split in enumerate(SPLITS)
            if table[s].any()
        }
        return {
            "images": len(seen),
            "truncated": self.truncated,
            "color_profiles": {use: self.profiles[use] for use in ("srgb", "converted", "ignored")},
            "splits": splits,
            "duplicates": self._duplicates(np.sort(seen, order=("content", "label", "split"))),
        }

    def repeated(self, most: int) -> npt.NDArray[np.uint64]:
        """Returns the contents that several files have, in order."""
        contents = np.sort(self.seen()["content"])
        again: npt.NDArray[np.uint64] = np.unique(contents[1:][contents[1:] == contents[:-1]])
        return again[:most]

    @staticmethod
    def _duplicates(seen: npt.NDArray[np.void]) -> dict[str, int]:
        """Counts contents that more than one file has, and those of them with several labels, or in several splits."""
        again = seen["content"][1:] == seen["content"][:-1]

        def contents(where: npt.NDArray[np.bool_]) -> int:
            return len(np.unique(seen["content"][1:][again & where]))

        return {
            "files": int(again.sum()),
            "contents": contents(again),
            "with_several_labels": contents(seen["label"][1:] != seen["label"][:-1]),
            "in_several_splits": len(np.unique(np.sort(seen[["content", "split"]]))) - len(np.unique(seen["content"])),
        }


def pieces(chunks: Sequence[Chunk]) -> Iterator[tuple[int, Sequence[Chunk]]]:
    """Yields the number of each piece of the index, and its chunks."""
    for start in range(0, len(chunks), PIECE_CHUNKS):
        yield start // PIECE_CHUNKS, chunks[start : start + PIECE_CHUNKS]


def write_piece(
    number: int,
    chunks: Sequence[Chunk],
    placed: Iterable[Placed],
    sources: pa.RecordBatchFileReader,
    staging: Staging,
) -> None:
    """Leaves the index rows of some chunks, and their rejects, for the publishing step.

    `placed` says of every image of these chunks, and of no other, where it came to lie.

    Raises:
      LostError: a source is neither in a record nor rejected, or is in two.
    """
    of_shards = list(placed)
    offsets = np.concatenate([shard.offsets for shard in of_shards])
    shard_of = np.repeat(np.arange(len(of_shards)), [len(shard.offsets) for shard in of_shards])
    order = np.lexsort((offsets["row"], offsets["chunk"]))
    offsets, shard_of = offsets[order], shard_of[order]
    names = pa.array([shard.name for shard in of_shards])
    splits = pa.array([shard.split for shard in of_shards])
    edges = np.searchsorted(offsets["chunk"], [*(chunk.number for chunk in chunks), chunks[-1].number + 1])
    rows, rejected = [], []
    for chunk, start, end in zip(chunks, edges, edges[1:], strict=False):
        batch, facts = sources.get_batch(chunk.number), read_batch(staging.facts(chunk))
        reasons = facts["reason"].to_pylist()
        good = np.array([row for row, reason in enumerate(reasons) if reason is None], np.int64)
        if len(batch) != len(facts) or not np.array_equal(offsets["row"][start:end], good):
            raise LostError(f"chunk {chunk.number}: {len(good)} of {len(batch)} images staged, {end - start} in shards")
        rejected += [
            (batch["key"][row].as_py(), reason, facts["detail"][row].as_py())
            for row, reason in enumerate(reasons)
            if reason is not None
        ]
        at = offsets[start:end]
        here = pa.array(shard_of[start:end])
        columns = {name: batch[name].take(pa.array(good)) for name in ("key", "label", "group", "size", "mtime_ns")}
        columns |= {name: facts[name].take(pa.array(good)) for name in Known._fields}
        columns |= {"split": splits.take(here), "shard": names.take(here)}
        columns |= {name: pa.array(at[name].astype(np.int64)) for name in ("offset", "length")}
        rows.append(pa.RecordBatch.from_pydict(columns, INDEX))
    write_batch(_piece(staging, number), pa.concat_batches(rows))
    storage.write(_rejected(staging, number), json.dumps(rejected).encode())


def write_index(path: Path, staging: Staging, chunks: Sequence[Chunk]) -> Statistics:
    """Puts the pieces of index.parquet together, each of them a row group, and returns its counts."""
    statistics = Statistics(staging.labels)
    with storage.create(path) as file, pq.ParquetWriter(file, INDEX, compression="zstd") as writer:
        for number, _ in pieces(chunks):
            rows = read_batch(_piece(staging, number))
            statistics.add(rows)
            writer.write_batch(rows)
            statistics.rejected += [
                Rejected(key, Reason(reason), detail)
                for key, reason, detail in storage.read_json(_rejected(staging, number))
            ]
    return statistics


def _piece(staging: Staging, number: int) -> Path:
    return staging.work / "index" / f"{number:06d}.arrow"


def _rejected(staging: Staging, number: int) -> Path:
    return staging.work / "index" / f"{number:06d}.rejected.json"


def read_statistics(version: Path) -> Statistics:
    """Counts the rows of a published version's index again; `rejected` stays empty."""
    statistics = Statistics(read_labels(version))
    with storage.open_read(version / INDEX_FILE) as file:
        for batch in pq.ParquetFile(file).iter_batches():
            statistics.add(batch)
    return statistics


def read_index(version: Path) -> pa.Table:
    """Reads the index of a published version.

    Raises:
      OSError, ValueError, pa.ArrowException: it cannot be read, or is none.
    """
    with storage.open_read(version / INDEX_FILE) as file:  # mapped into memory, a disk that fails would end the process
        return pq.read_table(file, schema=INDEX)


def count_pieces(version: Path) -> int:
    """Returns how many pieces the index of a published version has, which `read_piece` reads one at a time."""
    with storage.open_read(version / INDEX_FILE) as file:
        return int(pq.ParquetFile(file).num_row_groups)


def read_piece(version: Path, number: int, columns: Sequence[str]) -> pa.Table:
    """Reads some columns of a piece of a version's index, which holds the rows of PIECE_CHUNKS chunks."""
    with storage.open_read(version / INDEX_FILE) as file:
        return pq.ParquetFile(file).read_row_group(number, columns=list(columns))
