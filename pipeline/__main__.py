"""The command `imageshards-records`: parses, reads SRC, and builds what has changed."""

import contextlib
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imageshards.pipeline import host
from imageshards.pipeline.command import (
    FAILED,
    complain,
    new_parser,
    run_command,
    say,
)
from imageshards.pipeline.entry import INTERRUPTED, stopped_at_once
from imageshards.pipeline.errors import JobError
from imageshards.pipeline.options import Options
from imageshards.pipeline.progress import Progress

if TYPE_CHECKING:
    from imageshards.pipeline.api import Job

NAME = "imageshards-records"
_GOES_ON = "  what is done is kept: the same command continues from here"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 1 the job failed, 2 the user can mend it, 130 interrupted."""
    run_command(NAME, _run, arguments)


def parse(arguments: Sequence[str]) -> tuple[Options, list[str]]:
    """Returns the options, and the flags that are left for Beam."""
    parser = new_parser(NAME, Options, epilog="Apache Beam's own flags (--runner …) pass through.")
    known, flags = parser.parse_known_args(list(arguments))
    if flags:
        from imageshards.pipeline.runner import unknown_flags

        unknown, may_be_known = unknown_flags(flags)
        for flag in unknown:
            if not may_be_known or parser.meant(flag):
                parser.refuse(flag, "neither this command nor Beam has such an option")
    return known.options, flags


def _run(arguments: Sequence[str]) -> int:
    host.silence_beam()
    host.collect_rarely()
    options, flags = parse(arguments)
    with contextlib.nullcontext() if flags else host.unused_left_out():
        return _build(options, flags)


def _build(options: Options, flags: Sequence[str]) -> int:
    with stopped_at_once():  # after --help, which need not wait for them
        from imageshards.pipeline import console
        from imageshards.pipeline.api import plan_jobs

    for job in plan_jobs(options):
        console.describe(job.dataset, job.version)
        if options.dry_run:
            console.describe_splits(job.dataset, job.version)
        else:
            _make(job, flags)
    return 0


def _make(job: "Job", flags: Sequence[str]) -> None:
    from imageshards.pipeline import console
    from imageshards.pipeline.api import run_job

    if flags:
        from imageshards.pipeline.runner import new_pipeline, runs_here

    start = time.monotonic()
    host.return_large_blocks()
    progress = Progress()
    bar = contextlib.nullcontext() if flags else console.progress(len(job.dataset.sources), progress)
    here = not flags or runs_here(flags)
    with stopped_at_once(_say_stopped) if here else host.interrupted_by_signals(), bar:
        try:
            records = run_job(job, (lambda: new_pipeline(flags)) if flags else None, progress)
        except JobError as error:
            complain(NAME, f"the job failed: {error}\n{_GOES_ON}")
            sys.exit(FAILED)
        except KeyboardInterrupt:
            _say_stopped()
            sys.exit(INTERRUPTED)
    if records.up_to_date:
        say(f"{records.path} is up to date; nothing was touched")
    else:
        console.summarize(records.metadata, job.version)
        say(f"  {time.monotonic() - start:.1f} s")


def _say_stopped() -> None:
    complain(NAME, f"stopped\n{_GOES_ON}")


if __name__ == "__main__":
    main()
