"""Input that nobody means and everybody meets once: a sentence and an exit code, or a line; never a traceback."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imageshards.pipeline import make_records, report_command, tfrecord, verify_command
from imageshards.pipeline.shards import read_frames

from .conftest import Command, draw_tree

DIGITS = "9" * 5000
LONE = "\ud800"
BYTE = "\udcff"  # what Python makes of a byte that is no UTF-8
LONG = "x" * 300
OPTIONS = ("--size", "32", "--shards", "1")


def run(main: Callable[[list[str]], None], capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Runs a command in this process; returns its exit code and what it complained of."""
    with pytest.raises(SystemExit) as exited:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "not foreseen" not in said
    return int(exited.value.code or 0), said


@pytest.mark.parametrize(
    ("name", "lines", "reasons"),
    [
        ("labels.csv", ["file,label", f"1.png,{DIGITS}", "2.png,b", "3.png,c"], ["bad-label"]),
        (
            "labels.jsonl",
            [
                {"file": "1.png", "label": "a", "group": LONE},
                {"file": "2.png", "label": "b"},
                {"file": "3.png", "label": "a"},
            ],
            ["no-row", "row-damaged"],
        ),
        (
            "labels.jsonl",
            [
                {"file": "1.png", "label": f"a{LONE}"},
                {"file": "3.png", "label": "b", LONE: "x"},
                {"file": "2.png", "label": "a"},
            ],
            ["no-row", "row-damaged"],
        ),
        (
            "labels.csv",
            ["file,label", f"{LONG}.png,a", "1.png,a", "2.png,b", "3.png,b"],
            ["row-no-file"],
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_a_line(
    tmp_path: Path, records: Command, name: str, lines: list[Any], reasons: list[str]
) -> None:
    src = draw_tree(tmp_path / "pets", ["1.png", "2.png", "3.png"])
    (src / name).write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    code, said, error = records(src, *OPTIONS, "--dry-run")
    assert code == 0, error
    assert sorted(re.findall(r"^  1 ([a-z-]+), such as", said, re.MULTILINE)) == reasons


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--file-column", text] for text in ("²", "٣", "0", "-1", DIGITS)),
        *(["--version", text] for text in ("1.0.²", f"1.0.{DIGITS}")),
        *(["--out", text] for text in (LONG, f"data{BYTE}", "/".join([LONG[:200]] * 30))),
        *([option, text] for option in ("--manifest", "--labels", "--corrections") for text in (LONG, "/dev/zero")),
        *([option, DIGITS] for option in ("--size", "--workers", "--shards", "--dataset")),
        *([option, f"(?P<group>{BYTE})"] for option in ("--exclude", "--group-pattern", "--dataset")),
        *(["--size", size] for size in ("0", "8193", "100000")),
        ["--split", "nan/10/10"],
    ],
)
def test_an_option_that_cannot_be_used_is_a_sentence(
    tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    src = draw_tree(tmp_path / "pets", ["1.png", "2.png"])
    (src / "labels.csv").write_text("file,label\n1.png,a\n2.png,b\n")
    monkeypatch.chdir(tmp_path)
    code, _, error = records(src, *OPTIONS, *arguments)
    assert code in (1, 2)
    assert len(error.splitlines()) == 1
    assert "Traceback" not in error
    assert "not foreseen" not in error


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pets, four pictures, and data/pets/1.0.0, which was made of them."""
    folder = tmp_path_factory.mktemp("published")
    src = draw_tree(folder / "pets", ["a/1.png", "a/2.png", "b/3.png", "b/4.png"])
    make_records(str(src), out=str(folder / "data"), size=32, shards=1)
    return folder


@pytest.fixture
def version(tmp_path: Path, published: Path) -> Path:
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    return tmp_path / "data/pets/1.0.0"


def metadata_of(text: str) -> Callable[[Path], None]:
    return lambda version: (version / "metadata.json").write_text(text) and None  # type: ignore[func-returns-value]


def checksums_that_name(name: str) -> Callable[[Path], None]:
    def change(version: Path) -> None:
        metadata = json.loads((version / "metadata.json").read_text())
        metadata["sha256"][name] = "0" * 64
        (version / "metadata.json").write_text(json.dumps(metadata))

    return change


def header_of(size: int) -> Callable[[Path], None]:
    def change(version: Path) -> None:
        shard = next(version.glob("*.tfrecord-*"))
        length = struct.pack("<Q", size)
        shard.write_bytes(length + tfrecord._masked_crc(length) + shard.read_bytes()[12:])
        with pytest.raises(tfrecord.DamagedRecordError):
            next(read_frames(shard))

    return change


def endless(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(version: Path) -> None:
        (version / name).unlink()
        make(version / name)

    return change


def to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def open_quotation_mark(version: Path) -> None:
    with (version / "rejected.csv").open("a") as file:
        file.write('"')


DAMAGED_FOR_A_BUILD: list[Callable[[Path], None]] = [
    *map(metadata_of, ("", "[]", "null", "[" * 100_000, '{"a":' * 100_000, DIGITS, '{"sha256": null}')),
    *(endless(name, make) for name in ("metadata.json", "index.parquet") for make in (to_zeros, os.mkfifo)),
]
DAMAGED = [
    *DAMAGED_FOR_A_BUILD,
    open_quotation_mark,
    *map(checksums_that_name, ("/dev/zero", "../..", "..", "", "../1.0.0/metadata.json")),
    *map(header_of, (2**31, 2**62, 2**64 - 1)),
    *(endless(name, to_zeros) for name in ("label.labels.txt", "dataset_info.json")),
    *(endless(name, os.mkfifo) for name in ("rejected.csv", "report.html")),
]


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_version_is_said_to_be_one(
    version: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    damage(version)
    assert run(verify_command.main, capsys, version)[0] == 1
    code, said = run(report_command.main, capsys, version)
    assert code == 2 or not said  # the report itself was damaged, and is drawn anew


@pytest.mark.parametrize("damage", DAMAGED_FOR_A_BUILD)
def test_a_damaged_version_is_not_replaced_unasked(
    version: Path, records: Command, damage: Callable[[Path], None]
) -> None:
    damage(version)
    code, _, said = records(version.parents[2] / "pets", *OPTIONS)
    assert code == 2
    assert "cannot be read, so its splits cannot be kept" in said
    assert "not foreseen" not in said


def test_a_folder_that_is_no_version_is_none(version: Path, records: Command) -> None:
    for name in ("1.0.²", "1.0.٣", "01.0.0", f"1.0.{DIGITS[:100]}.bak", BYTE):
        (version.parent / name).mkdir()
        (version.parent / name / "dataset_info.json").write_text("[]")
    draw_tree(version.parents[2] / "pets", ["b/5.png"], size=(44, 33))
    assert records(version.parents[2] / "pets", *OPTIONS, "--version", "1.1.0")[0] == 0


def test_a_fault_of_the_disk_does_not_let_a_version_of_other_images_be_replaced(
    version: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither metadata.json nor the index can be read for once: that is no reason to take them for damaged."""
    other = draw_tree(version.parents[2] / "other/pets", ["a/7.png", "b/8.png"], size=(55, 44))
    before = {path.name: path.read_bytes() for path in version.iterdir()}
    opened = os.open
    for name in ("metadata.json", "index.parquet"):
        left = [1]

        def fails(path: Any, *more: Any, name: str = name, left: list[int] = left) -> int:
            if left[0] and os.fspath(path).endswith(f"1.0.0/{name}"):
                left[0] -= 1
                raise OSError(5, "Input/output error", path)
            return opened(path, *more)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", fails)
            code, _, said = records(other, *OPTIONS)
        assert (code, left) == (1, [0])
        assert "Input/output error" in said
        assert {path.name: path.read_bytes() for path in version.iterdir()} == before


WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def _may_be_refused() -> bool:
    """Says whether a command can be run whom a closed folder stops."""
    if os.getuid():
        return True
    return bool(shutil.which("setpriv")) and subprocess.run([*WITHOUT_RIGHTS, "true"], check=False).returncode == 0


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder with pictures in it that nobody may search, in one with others."""
    for path in ("closed/raw", "raw"):
        draw_tree(tmp_path / path, ["cat/1.png", "cat/2.png", "dog/3.png"])
    (tmp_path / "closed").chmod(0)
    yield tmp_path
    (tmp_path / "closed").chmod(0o700)


@pytest.mark.skipif(not _may_be_refused(), reason="needs setpriv, and the right to give rights up: root may search all")
@pytest.mark.parametrize(
    "arguments",
    [
        ("closed/raw", "--out", "data"),
        ("raw", "--out", "closed/data"),
        ("raw", "--out", "data", "--manifest", "closed/labels.csv"),
    ],
)
def test_what_lies_in_a_closed_folder_is_named(closed: Path, arguments: tuple[str, ...]) -> None:
    as_others = [] if os.getuid() else WITHOUT_RIGHTS
    command = [*as_others, sys.executable, "-m", "imageshards.pipeline", *arguments]
    done = subprocess.run(command, cwd=closed, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("imageshards-records: ")]
    assert len(said) == 1
    assert "Permission denied: " in said[0]
    assert "give this user permission, or choose another place" in said[0]
