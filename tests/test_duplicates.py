"""Which images belong together, by an index that is written here."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imageshards.pipeline.errors import UserError
from imageshards.train.duplicates import likeness

BUSY = 0x5A5A_3C3C_0F0F_6996  # a hash as pictures have it, not that of a plain surface


def write_index(folder: Path, *rows: tuple[str, str | None, int, int]) -> None:
    names = ["key", "group", "sha256", "phash"]
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[2] = [f"{content:064x}" for content in columns[2]]
    types = [pa.string(), pa.string(), pa.string(), pa.uint64()]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    pq.write_table(pa.table(arrays, names), folder / "index.parquet")


def content(number: int) -> int:
    return number << 192  # the digits that tell contents apart come first


def test_groups_are_joined_by_the_pictures_they_share(tmp_path: Path) -> None:
    write_index(
        tmp_path,
        ("a", "house", content(1), 1),
        ("b", "house", content(2), 2),
        ("c", "garden", content(2), 2),
        ("d", "garden", content(4), 4),
        ("e", None, content(5), 5),
        ("f", None, content(6), 6),
    )
    found = likeness(tmp_path, ["f", "d", "c", "b", "a", "e"])
    assert found.groups.tolist() == [0, 1, 1, 1, 1, 5]
    assert found.same.tolist() == [[2, 3]]


def test_pictures_that_look_alike_are_found_and_not_grouped(tmp_path: Path) -> None:
    write_index(tmp_path, ("a", None, content(1), BUSY), ("b", None, content(2), BUSY ^ 1), ("c", None, content(3), 0))
    found = likeness(tmp_path, ["a", "b", "c"])
    assert found.alike.tolist() == [[0, 1]]
    assert len(set(found.groups)) == 3


def test_a_dataset_without_our_index_has_single_pictures(tmp_path: Path) -> None:
    found = likeness(tmp_path, ["a", "b"])
    assert found.groups.tolist() == [0, 1]
    assert len(found.same) == len(found.alike) == 0


def damage(index: Path) -> None:
    index.write_bytes(index.read_bytes()[:-1])


def nothing_said_of_the_look(index: Path) -> None:
    table = pq.read_table(index)
    pq.write_table(table.set_column(3, "phash", pa.nulls(len(table), pa.uint64())), index)


def other_pictures(index: Path) -> None:
    write_index(index.parent, ("b", None, content(1), 1))


def text_for_a_checksum(index: Path) -> None:
    table = pq.read_table(index)
    pq.write_table(table.set_column(2, "sha256", pa.array(["no digits"])), index)


@pytest.mark.parametrize("change", [damage, nothing_said_of_the_look, other_pictures, text_for_a_checksum])
def test_an_index_that_is_not_of_the_records_is_named(tmp_path: Path, change: Callable[[Path], None]) -> None:
    write_index(tmp_path, ("a", None, content(1), 1))
    change(tmp_path / "index.parquet")
    with pytest.raises(UserError, match=r"index.parquet: not the index of these records \("):
        likeness(tmp_path, ["a"])
