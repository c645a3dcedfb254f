"""The command `imageshards-evaluate`: how a trained model does on another dataset, or on a labelled folder."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from simple_parsing import field

from imageshards.pipeline.command import new_parser, run_command
from imageshards.pipeline.source import UserError
from imageshards.train.quiet import import_tensorflow

NAME = "imageshards-evaluate"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Says how often a trained run is right about other labelled images."""

    run: str = field(positional=True, metavar="RUN")
    """A run's folder, such as runs/pexels-mobilenet."""

    images: str = field(positional=True, metavar="DATASET|SRC")
    """A dataset in DATA, or a folder of labelled images in any layout that imageshards-records understands."""

    data: str = field(default="data", metavar="FOLDER")
    """Where datasets are, as DATA/<dataset>/<version>."""

    out: str = field(default="", metavar="FOLDER")
    """Also write metrics.json, predictions.csv, confusion.csv and labels.csv into this folder, which must be new."""

    def __post_init__(self) -> None:
        if self.out and Path(self.out).exists():
            raise UserError(f"--out {self.out}: it is there already; name a new folder")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 1 it failed, 2 the user can mend it."""
    run_command(NAME, _run, arguments)


def _run(arguments: Sequence[str]) -> int:
    options: Options = new_parser(NAME, Options).parse_args(list(arguments)).options
    import_tensorflow()
    from imageshards.train.api import evaluate
    from imageshards.train.console import print_scores
    from imageshards.train.tables import write_evaluations

    found = evaluate(options.run, options.images, data=options.data)
    print_scores(found)
    if options.out:
        folder = Path(options.out)
        folder.mkdir(parents=True)
        text = json.dumps(found.metrics(), indent=2, sort_keys=True, allow_nan=False)
        (folder / "metrics.json").write_text(text, encoding="utf-8")
        write_evaluations(folder, found.evaluations)
    return 0


if __name__ == "__main__":
    main()
