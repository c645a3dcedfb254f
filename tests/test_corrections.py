"""corrections.csv: what a person has put right overrules every layout, and is counted and said."""

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from imageshards.pipeline.options import Options
from imageshards.pipeline.source import UserError
from imageshards.pipeline.sources.dataset import SourceDataset
from imageshards.pipeline.sources.layouts import read

from .conftest import Command, draw_tree, save
from .understood import labels_by_key, rejects, understood

NAMES = [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(4)]


def corrected(raw: Path, text: str) -> SourceDataset:
    (raw / "corrections.csv").write_text(text, encoding="utf-8")
    return understood(raw)


@pytest.mark.parametrize(
    "text",
    [
        "file,label\ncat/1.png,dog\ncat/2.png,\ndog/0.png,dog\n",
        "\ufeffFile;Label;was\r\ncat/1.png; dog ;cat\r\ncat/2.png;;cat\r\ndog/0.png;dog;dog\r\n",
        "label\tfile\ndog\t./cat/1.png\n\tcat\\2.png\n\n\t\ndog\tdog//0.png\n",
        'number,file,label\n1,"cat/1.png","dog"\n2,cat/2.png,"  "\n3,dog/0.png,dog\n',
    ],
)
def test_a_table_changes_labels_and_leaves_images_out(tmp_path: Path, text: str) -> None:
    reading = corrected(draw_tree(tmp_path, NAMES), text)
    before = {name: name[:3] for name in NAMES}
    del before["cat/2.png"]
    assert labels_by_key(reading) == before | {"cat/1.png": "dog"}
    assert rejects(reading) == {"cat/2.png": "left-out"}
    assert reading.notes == ["corrections.csv: 1 label changed, 1 picture left out, 1 as before"]
    assert reading.found == 8
    assert not reading.ignored


def test_every_layout_is_overruled_and_what_had_no_label_gets_one(tmp_path: Path) -> None:
    raw = draw_tree(tmp_path / "a", ["cat-1.png", "cat-2.png", "dog-1.png", "1234.png"])
    reading = corrected(raw, "file,label\ncat-1.png,dog\n1234.png,cat\n")
    assert labels_by_key(reading) == {"cat-1.png": "dog", "cat-2.png": "cat", "dog-1.png": "dog", "1234.png": "cat"}
    assert not reading.rejected

    raw = draw_tree(tmp_path / "b", ["x/1.png", "x/2.png", "x/3.png", "x/4.png"])
    (raw / "labels.csv").write_text("file,label\nx/1.png,cat\nx/2.png,dog\nx/3.png,\n")
    reading = corrected(raw, "file,label\nx/1.png,dog\nx/3.png,cat\nx/4.png,dog\n")
    assert labels_by_key(reading) == {"x/1.png": "dog", "x/2.png": "dog", "x/3.png": "cat", "x/4.png": "dog"}
    assert not reading.rejected


def test_splits_and_groups_stay_as_they_were(tmp_path: Path) -> None:
    names = [f"{split}/{label}/{n}.png" for split in ("train", "test") for label in ("cat", "dog") for n in range(3)]
    raw = draw_tree(tmp_path, names)
    reading = corrected(raw, "file,label\ntest/cat/1.png,dog\n")
    assert {source.key: source.split for source in reading.sources} == {name: name.partition("/")[0] for name in names}


def test_rows_that_name_no_picture_and_repeated_ones_are_lines(tmp_path: Path) -> None:
    raw = draw_tree(tmp_path, NAMES)
    (raw / "notes.txt").write_text("words")
    text = "file,label\nbird/1.png,dog\nnotes.txt,dog\ncat/1.png,dog\ncat/1.png,dog\n../cat/1.png,dog\n,dog\n"
    reading = corrected(raw, text)
    assert rejects(reading) == {
        "corrections.csv:2": "row-no-file",
        "corrections.csv:3": "row-no-file",
        "corrections.csv:5": "row-duplicate",
        "corrections.csv:6": "row-no-file",
        "corrections.csv:7": "row-no-file",
    }
    assert reading.notes[0] == "corrections.csv: 1 label changed, 0 pictures left out, 0 as before"
    assert reading.found == 8


def test_a_label_that_no_other_picture_has_is_named(tmp_path: Path) -> None:
    reading = corrected(draw_tree(tmp_path, NAMES), "file,label\ncat/1.png,dgo\n")
    assert "corrections.csv: no other picture has the label 'dgo'" in reading.notes


