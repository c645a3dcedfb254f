"""CSV and its kin: as Excel, pandas, R and people write them."""

import contextlib
import csv
import dataclasses
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from imageshards.pipeline.sources.listing import IMAGE_SUFFIXES
from imageshards.pipeline.sources.readers.entries import flat
from imageshards.pipeline.sources.table import Cells, NotReadableError, Table, table_of

_DELIMITERS = (",", "\t", ";", "|")
_SAMPLE = 60  # lines that decide the delimiter
_TITLES = 10  # lines above a table, at most
_PICTURES = tuple(IMAGE_SUFFIXES)

Row = tuple[int, Cells]  # the line, and what stands in it


def read(text: str, delimiter: str = "") -> Table:
    """Returns the table of a text whose cells are separated by a comma, a tab, a semicolon, a bar, or `delimiter`.

    A line whose quotation marks or number of cells do not fit is left out and named.

    Raises:
      NotReadableError: a quotation mark that is never closed.
    """
    said, skipped = _delimiter(text)
    damaged: list[tuple[int, str]] = []
    found = _rows(text.split("\n", skipped)[-1], delimiter or said, damaged)
    rows = ((line + skipped, cells) for line, cells in found)
    sample = list(itertools.islice(rows, _SAMPLE))
    above = _titles(sample)
    sample = _with_every_name(sample[len(above) :])
    if not sample:
        return table_of([])
    width = len(sample[0][1])
    fitting = (row for row in itertools.chain(sample, rows) if _fits(row, width, damaged))
    table = _with_objects(table_of(fitting))
    notes = [f"has a title above its first row, which is not used: {' … '.join(above)!r}"] if above else []
    return dataclasses.replace(table, damaged=sorted((line + skipped, why) for line, why in damaged), notes=notes)


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


def _rows(text: str, delimiter: str, damaged: list[tuple[int, str]]) -> Iterator[Row]:
    if not delimiter:
        yield from (
            (number, [line.strip().strip('"')]) for number, line in enumerate(io.StringIO(text), 1) if line.strip()
        )
        return
    quote = "'" if all(line.startswith("'") for line in itertools.islice(io.StringIO(text), _SAMPLE)) else '"'
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, quotechar=quote, skipinitialspace=True, strict=True)
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


def _titles(sample: list[Row]) -> list[str]:
    """Returns the remarks and titles above a table."""
    width = Counter(len(cells) for _, cells in sample).most_common(1)[0][0] if sample else 0
    above: list[str] = []
    for _, cells in sample[:_TITLES] if width > 1 else ():
        given = [cell for cell in cells if cell]
        remark = given[0].startswith("#") and len(cells) != width
        title = len(given) == 1 and cells[0] and not cells[0].lower().endswith(_PICTURES)
        if not remark and not title:
            return above
        above.append(" ".join(given))
    return []  # so many are rows


def _with_every_name(rows: list[Row]) -> list[Row]:
    """Returns rows whose first has a blank before it, if it is a cell shorter than all others: R names no row names."""
    widths = {len(cells) for _, cells in rows[1:]}
    if len(rows) < 3 or widths != {len(rows[0][1]) + 1} or not all(cells[-1] for _, cells in rows[1:]):
        return rows
    line, cells = rows[0]
    return [(line, ["", *cells]), *rows[1:]]


def _fits(row: Row, width: int, damaged: list[tuple[int, str]]) -> bool:
    line, cells = row
    extra = [cell for cell in cells[width:] if cell]
    if extra:
        damaged.append((line, f"the row has {len(cells)} cells, and the first row {width}"))
    return not extra


def _with_objects(table: Table) -> Table:
    """Returns the table with columns of JSON objects, such as {"choices": ["cat"]}, as a column for each value."""
    places = [number for number, column in enumerate(table.columns) if _may_hold_objects(column)]
    held = {number: items for number in places if (items := _objects(table.columns[number])) is not None}
    if not held:
        return table
    rows = [
        (line, [cell for number, cell in enumerate(cells) if number not in held])
        for line, *cells in zip(table.lines.to_pylist(), *(column.to_pylist() for column in table.columns), strict=True)
    ]
    for number, items in held.items():
        above = table.columns[number][0].as_py()
        names = list(dict.fromkeys(name for item in items for name in item))
        for (_, cells), item in zip(rows, [{name: f"{above}.{name}" for name in names}, *items], strict=True):
            cells += [item.get(name) for name in names]
    return table_of(rows)


def _may_hold_objects(column: Any) -> bool:
    return len(column) > 1 and (column[1].as_py() or "").startswith("{")


def _objects(column: Any) -> list[dict[str, str]] | None:
    """Returns the objects below the first cell; None where one is none."""
    try:
        items = [json.loads(text or "{}") for text in column[1:].to_pylist()]
    except (ValueError, RecursionError):
        return None
    return [dict(flat(item)) for item in items] if all(isinstance(item, dict) for item in items) else None
