"""report.html: what a dataset looks like, in one file that needs nothing else.

Numbers come from index.parquet and metadata.json, pictures from the shards: their salted order is a random choice, and
the same one every time. However large the dataset, a bounded number of records is looked at.
"""

import base64
import collections
import difflib
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from imageshards.pipeline import tfrecord
from imageshards.pipeline.facts import CONTENT_DIGITS
from imageshards.pipeline.index import Tallied
from imageshards.pipeline.lookalikes import look_alikes
from imageshards.pipeline.shards import ShardFacts, read_frames

_PICTURES = 120  # in the whole report
_RECORDS = 4000  # a split, among which pictures of each label are looked for
_LISTED = 20
_THUMBNAIL = 112
_LOOKED_AT = 1_000_000  # pictures, among which look-alikes are looked for
_COMPARED = 2000  # labels, among which the one is looked for that a rare label may mean
_FEW = 3  # images of a label, below which it is remarked upon


def write_report(
    path: Path,
    name: str,
    version: str,
    labels: Sequence[str],
    written: Sequence[ShardFacts],
    tallied: Tallied,
    metadata: dict[str, Any],
) -> None:
    """Writes the report of the dataset whose shards and index.parquet lie beside `path`."""
    folder = path.parent
    index = pq.ParquetFile(folder / "index.parquet")
    sizes = index.read(["width", "height"])
    alike = _look_alikes(index, tallied, folder)
    rejected = tallied.rejected
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    reasons = collections.Counter(str(reject.reason) for reject in rejected)
    page = environment.get_template("report.html").render(
        name=name,
        version=version,
        labels=labels,
        metadata=metadata,
        largest=max(max(counts.values()) for counts in metadata["splits"].values()),
        sheets=_contact_sheets(folder, labels, written),
        originals=_originals(sizes["width"].to_numpy(), sizes["height"].to_numpy()),
        duplicates=_duplicates(index, tallied.repeated(10 * _LISTED)),
        alike=alike,
        remarks=_remarks(labels, metadata, alike),
        reasons=[
            (reason, count, [reject for reject in rejected if reject.reason == reason][:_LISTED])
            for reason, count in sorted(reasons.items())
        ],
    )
    path.write_text(page, encoding="utf-8")


