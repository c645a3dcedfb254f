"""Parquet, as Hugging Face's metadata.parquet; the pictures lie beside it, and not in it."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from imageshards.pipeline.sources.readers.entries import text_of
from imageshards.pipeline.sources.table import NotReadableError, Table


def read(content: bytes) -> Table:
    """Returns the table of a file.

    Raises:
      NotReadableError: it is damaged, or holds the pictures themselves.
    """
    try:
        table = pq.read_table(io.BytesIO(content))
        table.validate(full=True)  # its text may not be UTF-8
    except (pa.ArrowException, OSError, ValueError) as error:
        raise NotReadableError(f"it is not a Parquet file that can be read: {error}") from error
    pictures = [field.name for field in table.schema if _holds_bytes(field.type)]
    if pictures:
        raise NotReadableError(
            f"its column {pictures[0]!r} holds the pictures themselves; write them out as files first"
        )
    columns = [_text(table[name].combine_chunks()) for name in table.column_names]
    return Table(list(table.column_names), columns, pa.array(range(1, len(table) + 1), pa.int64()))


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _text(column: pa.Array) -> pa.Array:
    column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pa.array([text_of(value) for value in column.to_pylist()], pa.large_string())
