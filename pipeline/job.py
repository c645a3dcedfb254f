"""The records job: what was read of SRC becomes a published version of a dataset."""

import collections
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from imageshards.pipeline import plan, shards, storage
from imageshards.pipeline.awaited import awaited
from imageshards.pipeline.checksums import METADATA
from imageshards.pipeline.chunks import Staging
from imageshards.pipeline.errors import LostError, UserError
from imageshards.pipeline.facts import INDEX, cut, fingerprint, read_chunks, write_chunks, write_sources
from imageshards.pipeline.fingerprint import chunk_salt, normalization
from imageshards.pipeline.index import Statistics, read_index, write_index
from imageshards.pipeline.options import Options
from imageshards.pipeline.originals import Originals
from imageshards.pipeline.progress import Progress
from imageshards.pipeline.publication import place_of
from imageshards.pipeline.publish import publish
from imageshards.pipeline.replacement import check_replaceable
from imageshards.pipeline.sources.dataset import SourceDataset
from imageshards.pipeline.versions import INDEX_FILE, Version, previous_version

if TYPE_CHECKING:
    import apache_beam as beam


def build(
    dataset: SourceDataset,
    version: Version,
    dataset_fingerprint: str,
    new_pipeline: "Callable[[], beam.Pipeline]",
    progress: Progress,
) -> dict[str, Any]:
    """Publishes the dataset and returns what its metadata.json says of it.

    `new_pipeline` returns an empty pipeline, which says where it runs.

    Raises:
      UserError: not one image could be read, or another job builds this version.
    """
    options = dataset.options
    check_replaceable(version, dataset)
    with place_of(version).work_folder():
        version = version.absolute()  # workers may start in another folder
        staging = Staging(
            originals=Originals(dataset.root),
            version=version,
            previous=previous_version(version),
            normalization=options.normalization(),
            labels=tuple(dataset.labels),
            workers=options.worker_count(),
            progress=progress,
        )
        previous = _previous(staging.previous, options)
        rules, found = _rules(dataset), dataset.found
        write_chunks(staging.chunks, _write_sources(dataset, staging, previous))
        dataset.sources.clear()  # from here on they are on the disk, and a million take 300 MB
        del previous
        with awaited(version.work, staging.job):
            _run(new_pipeline, staging, rules, None if options.redraw_splits else staging.previous)
        gc.collect()  # what Beam leaves lying in circles
        written = list(shards.load(version.work))
        statistics = write_index(version.unpublished / INDEX_FILE, staging, read_chunks(staging.chunks))
        statistics.rejected += dataset.rejected
        try:
            _check(found, statistics, dataset.options)
        except UserError:
            storage.remove(version.work)
            raise
        return publish(staging, written, statistics, {"fingerprint": dataset_fingerprint, **_about(dataset)})


def _about(dataset: SourceDataset) -> dict[str, Any]:
    """Returns what metadata.json says of how the dataset was made."""
    options = dataset.options
    return {
        "command": options.command(),
        "ignored": dataset.ignored,
        "layout": dataset.layout,
        "normalization": normalization(options),
        "parameters": options.parameters(),
    }


def _run(
    new_pipeline: "Callable[[], beam.Pipeline]", staging: Staging, rules: plan.Rules, splits_of: Path | None
) -> None:
    """Stages the images, draws the splits, writes the shards and the index's pieces: the part that runs on workers.

    What travels to them does not grow with the dataset: they read the tables.
    """
    # Only now: Beam's objects would lie among those of a million sources, and keep their memory.
    from imageshards.pipeline.runner import without_notebook_labels
    from imageshards.pipeline.transforms import DrawSplits, StageChunks, WriteIndex, WriteShards

    with without_notebook_labels(), new_pipeline() as pipeline:
        _ = (
            pipeline
            | "Stage" >> StageChunks(staging, rules)  # ROWS
            | "Splits" >> DrawSplits(rules, splits_of)  # ROWS
            | "Shards" >> WriteShards(staging, rules.shards)  # (piece of the index, Placed)
            | "Index" >> WriteIndex(staging)
        )


def _previous(version: Path | None, options: Options) -> pa.Table | None:
    """Returns the index of the previous version: without shards where the records would differ now."""
    if version is None:
        return None
    try:
        same = storage.read_json(version / METADATA)["normalization"] == normalization(options)
        rows = read_index(version)  # last: Arrow's threads would end a process that stops at once
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
        if storage.is_fault(error):
            raise
        if options.redraw_splits:
            return None
        raise UserError(
            f"{version}: cannot be read, so its splits cannot be kept: {error};"
            " mend or delete it, or draw new splits with --redraw-splits"
        ) from error
    if not same:
        rows = _without(rows, "shard")
    return _without(rows, "split") if options.redraw_splits else rows


def _without(rows: pa.Table, column: str) -> pa.Table:
    place = rows.schema.get_field_index(column)
    return rows.set_column(place, INDEX.field(column), pa.nulls(len(rows), INDEX.field(column).type))


def _write_sources(dataset: SourceDataset, staging: Staging, previous: pa.Table | None) -> str:
    """Writes sources.arrow and returns the names of its chunks.

    They are one text: every small object that is made among a million sources, and stays, holds a megabyte of theirs.
    """
    pieces = list(cut(dataset.sources))
    write_sources(staging.sources, pieces, previous)
    salt = chunk_salt(dataset)
    return " ".join([fingerprint(piece, *salt)[:32] for piece in pieces])


def _rules(dataset: SourceDataset) -> plan.Rules:
    options = dataset.options
    carve = options.carve()
    numbers = {label: number for number, label in enumerate(dataset.labels)}
    images: collections.Counter[tuple[int, int]] = collections.Counter()
    for (split, label), count in dataset.sources.counts().items():
        images[plan.CARVED if split else plan.DRAWN, numbers[label]] += count
    return plan.Rules(
        shares={plan.DRAWN: options.shares(), plan.CARVED: options.carved_shares()},
        carve_from=carve[0] if carve else None,
        ranges=-(-len(dataset.sources) // plan.EXACT_LABEL),
        large=frozenset(stratum for stratum, count in images.items() if count > plan.EXACT_LABEL),
        linked=options.group_near_duplicates or any(dataset.sources.distinct("group")),
        alike=options.group_near_duplicates,
        shards=options.shards,
    )


def _check(found: int, statistics: Statistics, options: Options) -> None:
    """Refuses to publish what does not add up, is empty, or, with --strict, left anything out."""
    rejected = statistics.rejected
    unwanted = [reject for reject in rejected if not reject.is_asked_for]
    lost = found - statistics.images - sum(not reject.is_row for reject in rejected)
    if lost:
        raise LostError(f"{found} files were found, and {lost} of them are neither written nor rejected")
    if not statistics.images or (options.strict and unwanted):
        count = f"{len(unwanted)} {'is' if len(unwanted) == 1 else 'are'}"
        why = f"no image can be used; {count} rejected"
        if statistics.images:
            why = f"--strict allows nothing to be rejected, and {count}"
        lines = "".join(f"\n  {reject.file}: {reject.reason}: {reject.detail}" for reject in unwanted[:10])
        raise UserError(f"{options.src}: {why}; nothing was published:{lines}")
