"""The command `imageshards-records`: parses, reads SRC, and builds what has changed."""

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageshards.pipeline.command import (
    FAILED,
    complain,
    many_imports,
    new_parser,
    return_large_blocks,
    run_command,
    say,
)
from imageshards.pipeline.entry import INTERRUPTED
from imageshards.pipeline.errors import JobError, UserError
from imageshards.pipeline.options import Options
from imageshards.pipeline.source import PASSING

if TYPE_CHECKING:
    from imageshards.pipeline.sources.layouts import Reading
    from imageshards.pipeline.versions import Version

NAME = "imageshards-records"
_GOES_ON = "  what is done is kept: the same command goes on where this one was"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 1 the job failed, 2 the user can mend it, 130 interrupted."""
    run_command(NAME, _run, arguments)


def parse(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """Returns the options, and the flags that are left for Beam."""
    parser = new_parser(NAME, Options, epilog="Apache Beam's own flags (--runner …) pass through.")
    known, flags = parser.parse_known_args(list(arguments))
    if flags:
        from imageshards.pipeline.runner import unknown_flags

        for flag in unknown_flags(flags):
            parser.refuse(flag, "neither this command nor Beam has such an option")
    return known.options, flags


def _run(arguments: Sequence[str]) -> int:
    logging.getLogger().setLevel(logging.ERROR)  # Beam warns, on import, of what it could do with more packages
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # what it logs as an error, it raises too
    options, flags = parse(arguments)
    with many_imports():  # after --help, which need not wait for them
        from imageshards.pipeline import console, storage
        from imageshards.pipeline.fingerprint import dataset_fingerprint
        from imageshards.pipeline.sources.layouts import read
        from imageshards.pipeline.versions import Version, read_metadata, remove_leftovers

    for reading in read(options):
        version = Version(storage.place(options.out) / reading.options.dataset_name(), options.version)
        _check_places(reading.root, version.path.parent)
        console.describe(reading, version)
        if options.dry_run:
            console.describe_splits(reading)
            continue
        request = dataset_fingerprint(reading)
        metadata = read_metadata(version)
        same = metadata and metadata.get("fingerprint") == request and PASSING.isdisjoint(metadata["rejected"])
        if same and not options.redraw_splits:
            say(f"{version.path} is up to date; nothing was touched")
            if storage.exists(version.work):
                remove_leftovers(version)
        else:
            _build(reading, version, request, flags)
    return 0


def _build(reading: "Reading", version: "Version", request: str, flags: Sequence[str]) -> None:
    start = time.monotonic()
    return_large_blocks()
    with many_imports():
        from imageshards.pipeline import console
        from imageshards.pipeline.chunks import tally
        from imageshards.pipeline.job import build

    bar = contextlib.nullcontext() if flags else console.progress(len(reading.sources), tally)  # others count elsewhere
    with _stoppable(), bar:
        try:
            metadata = build(reading, version, request, lambda: _new_pipeline(flags))
        except Exception as error:
            reason = _reason(error)
            if reason is None and flags:  # not one of ours: a runner's own, which has seen a worker go
                reason = f"a worker ended, or the runner itself: {_last_line(error)}"
            if reason is None:
                raise
            complain(NAME, f"the job failed: {reason}\n{_GOES_ON}")
            sys.exit(FAILED)
    console.summarize(metadata, version)
    say(f"  {time.monotonic() - start:.1f} s")


def _new_pipeline(flags: Sequence[str]) -> Any:
    from imageshards.pipeline.runner import new_pipeline

    return new_pipeline(flags)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Lets Ctrl-C end the process at once.

    Beam would wrap a KeyboardInterrupt and wait for the threads that decode. Nothing they hold needs care: a chunk's
    facts appear whole, or not at all.
    """

    def stop(*_: object) -> None:
        complain(NAME, f"stopped\n{_GOES_ON}")
        os._exit(INTERRUPTED)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _reason(error: BaseException | None) -> str | None:
    """Returns what made a job fail, where words say it better than a traceback. Beam wraps what it passes on."""
    while error is not None:
        if isinstance(error, UserError):
            raise error
        if isinstance(error, OSError) and error.errno:
            return f"{error.strerror}" + (f": {error.filename}" if error.filename else "")
        if isinstance(error, JobError):
            return str(error)
        error = error.__context__
    return None


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:300]


def _check_places(root: Path, folder: Path) -> None:
    from imageshards.pipeline.storage import is_bucket

    if (folder if is_bucket(folder) else folder.resolve()).is_relative_to(root):
        raise UserError(f"{folder} lies in the folder with the images, {root}; choose another folder with --out")


if __name__ == "__main__":
    main()
