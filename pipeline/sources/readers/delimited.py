"""CSV and its kin: as Excel, pandas and people write them."""

import contextlib
import csv
import dataclasses
import io
import itertools
from collections import Counter
from collections.abc import Iterator

from imageshards.pipeline.sources.table import Cells, NotReadableError, Table, table_of

_DELIMITERS = (",", "\t", ";", "|")
_SAMPLE = 60  # lines that decide the delimiter


def read(text: str) -> Table:
    """Returns the table of a text whose cells are separated by a comma, a tab, a semicolon, or a bar.

    A line whose quotation marks or number of cells do not fit is left out and named.

    Raises:
      NotReadableError: a quotation mark that is never closed.
    """
    delimiter, skipped = _delimiter(text)
    damaged: list[tuple[int, str]] = []
    rows = ((line + skipped, cells) for line, cells in _rows(text.split("\n", skipped)[-1], delimiter, damaged))
    first = next(rows, None)
    if first is None:
        return table_of([])
    width = len(first[1])
    fitting = (row for row in itertools.chain([first], rows) if _fits(row, width, damaged))
    table = table_of(fitting)
    return dataclasses.replace(table, damaged=sorted((line + skipped, why) for line, why in damaged))


def delimiter_of(text: str) -> str:
    """Returns the character that separates the cells; "" where no line has a second cell."""
    return _delimiter(text)[0]


def _delimiter(text: str) -> tuple[str, int]:
    """Returns the delimiter, and how many lines only say so (Excel's `sep=;`)."""
    first = text[:8].split("\n", 1)[0]
    if first.lower().startswith("sep=") and len(first) == 5:
        return first[4], 1
    sample = list(itertools.islice(io.StringIO(text), _SAMPLE))
    best, delimiter = (0.0, 0), ""
    for candidate in _DELIMITERS:
        widths = _widths(sample, candidate)
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
        score = (count / max(1, widths.total()), width)
        if width > 1 and score > best:
            best, delimiter = score, candidate
    return delimiter, 0


def _widths(sample: list[str], delimiter: str) -> Counter[int]:
    """Returns how many rows have how many cells, up to the first one that is damaged."""
    widths: Counter[int] = Counter()
    with contextlib.suppress(csv.Error):
        widths.update(len(cells) for cells in csv.reader(sample, delimiter=delimiter, skipinitialspace=True) if cells)
    return widths


def _rows(text: str, delimiter: str, damaged: list[tuple[int, str]]) -> Iterator[tuple[int, Cells]]:
    if not delimiter:
        yield from (
            (number, [line.strip().strip('"')]) for number, line in enumerate(io.StringIO(text), 1) if line.strip()
        )
        return
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise NotReadableError(f"line {line}: a quotation mark is opened and never closed") from error
            damaged.append((line, f"the row is damaged: {error}"))
            continue
        if any(cells):
            yield line, cells


def _fits(row: tuple[int, Cells], width: int, damaged: list[tuple[int, str]]) -> bool:
    line, cells = row
    extra = [cell for cell in cells[width:] if cell]
    if extra:
        damaged.append((line, f"the row has {len(cells)} cells, and the first row {width}"))
    return not extra
