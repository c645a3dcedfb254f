"""report.html: what a dataset looks like, in one file that needs nothing else.

Numbers come from index.parquet and metadata.json, pictures from the shards: their salted order is a random choice, and
the same one every time. However large the dataset, a bounded number of records is looked at.
"""

import collections
import csv
import dataclasses
import difflib
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from imageshards.pipeline import checksums, storage, tfrecord
from imageshards.pipeline.errors import UserError
from imageshards.pipeline.facts import CONTENT_DIGITS
from imageshards.pipeline.images import Normalization, UnreadableError, normalize
from imageshards.pipeline.index import Tallied
from imageshards.pipeline.lookalikes import look_alikes, plain
from imageshards.pipeline.page import render, thumbnail_of
from imageshards.pipeline.record import Record
from imageshards.pipeline.shards import read_frames
from imageshards.pipeline.source import SPLITS, Reason, Rejected
from imageshards.pipeline.versions import published_name

REPORT = "report.html"

_PICTURES = 120  # of contact sheets, in the whole report
_RECORDS = 4000  # a split, among which pictures of each label are looked for
_LISTED = 20
_LOOKED_AT = 1_000_000  # pictures, among which look-alikes are looked for
_PLAIN_LOOKED_AT = 500
_PLAIN_SHOWN = 8
_COMPARED = 2000  # labels, among which the one is looked for that a rare label may mean
_FEW = 3  # images of a label, below which it is remarked upon
_REJECT_BYTES = 1 << 26
_SHOWN = ("key", "label", "split", "shard", "offset", "length")

# What lies outside SRC, changes, or is too much to decode: no picture of it is drawn.
_UNSEEN = (Reason.LINK_OUTSIDE, Reason.DANGLING_LINK, Reason.TOO_LARGE, Reason.TOO_SLOW, Reason.CHANGED, Reason.EMPTY)


def redraw(version: Path, src: str | None) -> Path:
    """Draws the report of a published version anew, from its index and its shards; returns where it is.

    Rejected images are drawn from `src`, the folder that the dataset was made from, and from nowhere else.

    Raises:
      UserError: the version cannot be read.
    """
    try:
        digests = checksums.read_checksums(version)
        metadata = json.loads(storage.read(version / checksums.METADATA))
        labels = storage.read(version / "label.labels.txt").decode().split("\n")[:-1]
        tallied = Tallied(labels)
        for batch in pq.ParquetFile(storage.open_read(version / "index.parquet")).iter_batches():
            tallied.add(batch)
        name = published_name(version)
        tallied.rejected = _read_rejected(version / "rejected.csv")
        write_report(version, name, version.name, labels, tallied, metadata, src)
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException, tfrecord.DamagedRecordError) as error:
        raise UserError(
            f"{version}: cannot be read: {error}; imageshards-verify says all that is wrong with it, and the command"
            " that made it makes it again"
        ) from error
    digests[REPORT] = checksums.file_checksum(version / REPORT)
    described = {name: value for name, value in metadata.items() if name != "sha256"}
    if "bytes" in described:
        described["bytes"] |= {REPORT: storage.sizes(version)[REPORT]}
    storage.write(version / checksums.METADATA, checksums.metadata_text(described, digests).encode())
    return version / REPORT


def write_report(
    version: Path,
    name: str,
    number: str,
    labels: Sequence[str],
    tallied: Tallied,
    metadata: Mapping[str, Any],
    root: str | None,
) -> None:
    """Writes report.html into the folder `version`, which holds the shards and index.parquet of dataset `name`.

    Rejected images are drawn from `root`, where that is given.
    """
    index = pq.ParquetFile(storage.open_read(version / "index.parquet"))
    sizes = index.read(["width", "height"])
    hashes = index.read(["phash"])["phash"].to_numpy()
    alike = _look_alikes(index, hashes, tallied, version)
    bare = _plain(index, hashes, version)
    originals = _originals(sizes["width"].to_numpy(), sizes["height"].to_numpy())
    if metadata["normalization"]["fit"] != "crop":
        originals["cut"] = []
    counts = [sum(split[label] for split in metadata["splits"].values()) for label in labels]
    page = render(
        Path(__file__).with_name(REPORT),
        name=name,
        version=number,
        labels=labels,
        metadata=metadata,
        largest=max(counts),
        sheets=_contact_sheets(version, name, labels, list(metadata["splits"])),
        originals=originals,
        duplicates=_duplicates(index, tallied.repeated(10 * _LISTED), version),
        alike=alike,
        plain=bare,
        remarks=[
            *_remarks_on_labels(labels, counts, metadata),
            *_remarks_on_copies(metadata, alike),
            *_remarks_on_pictures(sizes, bare, metadata),
        ],
        reasons=_reasons(tallied.rejected, metadata, root),
    )
    storage.write(version / REPORT, page.encode())


