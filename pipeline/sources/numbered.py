"""Tables that call images by number, where one table gives the numbers their files, as those of CUB-200.

images.txt: 1 001.Albatross/a.jpg     image_class_labels.txt: 1 1     train_test_split.txt: 1 0
"""

import dataclasses

import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline.sources.table import Table


def numbers_of(table: Table, file: int) -> pa.Array | None:
    """Returns the numbers that a table of two columns gives its files, which `file` holds; None where it gives none."""
    if len(table.columns) != 2 or len(table) < 2:
        return None
    numbers = table.columns[1 - file]
    every = pc.all(pc.fill_null(pc.match_substring_regex(numbers, r"^\d+$"), False)).as_py()
    return numbers if every and pc.count_distinct(numbers).as_py() == len(numbers) else None


def with_files(table: Table, numbers: pa.Array, files: pa.Array) -> Table | None:
    """Returns a table with the files of the numbers in its first column; None where these are not such numbers."""
    if len(table.columns) < 2 or not len(table):
        return None
    at = pc.index_in(table.columns[0], numbers)
    if at.null_count:
        return None
    return dataclasses.replace(table, columns=[files.take(at), *table.columns[1:]])
