"""The command `imageshards-report`: draws the report of a published version again, and says what is remarkable."""

import dataclasses
from collections.abc import Sequence

from simple_parsing import field

from imageshards.pipeline.command import new_parser, run_command, say

NAME = "imageshards-report"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Draws report.html of a published dataset again, from its index and its shards."""

    dataset: str = field(positional=True, metavar="DIR")
    """The published version, OUT/<dataset>/<version>; or OUT/<dataset>, which stands for its newest."""

    src: str = field(default="", metavar="SRC")
    """The folder that the dataset was made from: rejected images are drawn from there, and from nowhere else."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 2 a mistake."""
    run_command(NAME, _run, arguments)


def _run(arguments: Sequence[str]) -> int:
    options: ReportOptions = new_parser(NAME, ReportOptions).parse_args(list(arguments)).options
    from imageshards.pipeline import storage
    from imageshards.pipeline.report import redraw
    from imageshards.pipeline.versions import REPORT, find_versions

    version = find_versions(storage.place(options.dataset))[-1]
    for remark in redraw(version, options.src or None).remarks:
        say(f"  {remark}")
    say(str(version / REPORT))
    return 0


if __name__ == "__main__":
    main()
