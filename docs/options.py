"""Writes options.md from the dataclasses that the commands are made of: `python docs/options.py`."""

import dataclasses
import typing
from pathlib import Path

from simple_parsing.docstring import get_attribute_docstring

from imageshards.pipeline import __main__ as records_command
from imageshards.pipeline import report_command, verify_command
from imageshards.pipeline.options import Options
from imageshards.train import __main__ as train_command
from imageshards.train import app, evaluate_command, predict_command
from imageshards.train.options import Options as TrainOptions

PAGE = Path(__file__).with_name("options.md")
COMMANDS = {
    records_command.NAME: Options,
    verify_command.NAME: verify_command.VerifyOptions,
    report_command.NAME: report_command.ReportOptions,
    train_command.NAME: TrainOptions,
    evaluate_command.NAME: evaluate_command.Options,
    evaluate_command.NAME: evaluate_command.Options,
    predict_command.NAME: predict_command.Options,
    app.NAME: app.Options,
}

_HEAD = """\
# Options

Every command, and all it can be told; `--help` says the same. With make, options that `make help` lists are variables
in capitals, as in `make records SRC=photos SIZE=128`, and all others go into `ARGS`, as in
`make train DATASET=pets ARGS="--augment --seed 1"`.

Exit codes: 0 done, 1 the job failed, 2 a mistake that the message says how to mend, 130 interrupted.
"""


def page() -> str:
    """Returns the page, in Markdown."""
    return "\n".join([_HEAD, *(_section(name, options) for name, options in COMMANDS.items())])


def _section(name: str, options: type) -> str:
    lines = [f"## {name}", "", str(options.__doc__), "", "| option | default | what it does |", "|---|---|---|"]
    return "\n".join([*lines, *(_row(options, field) for field in dataclasses.fields(options))]) + "\n"


def _row(options: type, field: dataclasses.Field[typing.Any]) -> str:
    said = get_attribute_docstring(options, field.name)
    choices = "|".join(map(str, typing.get_args(field.type)))
    value = field.metadata.get("custom_args", {}).get("metavar", choices)
    name = value if field.metadata.get("positional") else f"--{field.name.replace('_', '-')} {value}".strip()
    default = field.default if field.default not in (dataclasses.MISSING, "", 0, False) else ""
    cells = f"`{name}`", f"`{default}`" if default else "", said.docstring_below
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
