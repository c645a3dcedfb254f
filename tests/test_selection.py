"""--exclude and --include: what a glob names, and that what is left out is counted and said."""

import os
from pathlib import Path

import pytest

from imageshards.pipeline.source import File, UserError
from imageshards.pipeline.sources.files import Files
from imageshards.pipeline.sources.selection import Selection

from .conftest import Command, draw_tree
from .scans import failing_scan

KEYS = [
    *("a.gif", "b.jpg", "old/a.gif", "old/b.jpg", "train/dog/1.jpg", "train/dog/old/2.jpg", "train/older/3.jpg"),
    *("x[1].jpg", "x1.jpg", "é/1.jpg", "sp ace/1.jpg", "v1.0/1.jpg", "v1x0/1.jpg", "-a+b(c)/1.jpg"),
]


@pytest.mark.parametrize(
    ("glob", "fits"),
    [
        ("*.gif", ["a.gif", "old/a.gif"]),
        ("/*.gif", ["a.gif"]),
        ("a.gif", ["a.gif", "old/a.gif"]),
        ("old", ["old/a.gif", "old/b.jpg", "train/dog/old/2.jpg"]),
        ("old/", ["old/a.gif", "old/b.jpg", "train/dog/old/2.jpg"]),
        ("/old", ["old/a.gif", "old/b.jpg"]),
        ("./old/*.jpg", ["old/b.jpg"]),
        ("old*", ["old/a.gif", "old/b.jpg", "train/dog/old/2.jpg", "train/older/3.jpg"]),
        ("train/*/1.jpg", ["train/dog/1.jpg"]),
        ("train/*/*", ["train/dog/1.jpg", "train/dog/old/2.jpg", "train/older/3.jpg"]),
        ("train/*.jpg", []),
        ("train/**/*.jpg", ["train/dog/1.jpg", "train/dog/old/2.jpg", "train/older/3.jpg"]),
        ("**/2.jpg", ["train/dog/old/2.jpg"]),
        ("?.jpg", [key for key in KEYS if key.rpartition("/")[2] in ("b.jpg", "1.jpg", "2.jpg", "3.jpg")]),
        ("x[0-9].jpg", ["x1.jpg"]),
        ("x[!0-9].jpg", []),
        ("x[[]1].jpg", ["x[1].jpg"]),
        ("OLD", []),
        ("e\u0301", ["é/1.jpg"]),
        ("sp ace", ["sp ace/1.jpg"]),
        ("v1.0", ["v1.0/1.jpg"]),
        ("-a+b(c)", ["-a+b(c)/1.jpg"]),
        ("dog/1.jpg", []),
    ],
)
def test_a_glob_names_files_and_folders(glob: str, fits: list[str]) -> None:
    files = Files.of(File(key, key, 1, 1) for key in KEYS)
    selection = Selection([glob])
    left, notes = selection.leave_out(files)
    assert [key for key in KEYS if key not in {file.key for file in left}] == fits
    assert [key for key in KEYS if selection.excludes(key)] == fits
    assert f" leaves out {len(fits)} file{'s' * (len(fits) != 1)}" in notes[0]


@pytest.mark.parametrize("glob", ["", "/", ".", "./", " ", "[z-a]"])
def test_a_glob_that_names_nothing_is_a_mistake(glob: str) -> None:
    with pytest.raises(UserError, match="--include.*give a glob"):
        Selection(include=[glob])


def test_what_is_left_out_is_counted_and_said(tmp_path: Path, records: Command) -> None:
    names = ["cat/1.png", "cat/2.png", "cat/thumbs/1.png", "dog/1.png", "dog/2.png", "dog/thumbs/1.png", "odd/1.png"]
    raw = draw_tree(tmp_path / "raw", names)
    (raw / "labels.csv").write_text("file,label\ncat/1.png,wrong\ndog/1.png,too\n")
    (raw / "cat/link.png").symlink_to("nowhere")
    globs = ["thumbs", "/odd", "labels.csv", "link.*", "nothing"]
    code, said, error = records(raw, "--dry-run", *(word for glob in globs for word in ("--exclude", glob)))
    assert code == 0, error
    assert "4 images, 2 labels" in said
    assert "note: --exclude 'thumbs' leaves out 2 files, such as cat/thumbs/1.png" in said
    assert "note: --exclude 'labels.csv' leaves out 1 file, such as labels.csv" in said
    assert "note: --exclude 'nothing' leaves out 0 files" in said
    assert "dangling" not in said
    code, said, _ = records(raw, "--dry-run", "--include", "cat/?.png", "--include=dog/*.png", "--exclude", "*.csv")
    assert code == 0
    assert "4 images, 2 labels" in said
    assert "note: --include leaves out 3 pictures" in said
    code, _, error = records(raw, "--include", "bird/*")
    assert (code, "--include 'bird/*': no picture fits it" in error) == (2, True)


def test_globs_start_from_a_folder_of_datasets(tmp_path: Path, records: Command) -> None:
    names = [f"{top}/{label}/{n}.png" for top in ("pets", "tools") for label in ("a", "b") for n in range(3)]
    raw = draw_tree(tmp_path / "raw", names)
    code, said, error = records(raw, "--dry-run", "--exclude", "pets/a/2.png")
    assert code == 0, error
    assert "5 images, 2 labels" in said
    assert "6 images, 2 labels" in said


def test_a_folder_that_cannot_be_listed_is_left_out_as_the_message_says(
    tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = draw_tree(tmp_path / "raw", ["cat/1.png", "dog/2.png", "my lost+found/3.png"])
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing_scan("3.png", PermissionError(13, "Permission denied")))
        code, _, error = records(raw, "--dry-run")
        assert code == 2
        assert error.rstrip().endswith("or leave it out with --exclude 'my lost+found/'")
        code, said, _ = records(raw, "--dry-run", "--exclude", "my lost+found/")
    assert code == 0
    assert "2 images, 2 labels" in said