def _contact_sheets(
    version: Path, name: str, labels: Sequence[str], splits: Sequence[str]
) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Returns split → label → (key, picture as a data: address), the first few in the records' order."""
    share = max(1, min(8, _PICTURES // (len(splits) * len(labels))))
    sheets: dict[str, dict[str, list[tuple[str, str]]]] = {split: {} for split in splits}
    for split in splits:
        room = min(_PICTURES // len(splits), share * len(labels))
        first = next(file for file in storage.names(version) if file.startswith(f"{name}-{split}.tfrecord-00000-of-"))
        for frame in itertools.islice(read_frames(version / first), _RECORDS):
            record = tfrecord.decode(frame)
            pictures = sheets[split].setdefault(labels[record.label], [])
            if len(pictures) < share and room:
                pictures.append((record.key, thumbnail_of(record.image)))
                room -= 1
            if not room:
                break
    return {split: dict(sorted(by_label.items())) for split, by_label in sheets.items()}


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
            ["under 0.05 megapixels", "0.05–0.2", "0.2–1", "1–4", "4–12", "12 and more"],
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


def _duplicates(index: pq.ParquetFile, repeated: Sequence[str], version: Path) -> list[list[dict[str, Any]]]:
    """Returns groups of files with the same content, those in several splits or under several labels first."""
    groups: dict[str, list[dict[str, Any]]] = {content: [] for content in repeated}
    prefixes = pa.array(repeated, pa.string())
    for rows in index.iter_batches(columns=[*_SHOWN, "sha256"]) if repeated else ():
        starts = pc.utf8_slice_codeunits(rows["sha256"], 0, CONTENT_DIGITS)
        for row in rows.filter(pc.is_in(starts, prefixes)).to_pylist():
            groups[row["sha256"][:CONTENT_DIGITS]].append(row)

    def oddness(rows: list[dict[str, Any]]) -> int:
        return -len({row["split"] for row in rows}) - len({row["label"] for row in rows})

    shown = sorted(groups.values(), key=oddness)[:_LISTED]
    return [[_with_picture(rows[0], version), *rows[1:]] for rows in shown]


def _look_alikes(
    index: pq.ParquetFile, hashes: npt.NDArray[np.uint64], tallied: Tallied, version: Path
) -> dict[str, Any]:
    """Returns how many pairs look alike, and the oddest of them with their pictures: two splits before two labels."""
    seen = tallied.seen()
    every = -(-len(seen) // _LOOKED_AT)
    pairs = look_alikes(hashes[::every], seen["content"][::every])
    one, other = seen[pairs["one"] * every], seen[pairs["other"] * every]
    splits, labels = one["split"] != other["split"], one["label"] != other["label"]
    shown = pairs[np.lexsort((pairs["one"], pairs["bits"], ~labels, ~splits))][:_LISTED]
    rows = _rows(index, {int(number) * every for name in ("one", "other") for number in shown[name]})
    pictures = {number: _with_picture(row, version) for number, row in rows.items()}
    return {
        "count": len(pairs),
        "in_several_splits": int(splits.sum()),
        "with_several_labels": int(labels.sum()),
        "every": every,
        "pairs": [(pictures[int(one) * every], pictures[int(other) * every]) for one, other, _ in shown.tolist()],
    }


def _plain(index: pq.ParquetFile, hashes: npt.NDArray[np.uint64], version: Path) -> dict[str, Any]:
    """Returns how many pictures are nearly black, white or of one colour, and the first few of them.

    Their perceptual hash tells which may be: brightness hardly ever rises on them from left to right, or hardly falls.
    """
    candidates = np.flatnonzero(plain(hashes))
    looked_at = candidates[:: -(-len(candidates) // _PLAIN_LOOKED_AT) or 1]
    found: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
    for row in _rows(index, set(looked_at.tolist())).values():
        record = _record(row, version)
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
    return {
        "counts": {kind: round(len(rows) * scale) for kind, rows in sorted(found.items())},
        "rows": [_with_picture(row, version) for row in shown[:_PLAIN_SHOWN]],
    }


def _rows(index: pq.ParquetFile, numbers: set[int]) -> dict[int, dict[str, Any]]:
    """Returns the index's rows of these numbers."""
    found: dict[int, dict[str, Any]] = {}
    start = 0
    for batch in index.iter_batches(columns=_SHOWN) if numbers else ():
        here = sorted(number for number in numbers if start <= number < start + len(batch))
        rows = batch.take(pa.array([number - start for number in here], pa.int64())).to_pylist()
        found.update(zip(here, rows, strict=True))
        start += len(batch)
    return found


def _record(row: Mapping[str, Any], version: Path) -> Record:
    return tfrecord.decode(storage.read_ranges(version / row["shard"], [(row["offset"], row["length"])])[0])


def _with_picture(row: Mapping[str, Any], version: Path) -> dict[str, Any]:
    """Returns what a page shows of one image of the index."""
    return {**row, "picture": thumbnail_of(_record(row, version).image)}


def _reasons(
    rejected: Sequence[Rejected], metadata: Mapping[str, Any], root: str | None
) -> list[tuple[str, int, list[tuple[Rejected, str]]]]:
    """Returns each reason, how many were rejected for it, and the first few with their pictures if they have one."""
    by_reason: dict[str, list[Rejected]] = collections.defaultdict(list)
    for reject in rejected:
        by_reason[str(reject.reason)].append(reject)
    how = dataclasses.replace(Normalization.recorded(metadata["normalization"]), keep_truncated=True)
    return [
        (reason, len(rejects), [(reject, _rejected_picture(reject, how, root)) for reject in rejects[:_LISTED]])
        for reason, rejects in sorted(by_reason.items())
    ]


def _rejected_picture(reject: Rejected, how: Normalization, root: str | None) -> str:
    """Returns what can be decoded of a rejected file below `root`, as far as its normalization gets; else nothing."""
    if root is None or storage.is_bucket(root) or reject.is_row or reject.reason in _UNSEEN:
        return ""
    path = Path(root, reject.file)
    try:
        inside = path.resolve(strict=True).is_relative_to(Path(root).resolve())
        if inside and path.is_file() and path.stat().st_size <= _REJECT_BYTES:
            return thumbnail_of(normalize(path.read_bytes(), how).data)
    except (OSError, ValueError, UnreadableError):
        pass
    return ""


def _remarks_on_labels(labels: Sequence[str], counts: Sequence[int], metadata: Mapping[str, Any]) -> list[str]:
    """Returns, in words, what a person should look at among the labels."""
    totals = dict(zip(labels, counts, strict=True))
    common = [label for label, count in totals.items() if count >= _FEW][:_COMPARED]
    few = [label for label, count in totals.items() if count < _FEW]
    remarks = []
    for label in few[:_LISTED]:
        meant = difflib.get_close_matches(label, common, n=1, cutoff=0.8)
        question = f"; did you mean {meant[0]!r}?" if meant else ""
        remarks.append(f"label {label!r} has {_count(totals[label], 'image')}{question}")
    if len(few) > _LISTED:
        remarks.append(f"{len(few) - _LISTED:,} more labels have fewer than {_FEW} images")
    for split in SPLITS:
        missing = [label for label, count in metadata["splits"].get(split, {}).items() if not count]
        if missing:
            remarks.append(f"{split} has no image of {', '.join(map(repr, missing[:5]))}" + " …" * (len(missing) > 5))
    best = max(counts)
    remarks.append(f"always saying the most frequent label would be right for {best / sum(counts):.0%}")
    return remarks


def _remarks_on_copies(metadata: Mapping[str, Any], alike: Mapping[str, Any]) -> list[str]:
    """Returns, in words, which pictures are there more than once."""
    remarks = []
    duplicates = metadata["duplicates"]
    if duplicates["in_several_splits"]:
        remarks.append(f"the same picture is in several splits: {_count(duplicates['in_several_splits'], 'picture')}")
    if duplicates["with_several_labels"]:
        remarks.append(f"the same picture has several labels: {_count(duplicates['with_several_labels'], 'picture')}")
    if alike["count"]:
        sampled = f" (among every {alike['every']}th picture)" if alike["every"] > 1 else ""
        remarks.append(
            f"{_count(alike['count'], 'pair')} of look-alikes,"
            f" {alike['in_several_splits']:,} of them in two splits and"
            f" {alike['with_several_labels']:,} under two labels{sampled}"
            + ("; so many that it says little here" if alike["count"] > metadata["images"] else "")
        )
    return remarks


def _remarks_on_pictures(sizes: pa.Table, bare: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[str]:
    """Returns, in words, what the pictures are like."""
    remarks = [
        f"{_count(count, 'image')} {'is' if count == 1 else 'are'} {kind}" for kind, count in bare["counts"].items()
    ]
    size = metadata["normalization"]["size"]
    small = pc.sum(pc.less(pc.min_element_wise(sizes["width"], sizes["height"]), size)).as_py()
    if small:
        remarks.append(
            f"{_count(small, 'original')} {'is' if small == 1 else 'are'} smaller than {size} pixels, and enlarged"
        )
    if metadata["truncated"]:
        remarks.append(f"{_count(metadata['truncated'], 'image')} ended early, and what is missing is gray or black")
    if metadata["color_profiles"]["ignored"]:
        remarks.append(
            f"{_count(metadata['color_profiles']['ignored'], 'color profile')} cannot be used: colors may be off"
        )
    return remarks


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'s' * (number != 1)}"


def _read_rejected(path: Path) -> list[Rejected]:
    lines = io.StringIO(storage.read(path).decode(), newline="")
    return [Rejected(row["file"], Reason(row["reason"]), row["detail"]) for row in csv.DictReader(lines, strict=True)]
