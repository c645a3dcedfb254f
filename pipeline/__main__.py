"""The command `imageshards-records`: parses, reads SRC, and builds what has changed."""

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

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
from imageshards.pipeline.errors import JobError
from imageshards.pipeline.options import Options
from imageshards.pipeline.progress import Progress

if TYPE_CHECKING:
    from imageshards.pipeline.api import Job

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
        from imageshards.pipeline import console
        from imageshards.pipeline.api import plan_jobs

    for job in plan_jobs(options):
        console.describe(job.reading, job.version)
        if options.dry_run:
            console.describe_splits(job.reading)
        else:
            _make(job, flags)
    return 0


def _make(job: "Job", flags: Sequence[str]) -> None:
    from imageshards.pipeline import console
    from imageshards.pipeline.api import run_job

    if flags:
        from imageshards.pipeline.runner import new_pipeline

    start = time.monotonic()
    return_large_blocks()
    progress = Progress()
    bar = contextlib.nullcontext() if flags else console.progress(len(job.reading.sources), progress)
    with _stoppable(), bar:
        try:
            records = run_job(job, (lambda: new_pipeline(flags)) if flags else None, progress)
        except JobError as error:
            complain(NAME, f"the job failed: {error}\n{_GOES_ON}")
            sys.exit(FAILED)
    if records.up_to_date:
        say(f"{records.path} is up to date; nothing was touched")
    else:
        console.summarize(records.metadata, job.version)
        say(f"  {time.monotonic() - start:.1f} s")


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


if __name__ == "__main__":
    main()
