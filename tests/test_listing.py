"""What lies below SRC: columns, folders that cannot be read, and files that change while they are looked at."""

import os
from pathlib import Path
from typing import Any

import pytest

from imageshards.pipeline import console
from imageshards.pipeline.source import File, Reason, Source
from imageshards.pipeline.sources import listing
from imageshards.pipeline.sources.files import Files, Sources
from imageshards.pipeline.sources.first_bytes import is_picture
from imageshards.pipeline.sources.listing import list_files

from .conftest import Command, draw_tree, encoded, gradient
from .scans import failing_scan


def test_columns_give_back_what_went_in_a_block_at_a_time() -> None:
    files = [File(f"{n:05d}.jpg", f"other {n}" if n % 3 else f"{n:05d}.jpg", n, -n) for n in range(20_000)]
    columns = Files.of(iter(files))
    assert list(columns) == files
    assert len(columns) == 20_000
    assert columns[19_999] == columns[-1] == files[-1]
    assert list(columns[8000:8200]) == files[8000:8200]
    with pytest.raises(IndexError):
        columns[20_000]
    assert not Files.of([])
    assert list(Files.joined([columns[5:7], Files.of([]), columns[:1]])) == [*files[5:7], files[0]]


def test_labels_splits_and_groups_keep_their_names_across_blocks() -> None:
    sources = [
        Source(f"{n:05d}", f"{n:05d}", f"label {n % 7 + n // 9000}", ("train", None)[n % 2], None, n, n)
        for n in range(18_000)
    ]
    columns = Sources.of(sources)
    assert list(columns) == sources
    assert set(columns.distinct("label")) == {source.label for source in sources}
    assert set(columns.distinct("split")) == {"train", None}
    assert list(Sources.of(reversed(sources)).in_order("key")) == sources


def test_keys_are_in_the_order_of_their_code_points(tmp_path: Path) -> None:
    names = ["b.png", "a/é.png", "a/z.png", "a-1.png", "日本.png", "😀.png", "B.png"]
    found = list_files(str(draw_tree(tmp_path, names)))
    assert [file.key for file in found.images] == sorted(names)


@pytest.mark.parametrize(
    ("key", "suffix"),
    [("a/b.JPG", ".jpg"), ("a.b/c", ""), (".hidden", ""), ("a.tar.gz", ".gz"), ("..x.y", ".y"), ("É.PNG", ".png")],
)
def test_an_extension_is_what_a_file_says_it_is(key: str, suffix: str) -> None:
    assert File(key, key, 0, 0).suffix == suffix
    assert listing._suffixes(Files.of([File(key, key, 0, 0)]).rows["key"]).to_pylist() == [suffix]


def test_a_file_that_goes_while_it_is_listed_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_tree(tmp_path, ["cat/1.png", "cat/2.png"])
    monkeypatch.setattr(os, "scandir", failing_scan("2.png", FileNotFoundError(2, "No such file or directory")))
    found = list_files(str(tmp_path))
    assert [(line.file, line.reason) for line in found.rejected] == [("cat/2.png", Reason.CHANGED)]
    assert [file.key for file in found.images] == ["cat/1.png"]


def test_a_folder_that_cannot_be_searched_stops_the_job(
    tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = draw_tree(tmp_path / "raw", ["cat/1.png", "dog/2.png"])
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing_scan("2.png", PermissionError(13, "Permission denied")))
        code, _, error = records(raw)
    assert code == 2
    assert f"{raw / 'dog'}: this folder cannot be listed: Permission denied" in error


def test_a_file_that_becomes_a_link_is_not_followed(
    tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = draw_tree(tmp_path / "raw", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(3)])
    describe = console.describe

    def swap_then_describe(*arguments: Any) -> None:
        (raw / "cat/1.png").rename(tmp_path / "elsewhere.png")
        (raw / "cat/1.png").symlink_to(tmp_path / "elsewhere.png")
        describe(*arguments)

    monkeypatch.setattr(console, "describe", swap_then_describe)
    code, said, _ = records(raw)
    assert code == 0
    assert "6 found = 5 written + 1 rejected (1 changed)" in said


def test_links_within_the_folder_are_read_by_their_real_paths(tmp_path: Path, records: Command) -> None:
    raw = draw_tree(tmp_path / "raw", ["cat/1.png", "dog/1.png"])
    (raw / "dog/2.png").symlink_to("../cat/1.png")
    (raw / "emu").symlink_to(draw_tree(tmp_path / "outside", ["birds/1.png"]) / "birds")
    found = list_files(str(raw), follow_outside=True)
    assert {file.key: file.path for file in found.images} == {
        "cat/1.png": "cat/1.png",
        "dog/1.png": "dog/1.png",
        "dog/2.png": "cat/1.png",
        "emu/1.png": "../outside/birds/1.png",
    }
    code, said, _ = records(raw, "--follow-outside")
    assert code == 0
    assert "4 found = 4 written + 0 rejected" in said


def test_pictures_without_an_extension_of_one_are_found_and_counted(tmp_path: Path, records: Command) -> None:
    names = ["1.jpg", "2.jpg_large", "3.jpg!d", "4.jpg?w=300", "5", "6.image", "7.png~orig", "8.webp", "9.JPG:large"]
    for label in ("cat", "dog"):
        for number, name in enumerate(names):
            format_ = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")[number % 6]
            path = tmp_path / "raw" / label / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(gradient(40, 30, seed=number + 100 * (label == "dog")), format_))
    (tmp_path / "raw/cat/README").write_text("BMW and other words, none of which is a picture")
    (tmp_path / "raw/cat/empty").write_bytes(b"")
    (tmp_path / "raw/cat/notes.txt").write_bytes((tmp_path / "raw/cat/1.jpg").read_bytes())
    code, said, _ = records(tmp_path / "raw")
    assert code == 0
    assert "note: 14 pictures have no extension of one, such as cat/2.jpg_large" in said
    assert "18 found = 18 written + 0 rejected" in said
    assert "ignored, not images: 2 no extension, 1 .txt" in said


@pytest.mark.parametrize(
    ("start", "is_one"),
    [
        (b"\xff\xd8\xff\xe0", True),
        (b"RIFF\0\0\0\0WEBPVP8 ", True),
        (b"RIFF\0\0\0\0WAVEfmt ", False),
        (b"\0\0\0\x1cftypavif", True),
        (b"\0\0\0\x1cftypisom", False),
        (b"BMW drivers wanted, apply here", False),
        (b"", False),
    ],
)
def test_first_bytes_tell_a_picture(start: bytes, is_one: bool) -> None:
    assert is_picture(start) is is_one
