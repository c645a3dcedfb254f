"""A table that says something of images, whatever kind of file it was: columns of text, a row each."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal

import pyarrow as pa

from imageshards.pipeline.source import LONE_SURROGATE

Role = Literal["file", "label", "split", "group"]

_TEXT = pa.large_string()
_BLOCK = 8192  # rows that become columns at a time: a million rows of objects would take 200 MB


class NotReadableError(Exception):
    """A file that looks like a table and cannot be used as one; the message says which line and why."""


@dataclasses.dataclass(frozen=True)
class Table:
    """What a reader makes of a file."""

    header: list[str]
    """The columns' names; empty where the file has none."""

    columns: list[pa.Array]
    """large_string; null where a row has no such value."""

    lines: pa.Array
    """int64: the line, or the number of the entry, that each row comes from."""

    roles: dict[Role, int] = dataclasses.field(default_factory=dict)
    """The columns whose meaning the format itself says."""

    damaged: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    """The lines that could not be read, and why."""

    notes: list[str] = dataclasses.field(default_factory=list)
    """What else to tell the user."""

    def __len__(self) -> int:
        return len(self.lines)

    def without_first(self) -> "Table":
        """Returns the table with its first row as the header."""
        header = [str(column[0].as_py() or "").strip() for column in self.columns]
        return dataclasses.replace(
            self, header=header, columns=[column[1:] for column in self.columns], lines=self.lines[1:]
        )

    def name(self, column: int) -> str:
        """Returns what to call a column: its name, or its number, which starts at 1."""
        return self.header[column] if column < len(self.header) and self.header[column] else str(column + 1)


Cells = Sequence[str | None]


def table_of(rows: Iterable[tuple[int, Cells]], header: Sequence[str] = ()) -> Table:
    """Returns the rows, each with its line, as columns; short rows are filled up."""
    blocks: list[list[pa.Array]] = []
    lines: list[pa.Array] = []
    block: list[tuple[int, Cells]] = []
    damaged: list[tuple[int, str]] = []
    for row in rows:
        block.append(row)
        if len(block) == _BLOCK:
            _close(block, blocks, lines, damaged)
    _close(block, blocks, lines, damaged)
    width = max([len(header), *map(len, blocks)])
    columns = [
        _joined([_column(block, number, len(at)) for block, at in zip(blocks, lines, strict=True)])
        for number in range(width)
    ]
    return Table(list(header), columns, _joined(lines, pa.int64()), damaged=damaged)


def records(rows: Iterable[tuple[int, dict[Role, str | None]]]) -> Table:
    """Returns the table of a format that says what its values mean."""
    names: tuple[Role, ...] = ("file", "label", "split", "group")
    table = table_of(((line, [row.get(name) for name in names]) for line, row in rows), names)
    kept = [number for number, column in enumerate(table.columns) if column.null_count < len(column)]
    return dataclasses.replace(
        table,
        header=[names[number] for number in kept],
        columns=[table.columns[number] for number in kept],
        roles={names[number]: place for place, number in enumerate(kept)},
    )


SEVERAL = "\x00"
"""Begins what stands for several labels of one image; no cell holds it."""


def one_of(labels: Iterable[str | None]) -> str | None:
    """Returns the one label that a format says of an image; all of them behind SEVERAL where they differ."""
    names = list(dict.fromkeys(label for label in labels if label))
    return SEVERAL + ", ".join(names) if len(names) > 1 else next(iter(names), None)


def _close(
    block: list[tuple[int, Cells]],
    blocks: list[list[pa.Array]],
    lines: list[pa.Array],
    damaged: list[tuple[int, str]],
) -> None:
    """Moves the rows of `block` to the columns; those with half a character, as JSON can have, to `damaged`."""
    try:
        columns = _as_columns(block)
    except UnicodeEncodeError:
        damaged += [
            (line, "it has half a character (a lone surrogate)") for line, cells in block if not _is_text(cells)
        ]
        block[:] = [row for row in block if _is_text(row[1])]
        columns = _as_columns(block)
    if block:
        blocks.append(columns)
        lines.append(pa.array([line for line, _ in block], pa.int64()))
    block.clear()


def _as_columns(block: list[tuple[int, Cells]]) -> list[pa.Array]:
    width = max((len(cells) for _, cells in block), default=0)
    columns = [[cells[number] if number < len(cells) else None for _, cells in block] for number in range(width)]
    return [pa.array(column, _TEXT) for column in columns]


def _is_text(cells: Cells) -> bool:
    return not any(cell and LONE_SURROGATE.search(cell) for cell in cells)


def _column(block: list[pa.Array], number: int, length: int) -> pa.Array:
    return block[number] if number < len(block) else pa.nulls(length, _TEXT)


def _joined(arrays: list[pa.Array], kind: pa.DataType = _TEXT) -> pa.Array:
    return pa.concat_arrays(arrays) if arrays else pa.array([], kind)
