"""Where a version takes its place: on a disk or in a bucket."""

from imageshards.pipeline import storage
from imageshards.pipeline.in_bucket import InBucket
from imageshards.pipeline.on_disk import OnDisk
from imageshards.pipeline.versions import Version


def place_of(version: Version) -> OnDisk | InBucket:
    """Returns what holds, publishes and cleans up the version where it is."""
    return InBucket(version) if storage.is_bucket(version.folder) else OnDisk(version)
