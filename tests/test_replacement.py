"""What is there is replaced only where it is ours and continued, and looked at before it is called up to date."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from imageshards.pipeline import storage
from imageshards.pipeline.verify import verify

from .conftest import Command, draw_tree
from .published import digests, metadata

NAMES = [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(5)]


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return tmp_path / "data/pets/1.0.0"


def a_folder(version: Path) -> None:
    version.mkdir(parents=True)
    (version / "mine.txt").write_text("mine")


def a_file(version: Path) -> None:
    version.parent.mkdir(parents=True)
    version.write_text("mine")


def a_link(version: Path) -> None:
    a_folder(version.with_name("elsewhere"))
    version.symlink_to("elsewhere")


def a_dataset_of_tfds(version: Path) -> None:
    a_folder(version)
    for name in ("features.json", "dataset_info.json", "metadata.json"):
        (version / name).write_text("{}")


@pytest.mark.parametrize("make", [a_folder, a_file, a_link, a_dataset_of_tfds])
def test_what_is_not_ours_is_not_touched(
    tmp_path: Path, records: Command, version: Path, make: Callable[[Path], None]
) -> None:
    src = draw_tree(tmp_path / "pets", NAMES)
    make(version)
    for more in ((), ("--replace",)):
        code, _, said = records(src, *more)
        assert code == 2
        assert f"{version} is there, and is not a version that imageshards published" in said
        assert "--version, such as 1.1.0" in said
    found = version if version.is_file() else version / "mine.txt"
    assert found.read_text() == "mine"
    assert records(src, "--version", "1.1.0")[0] == 0


def test_a_version_of_other_images_is_replaced_only_when_told(tmp_path: Path, records: Command, version: Path) -> None:
    assert records(draw_tree(tmp_path / "one/pets", NAMES))[0] == 0
    before = digests(version)
    other = draw_tree(tmp_path / "two/pets", [f"other/{n}.png" for n in range(9)] + ["more/9.png"], size=(31, 33))
    code, _, said = records(other)
    assert code == 2
    assert f"{version} was made of other images, such as cat/0.png, than those in {other}, such as more/9.png" in said
    assert "--version 1.1.0" in said
    assert "--replace deletes" in said
    assert digests(version) == before
    assert not version.with_name("incomplete.1.0.0").exists()
    assert records(other, "--replace")[0] == 0
    assert digests(version) != before


def test_other_options_make_another_dataset(tmp_path: Path, records: Command, version: Path) -> None:
    src = draw_tree(tmp_path / "pets", NAMES)
    assert records(src)[0] == 0
    for option, value, before in (("--size", "64", "224"), ("--color", "gray", "rgb"), ("--encoding", "png", "jpeg")):
        code, _, said = records(src, option, value)
        assert code == 2
        assert f"{version} was made with {option} {before}, and now it is {value}" in said


def test_images_that_moved_or_are_mostly_there_go_on(tmp_path: Path, records: Command, version: Path) -> None:
    src = draw_tree(tmp_path / "pets", NAMES)
    assert records(src)[0] == 0
    (src / "cat").rename(src / "kitten")
    (src / "dog").rename(src / "puppy")
    assert records(src)[0] == 0
    for name in ("kitten/0.png", "kitten/1.png", "kitten/2.png", "puppy/0.png"):
        (src / name).unlink()
    assert records(src)[0] == 0
    assert metadata(version)["images"] == 6


@pytest.mark.parametrize(
    "damage",
    ["pets-train.tfrecord-00000-of-00001", "dataset_info.json", "report.html"],
)
def test_up_to_date_is_looked_at(tmp_path: Path, records: Command, version: Path, damage: str) -> None:
    src = draw_tree(tmp_path / "pets", NAMES)
    assert records(src)[0] == 0
    before = digests(version)
    for spoil in (lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-1])):
        spoil(version / damage)
        code, said, _ = records(src)
        assert code == 0
        assert "up to date" not in said
        assert digests(version) == before
    assert list(verify(version)) == []
    assert "up to date" in records(src)[1]


@pytest.mark.parametrize("kind", ["link", "hard link", "other file", "pipe", "folder"])
def test_a_lock_that_no_job_made_is_left_alone(tmp_path: Path, records: Command, version: Path, kind: str) -> None:
    src = draw_tree(tmp_path / "pets", NAMES)
    lock = version.with_name("incomplete.1.0.0") / "lock"
    lock.parent.mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    make = {
        "link": lambda: lock.symlink_to(precious),
        "hard link": lambda: lock.hardlink_to(precious),
        "other file": lambda: shutil.copy(precious, lock),
        "pipe": lambda: os.mkfifo(lock),
        "folder": lock.mkdir,
    }
    make[kind]()
    code, _, said = records(src)
    assert code == 2
    assert str(lock.parent) in said
    assert precious.read_text() == "precious"
    if kind == "other file":
        assert lock.read_text() == "precious"


@pytest.mark.parametrize("text", ["[]", "null", "{}", "[" * 100_000, '{"fingerprint": 1}', "\xff"])
def test_damaged_metadata_is_a_sentence(tmp_path: Path, records: Command, version: Path, text: str) -> None:
    src = draw_tree(tmp_path / "pets", NAMES)
    assert records(src)[0] == 0
    (version / "metadata.json").write_text(text, encoding="latin-1")
    code, _, said = records(src)
    assert code == 2
    assert f"{version}: cannot be read, so its splits cannot be kept" in said
    assert records(src, "--redraw-splits")[0] == 0


@pytest.mark.parametrize("place", ["incomplete.1.0.0/mine.txt", "1.0.0/notes.txt", "1.0.0/mine/a.txt"])
def test_what_a_person_put_beside_or_into_a_version_is_not_lost(tmp_path: Path, records: Command, place: str) -> None:
    src = draw_tree(tmp_path / "pets", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(4)])
    assert records(src, "--size", "32")[0] == 0
    mine = tmp_path / "data/pets" / place
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("precious")
    draw_tree(src, ["cat/9.png"])
    for _ in range(2):
        code, _, said = records(src, "--size", "32")
        assert code == 2
        assert str(tmp_path / "data/pets" / "/".join(place.split("/")[:1])) in said
        assert "move it away" in said
    assert mine.read_text() == "precious"


@pytest.mark.parametrize("name", ["rejected.csv", "dataset_info.json", "pets-train.tfrecord-00000-of-00001"])
def test_a_folder_of_a_person_under_the_name_of_a_file_is_not_lost(
    tmp_path: Path, records: Command, version: Path, name: str
) -> None:
    src = draw_tree(tmp_path / "pets", NAMES)
    assert records(src)[0] == 0
    (version / name).rename(version / "elsewhere")
    (version / name).mkdir()
    (version / "elsewhere").rename(version / name / "mine")
    code, _, said = records(src)
    assert code == 2
    assert f"{version / name}: imageshards did not publish it" in said
    assert (version / name / "mine").exists()


def test_a_link_in_the_place_of_a_file_under_way_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "report.html.tmp").symlink_to(victim)
    storage.write(tmp_path / "report.html", b"new")
    assert victim.read_text() == "precious"
    assert (tmp_path / "report.html").read_bytes() == b"new"
    assert not (tmp_path / "report.html").is_symlink()
