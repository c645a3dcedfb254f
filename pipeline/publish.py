"""The end of the flow: from written shards to a published version that plain TFDS reads.

dataset_info.json, without which TFDS sees no dataset, is written last.
"""

import collections
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from imageshards.pipeline import storage
from imageshards.pipeline.checksums import METADATA, file_checksum, metadata_text
from imageshards.pipeline.chunks import Staging
from imageshards.pipeline.fingerprint import libraries
from imageshards.pipeline.index import Statistics
from imageshards.pipeline.publication import place_of
from imageshards.pipeline.record import SUPERVISED, features_json
from imageshards.pipeline.report import write_report
from imageshards.pipeline.shards import ShardFacts
from imageshards.pipeline.source import SPLITS, Rejected
from imageshards.pipeline.spreadsheet import as_path, write_rows
from imageshards.pipeline.versions import FEATURES, INFO, LABELS, REJECTED, Version


def publish(
    staging: Staging, written: Sequence[ShardFacts], statistics: Statistics, about: dict[str, Any]
) -> dict[str, Any]:
    """Writes the files beside the shards and index.parquet, and publishes the version.

    `about` goes into metadata.json; what that says of the dataset is returned.
    """
    version, labels = staging.version, staging.labels
    folder = version.unpublished
    _write_rejected(folder / REJECTED, statistics.rejected)
    _write(folder / LABELS, "".join(f"{label}\n" for label in labels))
    _write(
        folder / FEATURES,
        json.dumps(features_json(staging.normalization, len(labels)), indent=4, sort_keys=True),
    )
    info = json.dumps(dataset_info_json(version, written), indent=2, sort_keys=True)
    counts = statistics.counts()
    described = {
        **about,
        **counts,
        "found": counts["images"] + sum(not reject.is_row for reject in statistics.rejected),
        "rejected": _by_reason(reject for reject in statistics.rejected if not reject.is_row),
        "rejected_rows": _by_reason(reject for reject in statistics.rejected if reject.is_row),
        "libraries": libraries(),
    }
    write_report(folder, version, statistics, described, str(staging.originals.root))
    checksums = {facts.name: facts.sha256 for facts in written}
    checksums |= {name: file_checksum(folder / name) for name in storage.names(folder) if name not in checksums}
    checksums[INFO] = hashlib.sha256(info.encode()).hexdigest()
    sizes = {**storage.sizes(folder), INFO: len(info.encode())}
    _write(folder / METADATA, metadata_text({**described, "bytes": sizes}, checksums))
    _write(folder / INFO, info)
    place_of(version).publish()
    return described


def dataset_info_json(version: Version, written: Sequence[ShardFacts]) -> dict[str, Any]:
    """Returns dataset_info.json, as tfds.core.DatasetInfo would write it. An empty split is left out."""
    splits = []
    for split in SPLITS:
        shards = [facts for facts in written if facts.split == split]
        if shards:
            splits.append(
                {
                    "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                    "name": split,
                    "numBytes": str(sum(facts.message_bytes for facts in shards)),
                    "shardLengths": [str(facts.images) for facts in shards],
                }
            )
    return {
        "fileFormat": "tfrecord",
        "name": version.name,
        "splits": splits,
        "supervisedKeys": {"tuple": {"items": [{"featureKey": name} for name in SUPERVISED]}},
        "version": version.number,
    }


def _write_rejected(path: Path, rejected: Iterable[Rejected]) -> None:
    text = io.StringIO()
    lines = sorted((reject.file, reject.reason, reject.detail) for reject in rejected)
    write_rows(text, [("file", "reason", "detail"), *((as_path(file), *why) for file, *why in lines)])
    _write(path, text.getvalue())


def _by_reason(rejected: Iterable[Rejected]) -> dict[str, int]:
    return dict(collections.Counter(str(reject.reason) for reject in rejected))


def _write(path: Path, text: str) -> None:
    storage.write(path, text.encode())
