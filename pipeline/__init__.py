"""From labelled images to sharded TFRecords. The data flows one way, one file per step:

    listing, layouts   SRC          → Source(key, path, label, split?, group?)
    images             bytes        → normalized bytes                       (pure)
    chunks             [Source]     → one staged file of records, and a row of facts an image or its reject
    plan               facts        → (split, shard) an image
    shards             (split, shard) → one TFRecord file, records copied out of the staged files
    publish            shards       → index, report, metadata with checksums, dataset_info.json last; one rename

`job` strings them together as one Apache Beam pipeline; `runner` says where it runs. `verify` reads again what is
published.
"""

from typing import TYPE_CHECKING, Any

from imageshards.pipeline.errors import JobError, UserError

if TYPE_CHECKING:
    from imageshards.pipeline.api import Records, make_records

__all__ = ["JobError", "Records", "UserError", "make_records"]


def __getattr__(name: str) -> Any:
    """Imports the door when it is first asked for: workers and other commands do without."""
    if name in ("Records", "make_records"):
        from imageshards.pipeline import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
