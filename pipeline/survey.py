"""What a dataset looks like, as a value: its originals, copies, look-alikes, plain pictures, and remarks in words.

Numbers come from index.parquet and metadata.json; however large the dataset, a bounded number of records is looked at.
"""

import collections
import dataclasses
import difflib
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from imageshards.pipeline import storage, tfrecord
from imageshards.pipeline.checksums import read_described
from imageshards.pipeline.index import Statistics, read_statistics
from imageshards.pipeline.lookalikes import look_alikes, plain
from imageshards.pipeline.record import Record
from imageshards.pipeline.source import SPLITS, counted
from imageshards.pipeline.versions import INDEX_FILE

Row = dict[str, Any]
"""Some columns of the index for one image: key, label, split, shard, offset, length."""

LISTED = 20
"""The most examples of one kind."""

COPIES_SHOWN = 4
"""The most files with the same content that are shown."""

_LOOKED_AT = 1_000_000  # pictures, among which look-alikes are looked for
_PLAIN_LOOKED_AT = 500
_PLAIN_SHOWN = 8
_COMPARED = 2000  # labels, among which the one is looked for that a rare label may mean
_ALIKE = 0.75  # of how labels are spelt: two letters of four that changed places
_FEW = 3  # images of a label, below which it is remarked upon
_SHOWN = ("key", "label", "split", "shard", "offset", "length")


@dataclasses.dataclass(frozen=True)
class Copies:
    """Files with the same content: the first few, and how many there are."""

    rows: list[Row]
    count: int


@dataclasses.dataclass(frozen=True)
class LookAlikes:
    """Pairs of pictures that look alike, and how many of them are in two splits or have two labels."""

    count: int
    in_several_splits: int
    with_several_labels: int
    every: int  # of so many pictures one was looked at
    pairs: list[tuple[Row, Row]]  # the oddest


@dataclasses.dataclass(frozen=True)
class Plain:
    """How many pictures are nearly black, nearly white or of one colour, and some of them."""

    counts: dict[str, int]
    rows: list[Row]


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a dataset looks like."""

    originals: dict[str, list[tuple[str, int]]]  # histograms of megapixels, of shapes, of how much a crop cut off
    duplicates: list[Copies]
    alike: LookAlikes
    plain: Plain
    remarks: list[str]


def survey_of(version: Path) -> Survey:
    """Looks at a published version.

    Raises:
      OSError, ValueError, LookupError, TypeError: it cannot be read.
    """
    return survey(version, read_statistics(version), read_described(version))


def survey(folder: Path, statistics: Statistics, metadata: Mapping[str, Any]) -> Survey:
    """Looks at the shards and the index in `folder`; `tallied` has counted the rows of the index."""
    index = pq.ParquetFile(storage.open_read(folder / INDEX_FILE))
    sizes = index.read(["width", "height"])
    hashes = index.read(["phash"])["phash"].to_numpy()
    alike = _look_alikes(index, hashes, statistics)
    bare = _plain(index, hashes, folder)
    originals = _originals(sizes["width"].to_numpy(), sizes["height"].to_numpy())
    if metadata["normalization"]["fit"] != "crop":
        originals["cut"] = []
    counts = images_by_label(statistics.labels, metadata)
    remarks = [
        *_remarks_on_labels(statistics.labels, metadata),
        *_remarks_on_copies(metadata, alike),
        *_remarks_on_pictures(sizes, bare, metadata),
        f"always saying the most frequent label would be right for {max(counts) / sum(counts):.0%}",
    ]
    return Survey(originals, _duplicates(index, statistics), alike, bare, remarks)


def images_by_label(labels: Sequence[str], metadata: Mapping[str, Any]) -> list[int]:
    """Returns how many images each label has, in the order of `labels`."""
    return [sum(split[label] for split in metadata["splits"].values()) for label in labels]


def misspelt(labels: Sequence[str], metadata: Mapping[str, Any]) -> dict[str, str]:
    """Returns rare labels that are spelt much like a common one, and that one."""
    totals = dict(zip(labels, images_by_label(labels, metadata), strict=True))
    common = [label for label, count in totals.items() if count >= _FEW][:_COMPARED]
    rare = [label for label, count in totals.items() if count < _FEW][:LISTED]
    alike = {label: difflib.get_close_matches(label, common, n=1, cutoff=_ALIKE) for label in rare}
    return {label: found[0] for label, found in alike.items() if found}


def _originals(width: npt.NDArray[np.int32], height: npt.NDArray[np.int32]) -> dict[str, list[tuple[str, int]]]:
    """Returns histograms of the original pictures' sizes and shapes, and of how much the centre crop cut off them."""
    ratio = width / height.astype(np.float64)

    def histogram(values: Any, edges: Sequence[float], names: Sequence[str]) -> list[tuple[str, int]]:
        counts = np.histogram(values, (-np.inf, *edges, np.inf))[0].tolist()
        return [(name, count) for name, count in zip(names, counts, strict=True) if count]

    return {
        "megapixels": histogram(
            width * height.astype(np.float64) / 1e6,
            (0.05, 0.2, 1, 4, 12),
            ["under 0.05", "0.05–0.2", "0.2–1", "1–4", "4–12", "12 and more"],
        ),
        "shapes": histogram(
            ratio,
            (0.5, 0.7, 0.95, 1.05, 1.42, 2),
            ["tall, under 1:2", "tall", "upright", "square", "landscape", "wide", "wide, over 2:1"],
        ),
        "cut": histogram(
            1 - np.minimum(ratio, 1 / ratio),
            (0.1, 0.25, 0.4, 0.6),
            ["under 10 %", "10–25 %", "25–40 %", "40–60 %", "over 60 %"],
        ),
    }


