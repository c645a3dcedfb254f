"""The command `imageshards-train`: parses, trains, and prints how good the model is."""

import dataclasses
from collections.abc import Sequence

from imageshards.pipeline.command import new_parser, run_command
from imageshards.pipeline.entry import INTERRUPTED
from imageshards.train.options import Options
from imageshards.train.quiet import import_tensorflow

NAME = "imageshards-train"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 1 it failed, 2 the user can mend it, 130 interrupted."""
    run_command(NAME, _run, arguments)


def _run(arguments: Sequence[str]) -> int:
    options: Options = new_parser(NAME, Options).parse_args(list(arguments)).options
    import_tensorflow()  # after --help, which need not wait for it
    from imageshards.train.api import train
    from imageshards.train.console import print_run, shown_progress

    with shown_progress() as progress:
        run = train(**dataclasses.asdict(options), progress=progress)
    print_run(run)
    return INTERRUPTED if run.metrics["interrupted"] else 0


if __name__ == "__main__":
    main()
