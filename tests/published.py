"""What a published version holds, as tests look at it."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def index(version: Path) -> list[dict[str, Any]]:
    return pq.read_table(version / "index.parquet").to_pylist()


def digests(version: Path, pattern: str = "*") -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(version.glob(pattern))}


def metadata(version: Path) -> dict[str, Any]:
    return json.loads((version / "metadata.json").read_text())  # type: ignore[no-any-return]


def rejected(version: Path) -> list[list[str]]:
    with (version / "rejected.csv").open(newline="") as file:
        return list(csv.reader(file))[1:]


def splits(version: Path) -> dict[str, str]:
    return {row["key"]: row["split"] for row in index(version)}
