"""How a version in a bucket takes its place, where there are neither locks nor renames.

The job that began last owns the version, by a file that names it, and an earlier one stops before it publishes. Files
are copied within the bucket, those last without which TFDS sees no version.
"""

import contextlib
import dataclasses
from collections.abc import Iterator

from imageshards.pipeline import storage
from imageshards.pipeline.errors import JobError, UserError
from imageshards.pipeline.versions import (
    FEATURES,
    INFO,
    REMADE,
    Version,
    is_published,
    may_be_ours,
    refuse_foreign,
    this_job,
)

_MARKERS = (FEATURES, INFO)  # TFDS looks for the first, and then believes the second
_OWNER = "owner"


@dataclasses.dataclass(frozen=True)
class InBucket:
    """The place of a version in a bucket."""

    version: Version

    def check_ours(self) -> None:
        """Raises UserError where something is there that imageshards did not publish."""
        version = self.version
        if any(not may_be_ours(name, version) for name in storage.names(version.path)):
            refuse_foreign(version)

    @contextlib.contextmanager
    def work_folder(self) -> Iterator[None]:
        """Makes this job the owner of the work folder. What an earlier job staged there stays, to be used again.

        Raises:
          UserError: the version is published already.
          JobError: the block failed, and another job has begun to build the version.
        """
        version = self.version
        if is_published(version.path):
            raise UserError(
                f"{version.path} exists with other content, and a version in a bucket cannot be replaced in one step:"
                " give the next --version, or delete this one"
            )
        for name in REMADE:
            storage.remove(version.work / name)
        storage.write(version.work / _OWNER, this_job().encode())
        try:
            yield
        except Exception as error:
            if not storage.bucket_failed(error):
                self._check_owner()
            raise

    def publish(self) -> None:
        """Copies the files of `unpublished` to `path`, and removes the work folder."""
        self._check_owner()
        version = self.version
        names = storage.names(version.unpublished)
        storage.copy(version.unpublished, version.path, [name for name in names if name not in _MARKERS])
        for name in _MARKERS:
            storage.copy(version.unpublished, version.path, [name])
        storage.remove(version.work)

    def remove_leftovers(self) -> None:
        """Removes what a job left that was killed after it had published."""
        storage.remove(self.version.work)

    def _check_owner(self) -> None:
        """Raises JobError where another job has begun to build the same version, or has ended that."""
        try:
            owner = storage.read(self.version.work / _OWNER).decode(errors="replace")
        except FileNotFoundError:
            owner = "another job"
        if owner != this_job():
            raise JobError(f"{self.version.path}: {owner} builds it as well, and began later; so this job stopped")