def test_labels_are_checked_as_others_are(tmp_path: Path) -> None:
    raw = draw_tree(tmp_path / "raw", NAMES)
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    (raw / "corrections.csv").write_text('file,label\ncat/1.png,bird\ncat/2.png,"a\x07b"\n')
    reading = understood(raw, labels=str(tmp_path / "labels.txt"))
    assert rejects(reading) == {"cat/1.png": "unknown-label", "cat/2.png": "bad-label"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "its first line is 'empty'; it has to name the columns file and label"),
        (b"cat/1.png,dog\n", "its first line is 'cat/1.png,dog'; it has to name the columns file and label"),
        (b"file,label\ncat/1.png,dog\ncat/1.png,cat\n", "line 2 says 'dog' of cat/1.png, line 3 says 'cat'; keep one"),
        (b"file,label\ncat/1.png\n", "line 2 has too few cells"),
        (b"file,label\ncat/\xe9.png,dog\n", "not UTF-8; save it as CSV with UTF-8"),
        (b'file,label\n"cat/1.png,dog\n', "line 2: unexpected end of data"),
    ],
)
def test_a_table_that_cannot_be_understood_stops_the_job(tmp_path: Path, text: bytes, words: str) -> None:
    raw = draw_tree(tmp_path, NAMES)
    (raw / "corrections.csv").write_bytes(text)
    with pytest.raises(UserError) as error:
        understood(raw)
    assert str(error.value) == f"corrections.csv: {words}" or str(error.value).startswith(f"corrections.csv: {words}")


def test_a_table_elsewhere_and_one_of_another_name(tmp_path: Path) -> None:
    raw = draw_tree(tmp_path / "raw", NAMES)
    (tmp_path / "mine.csv").write_text("file,label\ncat/1.png,dog\n")
    assert labels_by_key(understood(raw, corrections=str(tmp_path / "mine.csv")))["cat/1.png"] == "dog"
    (raw / "fixed.csv").write_text("file,label\ncat/1.png,dog\n")
    assert labels_by_key(understood(raw, corrections="fixed.csv"))["cat/1.png"] == "dog"
    with pytest.raises(UserError, match=r"--corrections none.csv: no such file, neither here nor in"):
        understood(raw, corrections="none.csv")


def test_a_folder_of_datasets_has_a_table_in_each(tmp_path: Path) -> None:
    raw = draw_tree(tmp_path, [f"{top}/{name}" for top in ("pets", "more") for name in NAMES])
    (raw / "pets/corrections.csv").write_text("file,label\ncat/1.png,dog\n")
    assert [len(reading.notes) for reading in read(Options(src=str(raw)))] == [0, 1]
    (raw / "corrections.csv").write_text("file,label\npets/cat/1.png,dog\n")
    with pytest.raises(UserError, match="SRC holds 2 datasets.*put a corrections.csv into the folder of each"):
        read(Options(src=str(raw)))


def test_a_build_says_what_was_left_out_and_strict_allows_it(tmp_path: Path, records: Command) -> None:
    raw = draw_tree(tmp_path / "raw", NAMES)
    (raw / "corrections.csv").write_text("file,label\ncat/1.png,\n")
    code, said, error = records(raw, "--strict")
    assert code == 0, error
    assert "8 found = 7 written + 1 rejected (1 left-out)" in said
    (version,) = (tmp_path / "data").glob("*/*/rejected.csv")
    assert list(csv.reader(version.open())) == [
        ["file", "reason", "detail"],
        ["cat/1.png", "left-out", "corrections.csv:2 has no label for it"],
    ]


@pytest.mark.slow
def test_wrong_labels_are_corrected_rebuilt_and_trained_on(tmp_path: Path, records: Command) -> None:
    pytest.importorskip("tensorflow")
    from imageshards.train.__main__ import main as train

    raw, chance = tmp_path / "raw", np.random.default_rng(5)
    wrong = {}
    for n in range(40):
        label, told = ("red", "blue")[n % 2], ("red", "blue")[(n % 2) ^ (n < 10)]
        colour = np.array([(220, 30, 30), (30, 30, 220)][n % 2]) + chance.integers(-20, 20, 3)
        name = f"{told}/{n:02d}.png"
        save(Image.new("RGB", (40, 30), tuple(int(c) for c in colour)), raw / name)
        wrong |= {name: label} if told != label else {}
    assert records(raw, "--size", "32")[0] == 0
    with (raw / "corrections.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label"), *wrong.items()])
    code, said, error = records(raw, "--size", "32")
    assert code == 0, error
    assert "note: corrections.csv: 10 labels changed, 0 pictures left out, 0 as before" in said
    rows = pq.read_table(tmp_path / "data/raw/1.0.0/index.parquet").to_pylist()
    assert {row["key"]: row["label"] for row in rows if row["key"] in wrong} == wrong
    place = ["--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]
    with pytest.raises(SystemExit) as exited:
        train(["raw", *place, "--model", "cnn", "--epochs", "2"])
    assert exited.value.code in (0, None)
    (predictions,) = (tmp_path / "runs").glob("*/predictions.csv")
    learned = {row["key"]: row["label"] for row in csv.DictReader(predictions.open())}
    assert wrong.items() <= learned.items()
