"""report.html: what a dataset looks like, in one file that needs nothing else.

Numbers come from index.parquet and metadata.json, pictures from the shards: their salted order is a random choice, and
the same one every time. However large the dataset, a bounded number of records is looked at.
"""

import collections
import csv
import dataclasses
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imageshards.pipeline import checksums, storage, tfrecord
from imageshards.pipeline.errors import JobError, UserError
from imageshards.pipeline.images import Normalization, UnreadableError, normalize
from imageshards.pipeline.index import Statistics, read_statistics
from imageshards.pipeline.page import render, thumbnail_of
from imageshards.pipeline.shards import read_frames
from imageshards.pipeline.source import Reason, Rejected
from imageshards.pipeline.survey import LISTED, Row, Survey, images_by_label, record_of, survey
from imageshards.pipeline.verify import BROKEN, check_readable
from imageshards.pipeline.versions import REJECTED, REPORT, Version, published_name

_PICTURES = 120  # of contact sheets, in the whole report
_RECORDS = 4000  # a split, among which pictures of each label are looked for
_REJECT_BYTES = 1 << 26

# What lies outside SRC, changes, or is too much to decode: no picture of it is drawn.
_UNSEEN = (Reason.LINK_OUTSIDE, Reason.DANGLING_LINK, Reason.TOO_LARGE, Reason.TOO_SLOW, Reason.CHANGED, Reason.EMPTY)


def redraw(version: Path, src: str | None) -> Survey:
    """Draws the report of a published version again, from its index and its shards; returns what it shows.

    Rejected images are drawn from `src`, the folder that the dataset was made from, and from nowhere else.

    Raises:
      UserError: the version is damaged.
    """
    check_readable(version)
    try:
        digests = checksums.read_checksums(version)
        metadata = checksums.read_described(version)
        statistics = read_statistics(version)
        statistics.rejected = _read_rejected(version / REJECTED)
        published = Version(version.with_name(published_name(version)), version.name)
        seen = write_report(version, published, statistics, metadata, src)
    except (*BROKEN, tfrecord.DamagedRecordError) as error:
        raise UserError(f"{version}: cannot be read: {error}; imageshards-verify shows all that is wrong") from error
    digests[REPORT] = checksums.file_checksum(version / REPORT)
    described = {name: value for name, value in metadata.items() if name != "sha256"}
    if "bytes" in described:
        described["bytes"] |= {REPORT: storage.sizes(version)[REPORT]}
    storage.write(version / checksums.METADATA, checksums.metadata_text(described, digests).encode(), durable=True)
    return seen


def write_report(
    folder: Path, version: Version, statistics: Statistics, metadata: Mapping[str, Any], root: str | None
) -> Survey:
    """Writes report.html into `folder`, which holds the shards and index.parquet of a version, published or not.

    Returns what the report shows. Rejected images are drawn from `root`, where that is given.
    """
    seen, labels = survey(folder, statistics, metadata), statistics.labels

    def drawn(row: Row) -> Row:
        return _with_picture(row, folder)

    page = render(
        Path(__file__).with_name(REPORT),
        name=version.name,
        version=version.number,
        labels=labels,
        metadata=metadata,
        largest=max(images_by_label(labels, metadata)),
        sheets=_contact_sheets(folder, version.name, labels, list(metadata["splits"])),
        originals=seen.originals,
        duplicates=[
            dataclasses.replace(copies, rows=[drawn(copies.rows[0]), *copies.rows[1:]]) for copies in seen.duplicates
        ],
        alike=dataclasses.replace(seen.alike, pairs=[(drawn(one), drawn(other)) for one, other in seen.alike.pairs]),
        plain=dataclasses.replace(seen.plain, rows=[drawn(row) for row in seen.plain.rows]),
        remarks=seen.remarks,
        repeated=metadata["duplicates"],
        made=_made(metadata),
        reasons=_reasons(statistics.rejected, metadata, root),
    )
    storage.write(folder / REPORT, page.encode(), durable=True)
    return seen


def _made(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Returns how images became records, and with which libraries, in words."""
    normalization = metadata["normalization"]
    quality = f", quality {normalization['quality']}" if normalization["encoding"] == "jpeg" else ""
    size, fit = normalization["size"], normalization.get("fit", "crop")
    return {
        "size": f"{size} × {size} pixels, {normalization['color']}",
        "fit": fit + (f", on {normalization['pad_color']}" if fit == "pad" else ""),
        "encoding": normalization["encoding"].upper() + quality,
        "labels by": metadata["layout"],
        "fingerprint": metadata["fingerprint"],
        **dict(sorted(metadata["libraries"].items())),
    }


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


def _with_picture(row: Row, version: Path) -> Row:
    """Returns what a page shows of one image of the index."""
    return {**row, "picture": thumbnail_of(record_of(row, version).image)}


def _reasons(
    rejected: Sequence[Rejected], metadata: Mapping[str, Any], root: str | None
) -> list[tuple[str, int, list[tuple[Rejected, str]]]]:
    """Returns each reason, how many were rejected for it, and the first few with their pictures if they have one."""
    by_reason: dict[str, list[Rejected]] = collections.defaultdict(list)
    for reject in rejected:
        by_reason[str(reject.reason)].append(reject)
    normalization = dataclasses.replace(Normalization.recorded(metadata["normalization"]), keep_truncated=True)
    return [
        (
            reason,
            len(rejects),
            [(reject, _rejected_picture(reject, normalization, root)) for reject in rejects[:LISTED]],
        )
        for reason, rejects in sorted(by_reason.items())
    ]


def _rejected_picture(reject: Rejected, normalization: Normalization, root: str | None) -> str:
    """Returns what can be decoded of a rejected file below `root`, as far as its normalization gets; else nothing."""
    if root is None or reject.is_row or reject.reason in _UNSEEN:
        return ""
    try:
        data = storage.read_inside(storage.place(root), reject.file, _REJECT_BYTES)
        return thumbnail_of(normalize(data, normalization).data)
    except (OSError, ValueError, JobError, UnreadableError):
        return ""


def _read_rejected(path: Path) -> list[Rejected]:
    lines = io.StringIO(storage.read(path).decode(), newline="")
    return [Rejected(row["file"], Reason(row["reason"]), row["detail"]) for row in csv.DictReader(lines, strict=True)]
