"""The job from end to end: real pictures, real Beam, read back by plain TFDS."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imageshards.pipeline import chunks

from .conftest import Command, draw_tree, encoded, gradient, save
from .published import digests, index, metadata, rejected, splits

FOLDERS = [f"{label}/{label}-{number}.png" for label in ("cat", "dog") for number in range(15)]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    return draw_tree(tmp_path / "pets", FOLDERS)


def test_plain_tfds_reads_every_picture_with_its_label(folders: Path, tmp_path: Path, records: Command) -> None:
    code, said, _ = records(folders, "--encoding", "png", "--size", "32")
    assert code == 0
    assert "30 found = 30 written + 0 rejected" in said
    import tensorflow_datasets as tfds

    data, info = tfds.load("pets", data_dir=str(tmp_path / "data"), with_info=True)
    assert {name: split.num_examples for name, split in info.splits.items()} == {
        "train": 24,
        "validation": 4,
        "test": 2,
    }
    assert info.features["label"].names == ["cat", "dog"]
    assert info.metadata["images"] == 30
    seen = set()
    for split in data.values():
        for example in split.as_numpy_iterator():
            key = example["key"].decode()
            seen.add(key)
            source = folders / key
            assert info.features["label"].int2str(example["label"]) == key.split("/")[0]
            assert example["sha256"].decode() == hashlib.sha256(source.read_bytes()).hexdigest()
            assert example["original_size"] == {"height": 30, "width": 40}
            expected = Image.open(source).crop((5, 0, 35, 30)).resize((32, 32), Image.Resampling.LANCZOS)
            assert np.abs(example["image"].astype(int) - np.asarray(expected, int)).max() <= 30
            assert np.abs(example["image"].astype(int) - np.asarray(expected, int)).mean() < 1
    assert seen == set(FOLDERS)


def test_three_layouts_of_the_same_pictures(folders: Path, tmp_path: Path, records: Command) -> None:
    flat = tmp_path / "flat/pets"
    table = tmp_path / "table/pets"
    flat.mkdir(parents=True)
    shutil.copytree(folders, table)
    with (table / "labels.csv").open("w") as file:
        file.write("file,label\n")
        for name in FOLDERS:
            shutil.copy2(folders / name, flat / Path(name).name)
            file.write(f"{name},{name.split('/')[0]}\n")
    assert records(folders, "--out", str(tmp_path / "a"))[0] == 0
    assert records(table, "--out", str(tmp_path / "b"), "--layout", "manifest")[0] == 0
    assert records(flat, "--out", str(tmp_path / "c"))[0] == 0
    a, b, c = (tmp_path / out / "pets/1.0.0" for out in "abc")
    assert digests(a, "*tfrecord*") == digests(b, "*tfrecord*")
    assert {row["sha256"]: row["label"] for row in index(a)} == {row["sha256"]: row["label"] for row in index(c)}


def test_any_number_of_workers_makes_the_same_files(folders: Path, tmp_path: Path, records: Command) -> None:
    for workers in ("1", "4"):
        assert records(folders, "--workers", workers, "--shards", "3", "--out", str(tmp_path / workers))[0] == 0
    one, four = (digests(tmp_path / workers / "pets/1.0.0") for workers in ("1", "4"))
    assert one == four
    assert sum("train" in name for name in one) == 3


def test_what_tfds_would_write_itself_is_the_same(folders: Path, tmp_path: Path, records: Command) -> None:
    import tensorflow_datasets as tfds

    assert records(folders, "--color", "gray", "--size", "28", "--encoding", "png")[0] == 0
    version = tmp_path / "data/pets/1.0.0"
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(28, 28, 1), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            "key": tfds.features.Text(),
            "sha256": tfds.features.Text(),
            "original_size": tfds.features.FeaturesDict({"height": np.int32, "width": np.int32}),
        }
    )
    tfds_says = tmp_path / "tfds"
    tfds_says.mkdir()
    builder = tfds.builder_from_directory(str(version))
    identity = tfds.core.dataset_info.DatasetIdentity(
        name="pets", version=tfds.core.Version("1.0.0"), data_dir=str(tfds_says), module_name=""
    )
    info = tfds.core.DatasetInfo(builder=identity, features=features, supervised_keys=("image", "label"))
    info.set_splits(builder.info.splits)
    info.write_to_directory(str(tfds_says))
    for name in ("features.json", "label.labels.txt"):
        assert (version / name).read_bytes() == (tfds_says / name).read_bytes()
    ours, theirs = (json.loads((folder / "dataset_info.json").read_text()) for folder in (version, tfds_says))
    assert ours.pop("fileFormat") == "tfrecord"
    theirs.pop("fileFormat", None)
    assert ours == theirs


def test_running_again_touches_nothing(folders: Path, tmp_path: Path, records: Command) -> None:
    records(folders)
    version = tmp_path / "data/pets/1.0.0"
    before = {path: path.stat().st_mtime_ns for path in [version, *version.iterdir()]}
    code, said, _ = records(folders)
    assert code == 0
    assert "up to date" in said
    assert {path: path.stat().st_mtime_ns for path in [version, *version.iterdir()]} == before
    assert os.listdir(tmp_path / "data/pets") == ["1.0.0"]


def test_the_same_bytes_under_new_times_are_not_normalized_again(
    folders: Path, tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(gradient(20, 16, 1), folders / "cat/plain.bmp")
    records(folders)
    before = index(tmp_path / "data/pets/1.0.0")
    for path in folders.rglob("*.*"):
        os.utime(path, ns=(1, 1))
    save(gradient(20, 16, 2), folders / "cat/plain.bmp")  # as many bytes, but others
    normalized: list[bytes] = []
    normalize = chunks.normalize
    monkeypatch.setattr(chunks, "normalize", lambda data, how: normalized.append(data) or normalize(data, how))
    assert records(folders)[0] == 0
    assert normalized == [(folders / "cat/plain.bmp").read_bytes()]
    after = index(tmp_path / "data/pets/1.0.0")
    changed = [row["key"] for row, other in zip(before, after, strict=True) if row["sha256"] != other["sha256"]]
    assert changed == ["cat/plain.bmp"]
    assert {row["mtime_ns"] for row in after if row["key"] not in changed} == {1}


def test_a_rebuild_keeps_splits_and_normalizes_only_what_is_new(
    folders: Path, tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    records(folders)
    version = tmp_path / "data/pets/1.0.0"
    before = splits(version)
    (folders / "cat/cat-0.png").rename(folders / "cat/renamed.png")
    draw_tree(folders, [f"emu/{number}.png" for number in range(10)], size=(50, 50))
    normalized = []
    normalize = chunks.normalize
    monkeypatch.setattr(chunks, "normalize", lambda *args: normalized.append(1) or normalize(*args))
    assert records(folders)[0] == 0
    after = splits(version)
    assert len(normalized) == 11
    assert after["cat/renamed.png"] == before.pop("cat/cat-0.png")
    assert {key: after[key] for key in before} == before
    assert metadata(version)["splits"]["test"]["emu"] == 1
    assert records(folders, "--out", str(tmp_path / "fresh"))[0] == 0
    fresh = {row["key"]: (row["sha256"], row["label"]) for row in index(tmp_path / "fresh/pets/1.0.0")}
    assert {row["key"]: (row["sha256"], row["label"]) for row in index(version)} == fresh


def test_a_new_version_keeps_the_splits_of_the_last(folders: Path, tmp_path: Path, records: Command) -> None:
    records(folders)
    records(folders, "--version", "1.10.0", "--split", "50/25/25")
    old, new = (splits(tmp_path / "data/pets" / version) for version in ("1.0.0", "1.10.0"))
    assert old == new
    records(folders, "--version", "2.0.0", "--split", "50/25/25", "--redraw-splits")
    assert sorted(splits(tmp_path / "data/pets/2.0.0").values()).count("test") == 8


def test_equal_pictures_and_groups_share_a_split(tmp_path: Path, records: Command) -> None:
    root = draw_tree(tmp_path / "pets", [f"{'cat' if n % 2 else 'dog'}/p{n // 4}_{n}.png" for n in range(80)])
    shutil.copy(root / "cat/p0_1.png", root / "dog/p19_copy.png")
    assert records(root, "--group-pattern", r"/(?P<group>p\d+)_")[0] == 0
    version = tmp_path / "data/pets/1.0.0"
    by_group: dict[str, set[str]] = {}
    for row in index(version):
        by_group.setdefault({"p19": "p0"}.get(row["group"], row["group"]), set()).add(row["split"])
    assert all(len(found) == 1 for found in by_group.values())
    assert set().union(*by_group.values()) == {"train", "validation", "test"}
    assert metadata(version)["duplicates"] == {
        "contents": 1,
        "files": 1,
        "in_several_splits": 0,
        "with_several_labels": 1,
    }


def test_given_splits_are_kept_and_a_test_split_can_be_carved(tmp_path: Path, records: Command) -> None:
    names = [f"{split}/{label}/{n}.png" for split in ("train", "val") for label in ("a", "b") for n in range(10)]
    root = draw_tree(tmp_path / "set", names)
    code, said, _ = records(root)
    assert code == 0
    assert "no test split; --test-from" in said
    version = tmp_path / "data/set/1.0.0"
    assert metadata(version)["splits"] == {"train": {"a": 10, "b": 10}, "validation": {"a": 10, "b": 10}}
    assert records(root, "--test-from", "validation:20", "--redraw-splits")[0] == 0
    assert metadata(version)["splits"]["test"] == {"a": 2, "b": 2}
    assert metadata(version)["splits"]["validation"] == {"a": 8, "b": 8}
    assert all(split == "train" for key, split in splits(version).items() if key.startswith("train"))
    assert records(root, "--test-from", "train:20", "--split", "100")[0] == 0


def test_tiny_labels_are_told_which_split_they_lack(tmp_path: Path, records: Command) -> None:
    names = [f"big/{n}.png" for n in range(20)] + [
        "three/1.png",
        "three/2.png",
        "three/3.png",
        "two/1.png",
        "two/2.png",
    ]
    _, said, _ = records(draw_tree(tmp_path / "set", names))
    table = metadata(tmp_path / "data/set/1.0.0")["splits"]
    assert [table[split]["three"] for split in ("train", "validation", "test")] == [1, 1, 1]
    assert table["train"]["two"] == 2
    assert "validation has no image of two" in said
    assert "test has no image of two" in said


def test_bad_files_are_listed_and_the_rest_is_built(folders: Path, tmp_path: Path, records: Command) -> None:
    (folders / "cat/empty.jpg").touch()
    (folders / "cat/words.jpg").write_text("not a picture")
    jpeg = encoded(gradient(300, 200), "JPEG")
    (folders / "dog/cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folders / "dog/new.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (folders / "dog/=cmd().png").write_bytes(b"x")
    with (folders / "dog/film.jpg").open("wb") as film:
        film.truncate(50_000_000_000)
    save(gradient(10, 10), folders / "cat/wrong-extension.jpg", format="PNG")
    code, said, _ = records(folders)
    assert code == 0
    version = tmp_path / "data/pets/1.0.0"
    assert [(file, reason) for file, reason, _ in rejected(version)] == [
        ("cat/empty.jpg", "empty"),
        ("cat/words.jpg", "unsupported-format"),
        ("dog/=cmd().png", "unsupported-format"),
        ("dog/cut.jpg", "truncated"),
        ("dog/film.jpg", "too-large"),
        ("dog/new.heic", "unsupported-format"),
    ]
    assert "37 found = 31 written + 6 rejected (1 empty, 1 too-large, 1 truncated, 3 unsupported-format)" in said
    assert records(folders, "--keep-truncated")[0] == 0
    assert metadata(version)["truncated"] == 1
    code, _, error = records(folders, "--strict")
    assert code == 2
    assert "--strict allows nothing to be rejected, and 6 are" in error
    assert sorted(os.listdir(tmp_path / "data/pets")) == ["1.0.0"]


def test_formulas_are_defused_in_the_list_of_rejects(tmp_path: Path, records: Command) -> None:
    root = draw_tree(tmp_path / "pets", ["cat-1.png", "dog-1.png"])
    (root / "=cmd()-1.png").write_bytes(b"x")
    assert records(root)[0] == 0
    assert rejected(tmp_path / "data/pets/1.0.0")[0][0] == "./=cmd()-1.png"


def test_nothing_usable_is_an_error_that_names_the_files(tmp_path: Path, records: Command) -> None:
    root = tmp_path / "pets"
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        (root / label / "1.jpg").write_text("words")
    code, _, error = records(root)
    assert code == 2
    assert "no image can be used; 2 are rejected" in error
    assert "cat/1.jpg: unsupported-format" in error
    assert not (tmp_path / "data/pets/1.0.0").exists()
    assert os.listdir(tmp_path / "data/pets") == []


def test_more_shards_than_images(tmp_path: Path, records: Command) -> None:
    root = draw_tree(tmp_path / "pets", ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"])
    assert records(root, "--shards", "9", "--split", "100")[0] == 0
    import tensorflow_datasets as tfds

    assert len(list(tfds.load("pets", data_dir=str(tmp_path / "data"), split="train"))) == 4


def test_a_job_that_was_killed_goes_on(folders: Path, tmp_path: Path, records: Command) -> None:
    """The first job stops after staging: as if killed there, with its lock and its staged chunks left behind."""
    script = (
        "import os, sys\n"
        "from imageshards.pipeline import shards\n"
        "from imageshards.pipeline.__main__ import main\n"
        "shards.write_shard = lambda *a: os.kill(os.getpid(), 9)\n"
        "main(sys.argv[1:])"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(folders), "--out", str(tmp_path / "data")], check=False)
    assert killed.returncode == -9
    work = tmp_path / "data/pets/incomplete.1.0.0"
    staged = {path.name: path.stat().st_mtime_ns for path in (work / "staged").glob("*.arrow")}
    assert staged
    assert not (tmp_path / "data/pets/1.0.0").exists()
    normalize, chunks.normalize = chunks.normalize, None  # type: ignore[assignment]
    try:
        assert records(folders)[0] == 0
    finally:
        chunks.normalize = normalize
    assert not work.exists()
    assert records(folders, "--out", str(tmp_path / "fresh"))[0] == 0
    assert digests(tmp_path / "data/pets/1.0.0") == digests(tmp_path / "fresh/pets/1.0.0")


def test_two_jobs_at_once(folders: Path, tmp_path: Path, records: Command) -> None:
    import fcntl

    work = tmp_path / "data/pets/incomplete.1.0.0"
    work.mkdir(parents=True)
    with (work / "lock").open("w") as lock:
        lock.write("process 42 on somewhere")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, error = records(folders)
    assert code == 2
    assert "process 42 on somewhere is building it" in error
    assert records(folders)[0] == 0


def test_a_file_that_changes_under_the_job_is_rejected(
    folders: Path, tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = chunks.Stager.stage

    def after_the_listing(*args: Any) -> Any:
        save(gradient(9, 9, seed=1), folders / "cat/cat-1.png")
        (folders / "dog/dog-1.png").unlink()
        return stage(*args)

    monkeypatch.setattr(chunks.Stager, "stage", after_the_listing)
    assert records(folders)[0] == 0
    version = tmp_path / "data/pets/1.0.0"
    assert [(file, reason) for file, reason, _ in rejected(version)] == [
        ("cat/cat-1.png", "changed"),
        ("dog/dog-1.png", "changed"),
    ]


def test_the_report_shows_names_as_text_and_needs_no_network(tmp_path: Path, records: Command) -> None:
    names = [f"<script>alert(1)</script>/{n}.png".replace("/s", "\u2215s") for n in range(5)]
    root = draw_tree(tmp_path / "pets", [*names, *(f"cat & dog/{n}.png" for n in range(5))])
    shutil.copy(root / "cat & dog/1.png", root / names[0].split("/")[0] / "copy.png")
    (root / "cat & dog/<img src=x>.png").write_text("words")
    code, said, _ = records(root)
    assert code == 0
    page = (tmp_path / "data/pets/1.0.0/report.html").read_text()
    assert "report.html" in said
    assert "&lt;script&gt;alert(1)&lt;" in page
    assert "cat &amp; dog/&lt;img src=x&gt;.png" in page
    assert "copy.png" in page
    assert "<script" not in page
    assert "<img src=x" not in page
    assert page.count('<img src="data:image/jpeg;base64,') == 11 + 1  # all, and the picture that is there twice
    assert not re.search(r"(src|href)=\"?(http|//)", page)


@pytest.mark.shared
def test_real_datasets(shared: Path, tmp_path: Path, records: Command) -> None:
    assert "together       27           5" in records(shared / "pexels")[1]
    assert "together        4           2" in records(shared / "colors")[1]
