"""The files below SRC, and those of them that have a label, as columns.

A million Python objects take 340 MB; in columns they take a fifth of it. A File or a Source is made while it is looked
at, and not kept: both classes are sequences of them.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Self, TypeVar, overload

import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline.source import File, Source

Item = TypeVar("Item", File, Source)

_BLOCK = 8192  # rows that become columns, or objects, at a time
_NAMES = pa.dictionary(pa.int32(), pa.large_string())


class _Columns(Sequence[Item], Generic[Item]):
    """Objects of one class as the columns of a record batch, a field a column; slices are views.

    A path that equals its key is null.
    """

    kind: type[Item]
    schema: pa.Schema

    def __init__(self, rows: pa.RecordBatch) -> None:
        self.rows = rows

    @classmethod
    def of(cls, items: Iterable[Item]) -> Self:
        """Takes objects in, a block at a time."""
        names, left = cls.schema.names, iter(items)
        blocks = []
        while block := list(itertools.islice(left, _BLOCK)):
            columns = {name: [getattr(item, name) for item in block] for name in names}
            columns["path"] = [None if item.path == item.key else item.path for item in block]
            blocks.append(pa.RecordBatch.from_pydict(columns, cls.schema))
        return cls._joined(blocks)

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Puts columns one after the other."""
        return cls._joined([part.rows for part in parts])

    @classmethod
    def _joined(cls, batches: list[pa.RecordBatch]) -> Self:
        table = pa.Table.from_batches(batches, cls.schema).combine_chunks()
        return cls(next(iter(table.to_batches()), pa.RecordBatch.from_pylist([], cls.schema)))

    def in_order(self, *columns: str) -> Self:
        """Returns the rows in ascending order of the columns; texts by their code points."""
        order = pc.sort_indices(self.rows, [(name, "ascending") for name in columns])
        return type(self)(self.rows.take(order))

    def where(self, mask: Any) -> Self:
        """Returns the rows where an array of booleans is true."""
        return type(self)(self.rows.filter(mask))

    def keys(self) -> Iterator[str]:
        """Yields the keys, in order."""
        for start in range(0, len(self), _BLOCK):
            yield from self.rows["key"].slice(start, _BLOCK).to_pylist()

    def distinct(self, column: str) -> list[Any]:
        """Returns the values of a column, each once."""
        return list(self.rows[column].unique().to_pylist())

    def without(self, column: str) -> Self:
        """Returns the rows with no value in a column."""
        place = self.schema.get_field_index(column)
        kind = self.schema.field(column).type
        return type(self)(self.rows.set_column(place, self.schema.field(column), pa.nulls(len(self), kind)))

    def renamed(self, column: str, names: Mapping[str, str]) -> Self:
        """Returns the rows with other names in a column of names, those that `names` has."""
        place, coded = self.schema.get_field_index(column), self.rows[column]
        new = pa.array([names.get(name, name) for name in coded.dictionary.to_pylist()], pa.large_string())
        kind = self.schema.field(column)
        return type(self)(self.rows.set_column(place, kind, pa.DictionaryArray.from_arrays(coded.indices, new)))

    def clear(self) -> None:
        """Lets go of all rows."""
        self.rows = pa.RecordBatch.from_pylist([], self.schema)

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def __iter__(self) -> Iterator[Item]:
        for start in range(0, len(self), _BLOCK):
            keys, paths, *rest = (column.to_pylist() for column in self.rows.slice(start, _BLOCK).columns)
            yield from map(self.kind, keys, (path or key for key, path in zip(keys, paths, strict=True)), *rest)

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> Item | Self:
        start, stop, step = (place if isinstance(place, slice) else slice(place, place + 1 or None)).indices(len(self))
        if step != 1:
            raise ValueError("a slice of columns has no step")
        part = type(self)(self.rows.slice(start, max(0, stop - start)))
        if isinstance(place, slice):
            return part
        if not part:
            raise IndexError(place)
        return next(iter(part))


class Files(_Columns[File]):
    """Files, by the fields of File."""

    kind = File
    schema = pa.schema(
        [("key", pa.large_string()), ("path", pa.large_string()), ("size", pa.int64()), ("mtime_ns", pa.int64())]
    )


class Sources(_Columns[Source]):
    """Sources, by the fields of Source."""

    kind = Source
    schema = pa.schema(
        [
            *(("key", pa.large_string()), ("path", pa.large_string())),
            *(("label", _NAMES), ("split", _NAMES), ("group", _NAMES)),
            *(("size", pa.int64()), ("mtime_ns", pa.int64())),
        ]
    )

    def counts(self) -> dict[tuple[str | None, str], int]:
        """Returns how many sources there are of each split and label."""
        names = {name: self.rows[name].cast(pa.large_string()) for name in ("split", "label")}
        groups = pa.table(names).group_by(["split", "label"]).aggregate([([], "count_all")])
        return {(row["split"], row["label"]): row["count_all"] for row in groups.to_pylist()}
