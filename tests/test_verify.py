"""The checksums of a published version: whatever changes, in whatever file, is found and named."""

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imageshards.pipeline.checksums import file_checksum, metadata_text
from imageshards.pipeline.errors import UserError
from imageshards.pipeline.verify import check_readable, verify
from imageshards.pipeline.verify_command import main
from imageshards.pipeline.versions import find_versions

from .conftest import Command, draw_tree

FLIPS = 200


@pytest.fixture
def version(tmp_path: Path, records: Command) -> Path:
    src = draw_tree(tmp_path / "pets", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(15)])
    (src / "cat/bad.jpg").write_text("words")
    assert records(src, "--shards", "2", "--size", "32")[0] == 0
    return tmp_path / "data/pets/1.0.0"


def checksum_again(version: Path) -> None:
    """Writes checksums of the files as they are now."""
    metadata = json.loads((version / "metadata.json").read_text())
    del metadata["sha256"]
    checksums = {path.name: file_checksum(path) for path in version.iterdir() if path.name != "metadata.json"}
    (version / "metadata.json").write_text(metadata_text(metadata, checksums))


def test_a_whole_version_has_no_findings(version: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(verify(version)) == []
    with pytest.raises(SystemExit) as exited:
        main([str(version.parent)])
    assert exited.value.code == 0
    assert "30 images and 13 files are as they were published; no picture in two splits" in capsys.readouterr().out


def test_every_flipped_bit_is_found_and_its_file_named(version: Path) -> None:
    chance = random.Random(0)
    files = sorted(version.iterdir())
    assert len(files) == 13
    for flip in range(FLIPS):
        path = files[flip % len(files)]
        if not path.stat().st_size:
            continue
        data = bytearray(path.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        whole = path.read_bytes()
        path.write_bytes(data)
        findings = list(verify(version))
        path.write_bytes(whole)
        assert any(finding.startswith(path.name) for finding in findings), (path.name, findings)
    assert list(verify(version)) == []


@pytest.mark.parametrize(
    "name", ["pets-train.tfrecord-00001-of-00002", "index.parquet", "rejected.csv", "features.json"]
)
def test_missing_cut_and_foreign_files_are_named(version: Path, name: str) -> None:
    path = version / name
    path.write_bytes(path.read_bytes()[:-7])
    assert any(finding.startswith(name) for finding in verify(version))
    path.unlink()
    assert any(finding.startswith(name) for finding in verify(version))
    (version / "notes.txt").write_text("mine")
    assert "notes.txt: does not belong to the dataset; delete it" in list(verify(version))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _changed(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:2] + bytes([data[2] ^ 1]) + data[3:])


@pytest.mark.parametrize("damage", [Path.unlink, _cut, _changed])
def test_what_is_damaged_is_said_before_it_is_read_and_the_remedy_works(
    version: Path, records: Command, damage: Callable[[Path], None]
) -> None:
    for name in ("features.json", "label.labels.txt", "dataset_info.json", "index.parquet", "metadata.json"):
        whole = (version / name).read_bytes()
        damage(version / name)
        with pytest.raises(UserError, match=f"is damaged: {name}") as said:
            check_readable(find_versions(version)[-1])
        if "move" in str(said.value):
            (version / name).write_bytes(whole)
        else:
            (version / name).unlink(missing_ok=True)
            assert records(version.parents[2] / "pets", "--shards", "2", "--size", "32")[0] == 0
        check_readable(version)


def test_a_shard_of_another_length_is_said(version: Path) -> None:
    (version / "pets-train.tfrecord-00001-of-00002").unlink()
    with pytest.raises(UserError, match="pets-train.tfrecord-00001-of-00002: it is missing, or not as long as it was"):
        check_readable(version)


def test_a_dataset_of_others_is_not_held_against_checksums(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text('{"made": "by TFDS"}')
    check_readable(tmp_path)


def test_records_are_held_against_the_index_even_where_every_checksum_is_right(version: Path) -> None:
    table = pq.read_table(version / "index.parquet")
    for column, value, finding in (
        ("label", "dog", "index.parquet says otherwise of its label"),
        ("sha256", "0" * 64, "index.parquet says otherwise of its sha256"),
        ("width", 9, "index.parquet says otherwise of its width"),
    ):
        values = table[column].to_pylist()
        values[3] = value
        place = table.schema.get_field_index(column)
        changed = table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))
        pq.write_table(changed, version / "index.parquet")
        checksum_again(version)
        assert any(finding in found for found in verify(version)), column
    pq.write_table(table.slice(1), version / "index.parquet")
    checksum_again(version)
    findings = list(verify(version))
    assert any("images is 30, and index.parquet says 29" in finding for finding in findings)


def test_counts_are_held_against_the_records(version: Path) -> None:
    info = (version / "dataset_info.json").read_text()
    (version / "dataset_info.json").write_text(re.sub(r'"\d+"\n\s*\]', '"7"]', info, count=1))
    with (version / "rejected.csv").open("a") as file:
        file.write("cat/more.jpg,empty,\n")
    checksum_again(version)
    findings = "\n".join(verify(version))
    assert "dataset_info.json: the shards of" in findings
    assert "rejected.csv: 2 lines" in findings


def test_the_same_picture_in_two_given_splits_is_said(
    tmp_path: Path, records: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    src = draw_tree(tmp_path / "pets", [f"{split}/{label}/1.png" for split in ("train", "val") for label in "ab"])
    shutil.copy(src / "train/a/1.png", src / "val/a/copy.png")
    assert records(src)[0] == 0
    with pytest.raises(SystemExit) as exited:
        main([str(tmp_path / "data/pets")])
    assert exited.value.code == 0
    assert "1 of the pictures in several splits, as the source gave them" in capsys.readouterr().out


@pytest.mark.parametrize("made", [None, "empty", "file"])
def test_places_without_a_version_are_a_mistake(
    tmp_path: Path, made: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "data"
    if made == "empty":
        place.mkdir()
    elif made:
        place.write_text("x")
    with pytest.raises(SystemExit) as exited:
        main([str(place)])
    assert exited.value.code == 2
    assert "such as data/pexels/1.0.0" in capsys.readouterr().err
