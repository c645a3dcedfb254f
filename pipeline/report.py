"""report.html: what a dataset looks like, in one file that needs nothing else.

Numbers come from index.parquet and metadata.json, pictures from the shards: their salted order is a random choice, and
the same one every time. However large the dataset, a bounded number of records is looked at.
"""

import base64
import collections
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
from imageshards.pipeline.index import CONTENT_DIGITS, Tallied
from imageshards.pipeline.shards import ShardFacts, read_frames

_PICTURES = 120  # in the whole report
_RECORDS = 4000  # a split, among which pictures of each label are looked for
_LISTED = 20
_THUMBNAIL = 112


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
        remarks=_remarks(labels, metadata),
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


def _remarks(labels: Sequence[str], metadata: dict[str, Any]) -> list[str]:
    """Returns, in words, what a person should look at."""
    totals = {label: sum(split[label] for split in metadata["splits"].values()) for label in labels}
    remarks = [f"label {label!r} has {count} image{'s' * (count != 1)}" for label, count in totals.items() if count < 3]
    best = max(totals.values())
    remarks.append(f"always saying the most frequent label would be right for {best / sum(totals.values()):.0%}")
    if metadata["duplicates"]["in_several_splits"]:
        remarks.append(f"{metadata['duplicates']['in_several_splits']} pictures are in several splits at once")
    if metadata["duplicates"]["with_several_labels"]:
        remarks.append(f"{metadata['duplicates']['with_several_labels']} pictures have several labels")
    return remarks
