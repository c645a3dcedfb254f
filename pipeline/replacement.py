"""What a job may replace: a version of ours that it continues. Anything else that is there is not ours to delete."""

import dataclasses
import hashlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline import storage, versions
from imageshards.pipeline.errors import UserError
from imageshards.pipeline.images import UnreadableError
from imageshards.pipeline.index import read_index
from imageshards.pipeline.originals import Originals
from imageshards.pipeline.publication import place_of
from imageshards.pipeline.sources.dataset import SourceDataset
from imageshards.pipeline.versions import Version

# What all images of a dataset have in common; --keep-truncated and --max-pixels decide which are in it.
_FORM = ("size", "color", "encoding", "quality", "fit", "pad_color")


def check_replaceable(version: Version, dataset: SourceDataset) -> None:
    """Lets a job pass that makes a new version, or continues the one that is there.

    It continues a version that has the same kind of images and more than half of whose images it holds too, by their
    keys or their content. A newer library, other corrections and exclusions do not count.

    Raises:
      UserError: what is there is not ours, or this job would make another dataset of it.
    """
    place_of(version).check_ours()
    if dataset.options.replace or not versions.is_ours(version.path):
        return
    metadata = versions.read_metadata(version) or {}
    form = metadata.get("normalization", {})
    wanted = dataclasses.asdict(dataset.options.normalization())
    for name in _FORM:
        here, there = wanted[name], form.get(name, wanted[name])
        if there != here:
            option = f"--{name.replace('_', '-')}"
            raise UserError(
                f"{version.path} was made with {option} {there}, and now it is {here}; {_ways_out(version)}"
            )
    try:
        index = read_index(version.path)
    except (OSError, ValueError, pa.ArrowException) as error:
        if storage.is_fault(error):
            raise
        return  # damaged: it is a matter of its splits, which the job will say
    if 2 * _continued(index, dataset) <= len(index):
        example = index["key"][0].as_py()
        raise UserError(
            f"{version.path} was made of other images, such as {example}, than those in {dataset.options.src}, such as"
            f" {next(iter(dataset.sources)).key}; {_ways_out(version)}"
        )


def _ways_out(version: Version) -> str:
    following = versions.following_number(version)
    return f"to keep both give --version {following}, or another name by --dataset; --replace deletes the one there"


def _continued(index: pa.Table, dataset: SourceDataset) -> int:
    """Returns how many images of an index are in the sources, by key or by content; it may stop at more than half."""
    same_key = pc.is_in(index["key"], dataset.sources.rows["key"].cast(pa.string()))
    count = pc.sum(same_key).as_py() or 0
    moved = index.filter(pc.invert(same_key)).select(["sha256", "size"])
    wanted: dict[str, int] = {}
    for digest in moved["sha256"].to_pylist():
        wanted[digest] = wanted.get(digest, 0) + 1
    sizes = set(moved["size"].to_pylist())
    contents = _contents(dataset, sizes)
    while 2 * count <= len(index) and wanted and (digest := next(contents, None)):
        count += wanted.pop(digest, 0)
    return count


def _contents(dataset: SourceDataset, sizes: set[int]) -> Iterator[str]:
    """Yields the digests of the sources that have one of these sizes, in bytes."""
    originals = Originals(dataset.root)
    for source in dataset.sources:
        if source.size in sizes:
            try:
                yield hashlib.sha256(originals.read(source.path, source.size, source.mtime_ns)).hexdigest()
            except UnreadableError:
                continue
