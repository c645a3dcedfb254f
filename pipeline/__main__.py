"""The command `imageshards-records`: parses, reads SRC, and builds what has changed."""

import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imageshards.pipeline.options import Options
from imageshards.pipeline.source import UserError
from simple_parsing import ArgumentParser, DashVariant

if TYPE_CHECKING:
    from imageshards.pipeline.layouts import Reading
    from imageshards.pipeline.publish import Dataset

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 1 the job failed, 2 the user can mend it, 130 interrupted."""
    try:
        sys.exit(_run(sys.argv[1:] if arguments is None else list(arguments)))
    except UserError as error:
        print(f"imageshards-records: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        # The decoding threads cannot be interrupted, and need not be: a chunk's facts appear whole, or not at all.
        print(
            "\nimageshards-records: stopped; the same command goes on where this one was", file=sys.stderr, flush=True
        )
        os._exit(INTERRUPTED)


def parse(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """Returns the options, and the flags that are left for Beam."""
    parser = ArgumentParser(
        prog="imageshards-records",
        add_option_string_dash_variants=DashVariant.DASH,
        epilog="Apache Beam's own flags (--runner …) pass through.",
    )
    parser.add_arguments(Options, dest="options")
    known, flags = parser.parse_known_args(list(arguments))
    return known.options, flags


def _run(arguments: Sequence[str]) -> int:
    options, flags = parse(arguments)
    logging.getLogger().setLevel(logging.ERROR)  # Beam warns, on import, of what it could do with more packages
    if flags:
        from imageshards.pipeline.runner import check_flags

        check_flags(flags)

    from imageshards.pipeline import console  # after --help, which need not wait for it
    from imageshards.pipeline.layouts import read
    from imageshards.pipeline.publish import Dataset, published
    from imageshards.pipeline.request import dataset_fingerprint

    for reading in read(options):
        dataset = Dataset(Path(options.out) / reading.options.dataset_name(), options.version)
        _check_places(reading.listing.root, dataset.folder)
        console.describe(reading, dataset)
        if options.dry_run:
            console.describe_splits(reading)
            continue
        request = dataset_fingerprint(reading)
        metadata = published(dataset)
        if metadata and metadata.get("fingerprint") == request and not options.redraw_splits:
            console.say(f"{dataset.final} is up to date; nothing was touched")
        else:
            _build(reading, dataset, request, flags)
    return 0


def _build(reading: "Reading", dataset: "Dataset", request: str, flags: Sequence[str]) -> None:
    start = time.monotonic()
    from imageshards.pipeline import console
    from imageshards.pipeline.chunks import tally
    from imageshards.pipeline.job import build

    with console.progress(len(reading.sources), tally):
        metadata = build(reading, dataset, request, flags)
    console.summarize(metadata, dataset)
    console.say(f"  {time.monotonic() - start:.1f} s")


def _check_places(root: Path, folder: Path) -> None:
    if folder.resolve().is_relative_to(root):
        raise UserError(f"{folder} lies in the folder with the images, {root}; choose another folder with --out")


if __name__ == "__main__":
    main()