def _duplicates(index: pq.ParquetFile, statistics: Statistics) -> list[Copies]:
    """Returns contents that several files have, those in several splits or under several labels first."""
    seen = statistics.seen()
    again = np.flatnonzero(np.isin(seen["content"], statistics.repeated(10 * LISTED)))
    again = again[np.argsort(seen["content"][again], kind="stable")]
    groups = np.split(again, np.flatnonzero(np.diff(seen["content"][again])) + 1) if len(again) else []

    def oddness(group: npt.NDArray[np.int64]) -> int:
        return -len(np.unique(seen["split"][group])) - len(np.unique(seen["label"][group]))

    listed = sorted(groups, key=oddness)[:LISTED]
    rows = _rows(index, {number for group in listed for number in group[:COPIES_SHOWN].tolist()})
    return [Copies([rows[number] for number in group[:COPIES_SHOWN].tolist()], len(group)) for group in listed]


def _look_alikes(index: pq.ParquetFile, hashes: npt.NDArray[np.uint64], statistics: Statistics) -> LookAlikes:
    """Returns how many pairs look alike, and the oddest of them: two splits before two labels."""
    seen = statistics.seen()
    every = -(-len(seen) // _LOOKED_AT)
    pairs = look_alikes(hashes[::every], seen["content"][::every])
    one, other = seen[pairs["one"] * every], seen[pairs["other"] * every]
    splits, labels = one["split"] != other["split"], one["label"] != other["label"]
    shown = pairs[np.lexsort((pairs["one"], pairs["bits"], ~labels, ~splits))][:LISTED]
    rows = _rows(index, {int(number) * every for name in ("one", "other") for number in shown[name]})
    return LookAlikes(
        count=len(pairs),
        in_several_splits=int(splits.sum()),
        with_several_labels=int(labels.sum()),
        every=every,
        pairs=[(rows[int(one) * every], rows[int(other) * every]) for one, other, _ in shown.tolist()],
    )


def _plain(index: pq.ParquetFile, hashes: npt.NDArray[np.uint64], version: Path) -> Plain:
    """Returns how many pictures are nearly black, white or of one colour, and the first few of them.

    Their perceptual hash tells which may be: brightness hardly ever rises on them from left to right, or hardly falls.
    """
    candidates = np.flatnonzero(plain(hashes))
    looked_at = candidates[:: -(-len(candidates) // _PLAIN_LOOKED_AT) or 1]
    found: dict[str, list[Row]] = collections.defaultdict(list)
    for row in _rows(index, set(looked_at.tolist())).values():
        record = record_of(row, version)
        with Image.open(io.BytesIO(record.image), formats=["JPEG", "PNG"]) as picture:
            levels = np.asarray(picture.convert("L"))
        low, high = np.percentile(levels, (2, 98))
        kind = (
            "nearly black" if high < 24 else "nearly white" if low > 231 else "of one colour" if high - low < 6 else ""
        )
        if kind:
            found[kind].append(row)
    scale = len(candidates) / max(1, len(looked_at))
    shown = [row for rows in itertools.zip_longest(*found.values()) for row in rows if row is not None]
    return Plain(
        counts={kind: round(len(rows) * scale) for kind, rows in sorted(found.items())},
        rows=shown[:_PLAIN_SHOWN],
    )


def _rows(index: pq.ParquetFile, numbers: set[int]) -> dict[int, Row]:
    """Returns the index's rows of these numbers."""
    found: dict[int, Row] = {}
    start = 0
    for batch in index.iter_batches(columns=_SHOWN) if numbers else ():
        here = sorted(number for number in numbers if start <= number < start + len(batch))
        rows = batch.take(pa.array([number - start for number in here], pa.int64())).to_pylist()
        found.update(zip(here, rows, strict=True))
        start += len(batch)
    return found


def record_of(row: Row, version: Path) -> Record:
    """Returns the record of one row of the index."""
    return tfrecord.decode(storage.read_ranges(version / row["shard"], [(row["offset"], row["length"])])[0])


def _remarks_on_labels(labels: Sequence[str], metadata: Mapping[str, Any]) -> list[str]:
    """Returns, in words, what a person should look at among the labels."""
    totals = dict(zip(labels, images_by_label(labels, metadata), strict=True))
    few = [label for label, count in totals.items() if count < _FEW]
    meant = {label: f"; did you mean {other!r}?" for label, other in misspelt(labels, metadata).items()}
    remarks = [f"label {label!r} has {counted(totals[label], 'image')}{meant.get(label, '')}" for label in few[:LISTED]]
    if len(few) > LISTED:
        remarks.append(f"{len(few) - LISTED:,} more labels have fewer than {_FEW} images")
    for split in SPLITS:
        missing = [label for label, count in metadata["splits"].get(split, {}).items() if not count]
        if missing:
            remarks.append(f"{split} has no image of {', '.join(map(repr, missing[:5]))}" + " …" * (len(missing) > 5))
    return remarks


def _remarks_on_copies(metadata: Mapping[str, Any], alike: LookAlikes) -> list[str]:
    """Returns, in words, which pictures are there more than once."""
    remarks = []
    duplicates = metadata["duplicates"]
    if duplicates["in_several_splits"]:
        remarks.append(f"the same picture is in several splits: {counted(duplicates['in_several_splits'], 'picture')}")
    if duplicates["with_several_labels"]:
        remarks.append(f"the same picture has several labels: {counted(duplicates['with_several_labels'], 'picture')}")
    if alike.count:
        sampled = f" (among every {alike.every}th picture)" if alike.every > 1 else ""
        apart = [(alike.in_several_splits, "in two splits"), (alike.with_several_labels, "under two labels")]
        remarks.append(
            ", ".join(
                [f"{counted(alike.count, 'pair')} of look-alikes", *(f"{n:,} {where}" for n, where in apart if n)]
            )
            + sampled
            + ("; so many that it says little here" if alike.count > metadata["images"] else "")
        )
    return remarks


def _remarks_on_pictures(sizes: pa.Table, bare: Plain, metadata: Mapping[str, Any]) -> list[str]:
    """Returns, in words, what the pictures are like."""
    remarks = [
        f"{counted(count, 'image')} {'is' if count == 1 else 'are'} {kind}" for kind, count in bare.counts.items()
    ]
    size = metadata["normalization"]["size"]
    small = pc.sum(pc.less(pc.min_element_wise(sizes["width"], sizes["height"]), size)).as_py()
    if small:
        remarks.append(
            f"{counted(small, 'original')} {'is' if small == 1 else 'are'} smaller than {size} pixels, and enlarged"
        )
    if metadata["truncated"]:
        remarks.append(f"{counted(metadata['truncated'], 'image')} ended early, and what is missing is gray or black")
    if metadata["color_profiles"]["ignored"]:
        remarks.append(
            f"{counted(metadata['color_profiles']['ignored'], 'color profile')} cannot be used: colors may be off"
        )
    return remarks
