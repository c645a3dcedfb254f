"""Plain lists: a path a line, a path and a label, or a number, a class and a path (MXNet's and SageMaker's .lst)."""

import dataclasses
import re
from collections.abc import Iterator

from imageshards.pipeline.sources.readers import delimited
from imageshards.pipeline.sources.table import Cells, Table, table_of

_QUOTED = re.compile(r'"([^"]+)"(\S*)\s*(.*)')


def read(text: str) -> Table:
    """Returns the table of a text file; cells may be separated by blanks where nothing else separates them."""
    if delimited.delimiter_of(text):
        return delimited.read(text)
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    widths = {len(line.split()) for _, line in lines if not line.startswith('"')}
    even = len(widths) == 1
    return table_of(_rows(lines, even))


def read_lst(text: str) -> Table:
    """Returns the table of a .lst file: number, class (one, or several), path, separated by tabs."""
    table = delimited.read(text)
    if len(table.columns) != 3:
        return table
    return dataclasses.replace(table, header=["number", "label", "path"], roles={"label": 1, "file": 2})


def _rows(lines: list[tuple[int, str]], even: bool) -> Iterator[tuple[int, Cells]]:
    for number, line in lines:
        if quoted := _QUOTED.fullmatch(line):
            yield number, [quoted[1] + quoted[2], *quoted[3].split()]
        elif even:
            yield number, line.split()
        else:
            yield number, line.rsplit(None, 1)  # a name with blanks, and a label
