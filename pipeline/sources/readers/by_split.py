"""JSON objects whose keys are splits, each with entries of any form: {"train": [{…}, …], "val": {"cat": [files]}}."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from imageshards.pipeline.source import SPLIT_NAMES
from imageshards.pipeline.sources.table import Table

_TEXT = pa.large_string()


def read(item: Any, read_part: Callable[[Any], Table | None]) -> Table | None:
    """Returns the table of all splits, with a column that says which; None where the keys are not splits.

    `read_part` reads what stands under one split.
    """
    if not isinstance(item, dict) or len(item) < 2 or not all(name.lower() in SPLIT_NAMES for name in item):
        return None
    parts = [(split, table) for split, value in item.items() if (table := _part(value, read_part)) is not None]
    return _joined([dataclasses.replace(table, **_with_split(split, table)) for split, table in parts])


def _part(value: Any, read_part: Callable[[Any], Table | None]) -> Table | None:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return Table(["file"], [pa.array(value, _TEXT)], pa.array(range(1, len(value) + 1), pa.int64()))
    return read_part(value)


def _with_split(split: str, table: Table) -> dict[str, Any]:
    width = len(table.columns)
    said = pa.array([split] * len(table), _TEXT)
    return {
        "header": [*(table.header or map(str, range(1, width + 1))), "split"],
        "columns": [*table.columns, said],
        "roles": {**table.roles, "split": width},
    }


def _joined(parts: list[Table]) -> Table | None:
    if not parts:
        return None
    header = list(dict.fromkeys(name for part in parts for name in part.header))
    columns = [
        pa.concat_arrays(
            [part.columns[part.header.index(name)] if name in part.header else _blank(part) for part in parts]
        )
        for name in header
    ]
    roles = {role: header.index(part.header[number]) for part in parts for role, number in part.roles.items()}
    return Table(header, columns, pa.concat_arrays([part.lines for part in parts]), roles)


def _blank(part: Table) -> pa.Array:
    return pa.nulls(len(part), _TEXT)