def _contact_sheets(
    folder: Path, labels: Sequence[str], written: Sequence[ShardFacts]
) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Returns split → label → (key, picture as a data: address), the first few in the records' order."""
    first = {facts.split: facts for facts in reversed(written)}
    splits = [split for split in ("train", "validation", "test") if split in first]
    share = max(1, min(8, _PICTURES // (len(splits) * len(labels))))
    sheets: dict[str, dict[str, list[tuple[str, str]]]] = {split: {} for split in splits}
    for split in splits:
        room = min(_PICTURES // len(splits), share * len(labels))
        for frame in itertools.islice(read_frames(folder / first[split].name), _RECORDS):
            record = tfrecord.decode(frame)
            pictures = sheets[split].setdefault(labels[record.label], [])
            if len(pictures) < share and room:
                pictures.append((record.key, _thumbnail(record.image)))
                room -= 1
            if not room:
                break
    return {split: dict(sorted(by_label.items())) for split, by_label in sheets.items()}


def _thumbnail(image: bytes) -> str:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(image)) as picture:
        picture.draft(None, (_THUMBNAIL, _THUMBNAIL))
        side = min(_THUMBNAIL, picture.width)
        picture.resize((side, side), Image.Resampling.BOX).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _originals(width: Any, height: Any) -> dict[str, Any]:
    """Returns sizes of the original pictures, and how much of them the centre crop cut off."""
    megapixels = width.astype(np.float64) * height / 1e6
    cut = 1 - np.minimum(width, height) / np.maximum(width, height)
    edges = (0, 0.1, 0.25, 0.4, 0.6, 1.01)
    histogram = np.histogram(cut, edges)[0].tolist()
    names = ["under 10 %", "10–25 %", "25–40 %", "40–60 %", "over 60 %"]
    return {
        "megapixels": [float(value) for value in np.percentile(megapixels, (0, 50, 100))],
        "cut": list(zip(names, histogram, strict=True)),
    }


def _duplicates(index: pq.ParquetFile, repeated: Sequence[str]) -> list[list[dict[str, str]]]:
    """Returns groups of files with the same content, those in several splits or under several labels first."""
    groups: dict[str, list[dict[str, str]]] = {content: [] for content in repeated}
    prefixes = pa.array(repeated, pa.string())
    for rows in index.iter_batches(columns=["key", "label", "split", "sha256"]) if repeated else ():
        starts = pc.utf8_slice_codeunits(rows["sha256"], 0, CONTENT_DIGITS)
        for row in rows.filter(pc.is_in(starts, prefixes)).to_pylist():
            groups[row["sha256"][:CONTENT_DIGITS]].append(row)

    def oddness(rows: list[dict[str, str]]) -> int:
        return -len({row["split"] for row in rows}) - len({row["label"] for row in rows})

    return sorted(groups.values(), key=oddness)[:_LISTED]


def _look_alikes(index: pq.ParquetFile, tallied: Tallied, folder: Path) -> dict[str, Any]:
    """Returns how many pairs look alike, and the oddest of them with their pictures: two splits before two labels."""
    seen = tallied.seen()
    every = -(-len(seen) // _LOOKED_AT)
    hashes = index.read(["phash"])["phash"].to_numpy()[::every]
    pairs = look_alikes(hashes, seen["content"][::every])
    one, other = seen[pairs["one"] * every], seen[pairs["other"] * every]
    splits, labels = one["split"] != other["split"], one["label"] != other["label"]
    shown = pairs[np.lexsort((pairs["one"], pairs["bits"], ~labels, ~splits))][:_LISTED]
    rows = _rows(index, {int(number) * every for name in ("one", "other") for number in shown[name]})
    pictures = {number: _picture(row, folder) for number, row in rows.items()}
    return {
        "count": len(pairs),
        "in_several_splits": int(splits.sum()),
        "with_several_labels": int(labels.sum()),
        "every": every,
        "pairs": [(pictures[int(one) * every], pictures[int(other) * every]) for one, other, _ in shown.tolist()],
    }


def _rows(index: pq.ParquetFile, numbers: set[int]) -> dict[int, dict[str, Any]]:
    """Returns the index's rows of these numbers."""
    found: dict[int, dict[str, Any]] = {}
    start = 0
    for batch in index.iter_batches(columns=["key", "label", "split", "shard", "offset", "length"]) if numbers else ():
        here = sorted(number for number in numbers if start <= number < start + len(batch))
        rows = batch.take(pa.array([number - start for number in here], pa.int64())).to_pylist()
        found.update(zip(here, rows, strict=True))
        start += len(batch)
    return found


def _picture(row: dict[str, Any], folder: Path) -> dict[str, str]:
    """Returns what a page shows of one image of the index."""
    with (folder / row["shard"]).open("rb") as shard:
        shard.seek(row["offset"])
        record = tfrecord.decode(shard.read(row["length"]))
    return {**row, "picture": _thumbnail(record.image)}


def _remarks(labels: Sequence[str], metadata: dict[str, Any], alike: dict[str, Any]) -> list[str]:
    """Returns, in words, what a person should look at."""
    totals = {label: sum(split[label] for split in metadata["splits"].values()) for label in labels}
    common = [label for label, count in totals.items() if count >= _FEW][:_COMPARED]
    few = [label for label, count in totals.items() if count < _FEW]
    remarks = []
    for label in few[:_LISTED]:
        meant = difflib.get_close_matches(label, common, n=1, cutoff=0.8)
        question = f"; did you mean {meant[0]!r}?" if meant else ""
        remarks.append(f"label {label!r} has {totals[label]} image{'s' * (totals[label] != 1)}{question}")
    if len(few) > _LISTED:
        remarks.append(f"{len(few) - _LISTED:,} more labels have fewer than {_FEW} images")
    best = max(totals.values())
    remarks.append(f"always saying the most frequent label would be right for {best / sum(totals.values()):.0%}")
    if metadata["duplicates"]["in_several_splits"]:
        remarks.append(f"{metadata['duplicates']['in_several_splits']} pictures are in several splits at once")
    if metadata["duplicates"]["with_several_labels"]:
        remarks.append(f"{metadata['duplicates']['with_several_labels']} pictures have several labels")
    if alike["count"]:
        sampled = f" (among every {alike['every']}th picture)" if alike["every"] > 1 else ""
        remarks.append(
            f"{alike['count']:,} pair{'s' * (alike['count'] != 1)} of look-alikes,"
            f" {alike['in_several_splits']:,} of them in two splits and"
            f" {alike['with_several_labels']:,} under two labels{sampled}"
        )
    return remarks
