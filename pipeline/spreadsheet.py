"""Tables of ours that people open in a spreadsheet: no cell is taken for a formula, for a file or a label may be one.

A path that begins like a formula is written as ./path, which still leads to the file; other text gets an apostrophe.
"""

import csv
from collections.abc import Iterable
from typing import TextIO

# By one of these a spreadsheet knows a formula; the last four as keyboards of East Asia type the first four.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def write_rows(file: TextIO, rows: Iterable[Iterable[object]]) -> None:
    """Writes rows of CSV in which text is text; numbers are to be given as numbers."""
    csv.writer(file, lineterminator="\n").writerows([as_text(cell) for cell in row] for row in rows)


def as_path(name: str) -> str:
    """Returns a path below some folder as it is written in a table."""
    return f"./{name}" if name.startswith(_FORMULA) else name


def as_text(cell: object) -> object:
    """Returns a cell as it is written in a table."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
