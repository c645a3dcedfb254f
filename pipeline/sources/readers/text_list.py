"""Plain lists: a path a line, a path and a label, or a number, a class and a path (MXNet's and SageMaker's .lst)."""

import dataclasses
import re
from collections.abc import Iterator

from imageshards.pipeline.sources.readers import delimited
from imageshards.pipeline.sources.table import Cells, NotReadableError, Table, table_of

_SAMPLE = 60  # lines that decide
_NAMES_PICTURE = re.compile(r"\.(jpe?g|png|webp|gif|bmp|tiff?)\b", re.IGNORECASE)
_BLANKS = re.compile(r"(.*\.(?:jpe?g|png|webp|gif|bmp|tiff?))\s+(\S.*)", re.IGNORECASE)
_QUOTED = re.compile(r'"([^"]+)"(\S*)\s*(.*)')


def read(text: str) -> Table:
    """Returns the table of a text file; cells may be separated by blanks where nothing else separates them."""
    if delimited.delimiter_of(text):
        return delimited.read(text)
    if all(line.endswith('"') for line in text.splitlines()[:_SAMPLE] if line.strip()):
        return delimited.read(text, " ")  # as R's write.table writes it
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    notes = []
    if len(lines) > 1 and lines[0][1].isdecimal() and len(lines[1][1].split()) > 1:
        notes.append(f"begins with the number of its rows, {lines[0][1]}")
        del lines[0]
    widths = {len(line.split()) for _, line in lines if not line.startswith('"')}
    names = _names_with_blanks(lines)
    even = len(widths) == 1 and not names
    short = len(widths) == 2 and len(lines) > 2 and {len(line.split()) for _, line in lines[1:]} == {max(widths)}
    if short and len(lines[0][1].split()) == max(widths) - 1:
        lines[0], even = (lines[0][0], f"- {lines[0][1]}"), True  # the column of the files has no name
    return dataclasses.replace(table_of(_rows(lines, even)), notes=notes)


def _names_with_blanks(lines: list[tuple[int, str]]) -> bool:
    """Says whether lines begin with a picture's name that has blanks, and not with something else before a name."""
    found = [named[1].split() for _, line in lines[:_SAMPLE] if (named := _BLANKS.fullmatch(line))]
    firsts = [parts[0] for parts in found]
    if (
        len(found) < len(lines[:_SAMPLE])
        or not all(len(parts) > 1 for parts in found)
        or any(map(str.isdecimal, firsts))
    ):
        return False
    if any(_NAMES_PICTURE.search(first) for first in firsts):
        return False
    few = 1 < len(set(firsts)) <= len(firsts) // 2  # classes, as in: cat images/1.jpg 0.5
    return not (few and all(len(parts) == 2 and "/" not in parts[0] for parts in found))


def refuse_names(text: str) -> None:
    """Refuses a text that names pictures and is not a table.

    Raises:
      NotReadableError: most lines name one.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if sum(_NAMES_PICTURE.search(line) is not None for line in lines[:_SAMPLE]) * 2 > len(lines[:_SAMPLE]):
        raise NotReadableError("it names pictures, and is not a table; write it as CSV or JSON")


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
        elif (named := _BLANKS.fullmatch(line)) is not None:
            yield number, [named[1], *named[2].split()]
        else:
            yield number, line.rsplit(None, 1)  # a name with blanks, and a label
