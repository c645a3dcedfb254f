"""The checksums of a published version: metadata.json holds the sha256 of every file, and of itself.

Its own is computed with zeros in its place, so that no bit of any file can change unnoticed.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, cast

from imageshards.pipeline import storage

METADATA = "metadata.json"
_BLANK = "0" * 64


def metadata_text(described: Mapping[str, Any], checksums: Mapping[str, str]) -> str:
    """Returns the text of metadata.json: what is `described`, and the `checksums` of the other files by name."""
    metadata = {**described, "sha256": {**checksums, METADATA: _BLANK}}
    text = json.dumps(metadata, indent=2, sort_keys=True, ensure_ascii=False)
    return text.replace(_entry(_BLANK), _entry(_sha256(text)))


def read_checksums(version: Path) -> dict[str, str]:
    """Returns the checksums that a version was published with, by file name.

    Raises:
      OSError, ValueError: metadata.json cannot be read, or is not as it was written.
    """
    text = storage.read(version / METADATA).decode()
    checksums = storage.parse_json(text)["sha256"]
    if not are_checksums(checksums):
        raise ValueError("its checksums are not those of files in this folder")
    if METADATA not in checksums:  # imageshards 0.1.0 wrote it so
        return cast(dict[str, str], checksums)
    own = checksums[METADATA]
    if text.count(_entry(own)) != 1 or _sha256(text.replace(_entry(own), _entry(_BLANK))) != own:
        raise ValueError("it was changed after it was written")
    return cast(dict[str, str], checksums)


def read_described(version: Path) -> dict[str, Any]:
    """Returns what metadata.json says, and of a version by imageshards 0.1.0 what went without saying then.

    Raises:
      OSError, ValueError, LookupError, TypeError: it cannot be read.
    """
    metadata = storage.read_json(version / METADATA)
    metadata["normalization"] = {"fit": "crop", **metadata["normalization"]}
    return {"color_profiles": {"srgb": 0, "converted": 0, "ignored": 0}, **metadata}


def are_checksums(said: object) -> bool:
    """Says whether this is a checksum for each of the files of a folder, which is all that a version consists of."""
    return (
        isinstance(said, dict)
        and all(isinstance(checksum, str) for checksum in said.values())
        and all(name == PurePosixPath(name).name for name in said)
    )


def foreign_names(version: Path, published: Collection[str]) -> list[str]:
    """Returns the names of what lies in a version and was not `published` with it; hidden files do not count."""
    return [name for name in storage.names(version) if name not in (*published, METADATA) and not name.startswith(".")]


def file_checksum(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes, in hexadecimal."""
    with storage.open_read(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _entry(checksum: str) -> str:
    return f'"{METADATA}": "{checksum}"'
