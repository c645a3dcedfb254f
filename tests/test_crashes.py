"""Machines that fail: kills at any moment, full and read-only disks, no file handles, clocks that jump, lost blocks."""

import contextlib
import errno
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from imageshards.pipeline import chunks, facts, originals
from imageshards.pipeline.verify import verify

from .conftest import Command, draw_tree
from .killed import CHUNK_IMAGES
from .published import digests, metadata, rejected

KILLED = Path(__file__).with_name("killed.py")
MOMENTS_A_PHASE = 4


def phase(line: str) -> str:
    """Names what the job was about to do, from a line of killed.py's log."""
    event, _, path = line.partition(" ")
    if "incomplete" not in path:
        return "publishing: the exchange" if path == "/exchange" else "listing and reading"
    if "staged" in path:
        return "staging"
    if event in ("shutil.rmtree", "os.rmdir", "os.remove", "os.mkdir") or path.endswith("lock"):
        return "the work folder"
    return "shards" if "tfrecord" in path else "publishing: the files"


def run_killed(moment: int, folder: Path, src: Path) -> tuple[int, list[str]]:
    """Runs the job until the given moment; returns its exit code and what it did."""
    log = folder / "log"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(KILLED), str(moment), str(log), str(src), "--out", str(folder), "--shards", "2"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    lines = log.read_text().splitlines()
    log.unlink()
    return done.returncode, lines


def test_a_kill_at_any_moment_loses_nothing(tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow_datasets as tfds

    monkeypatch.setattr(facts, "CHUNK_IMAGES", CHUNK_IMAGES)
    src = draw_tree(tmp_path / "pets", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(40)])
    before = tmp_path / "before"
    assert records(src, "--out", str(before), "--shards", "2")[0] == 0
    old = digests(before / "pets/1.0.0")
    draw_tree(src, [f"emu/{n}.png" for n in range(50)], size=(31, 33))
    (src / "cat/7.png").unlink()

    undisturbed = shutil.copytree(before, tmp_path / "undisturbed")
    code, lines = run_killed(0, undisturbed, src)
    assert code == 0
    new = digests(undisturbed / "pets/1.0.0")
    assert new != old
    work = lines.count("normalized")
    assert work == 50
    uses = [line for line in lines if line != "normalized"]
    phases: dict[str, list[int]] = {}
    for moment, line in enumerate(uses, start=1):
        phases.setdefault(phase(line), []).append(moment)
    chance = random.Random(0)
    moments = [m for of in phases.values() for m in chance.sample(of, min(MOMENTS_A_PHASE, len(of)))]
    assert len(phases) == 6
    assert len(moments) >= 20

    def kill(moment: int) -> tuple[int, list[str]]:
        return run_killed(moment, shutil.copytree(before, tmp_path / f"killed-{moment}"), src)

    with ThreadPoolExecutor(2) as threads:
        killed = dict(zip(moments, threads.map(kill, moments), strict=True))
    redone: list[int] = []
    normalized: list[int] = []
    normalize = chunks.normalize
    monkeypatch.setattr(chunks, "normalize", lambda *args: normalized.append(1) or normalize(*args))
    for moment, (code, lines) in killed.items():
        assert code == -9
        out = tmp_path / f"killed-{moment}"
        assert digests(out / "pets/1.0.0") in (old, new)
        in_flight = [
            path for path in out.glob("pets/incomplete*/staged/*.records") if not path.with_suffix(".arrow").exists()
        ]
        assert not list(verify(out / "pets/1.0.0"))
        assert tfds.builder("pets", data_dir=str(out)).info.splits.total_num_examples in (80, 129)
        before_resuming = len(normalized)
        assert records(src, "--out", str(out), "--shards", "2")[0] == 0
        assert digests(out / "pets/1.0.0") == new
        assert os.listdir(out / "pets") == ["1.0.0"]
        redone.append(lines.count("normalized") + len(normalized) - before_resuming - work)
        assert 0 <= redone[-1] <= CHUNK_IMAGES * len(in_flight)
        shutil.rmtree(out)
    print(
        f"killed {len(moments)} times, in {len(phases)} phases: {sum(redone) / len(redone) / work:.1%} of work redone"
    )


def test_what_the_disk_lost_after_a_crash_is_staged_again(
    tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut, the blocks of a file that was just written can be zeros though its name is there."""
    monkeypatch.setattr(facts, "CHUNK_IMAGES", CHUNK_IMAGES)
    src = draw_tree(tmp_path / "pets", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(9)])
    assert records(src, "--out", str(tmp_path / "whole"), "--shards", "2")[0] == 0
    _, lines = run_killed(0, tmp_path / "tried", src)
    shutil.rmtree(tmp_path / "tried/pets")
    uses = [line for line in lines if line != "normalized"]
    run_killed(
        next(n for n, line in enumerate(uses, 1) if line.endswith(".tfrecord-00000-of-00002.tmp")),
        tmp_path / "tried",
        src,
    )
    staged = tmp_path / "tried/pets/incomplete.1.0.0/staged"
    lost, cut, *_ = sorted(staged.glob("*.arrow"), key=lambda path: -path.with_suffix(".records").stat().st_size)
    lost.with_suffix(".records").write_bytes(bytes(lost.with_suffix(".records").stat().st_size))
    cut.write_bytes(cut.read_bytes()[:100])
    assert records(src, "--out", str(tmp_path / "tried"), "--shards", "2")[0] == 0
    assert digests(tmp_path / "tried/pets/1.0.0") == digests(tmp_path / "whole/pets/1.0.0")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a small file system in memory, where this user may."""
    mounts = []

    def mount(options: str, *, remount: bool = False) -> Path:
        folder = tmp_path / "small"
        folder.mkdir(exist_ok=True)
        options = f"remount,{options}" if remount else options
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"needs to mount a small disk, and may not: {done.stderr.strip()}")
        mounts.append(folder)
        return folder

    yield mount
    for folder in set(mounts):
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_one_sentence_and_the_job_goes_on_when_there_is_room(
    tmp_path: Path, records: Command, mounted: Callable[..., Path]
) -> None:
    src = draw_tree(tmp_path / "pets", ["cat/0.png", "dog/0.png"])
    out = mounted("size=1m")
    assert records(src, "--out", str(out), "--encoding", "png")[0] == 0
    old = digests(out / "pets/1.0.0")
    draw_tree(src, [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(1, 20)], size=(300, 300))
    code, _, error = records(src, "--out", str(out), "--encoding", "png")
    assert code == 1
    assert "the job failed: No space left on device" in error
    assert "the same command continues" in error
    assert "Traceback" not in error
    assert digests(out / "pets/1.0.0") == old
    mounted("size=99m", remount=True)
    assert records(src, "--out", str(out), "--encoding", "png")[0] == 0
    assert metadata(out / "pets/1.0.0")["images"] == 40
    assert os.listdir(out / "pets") == ["1.0.0"]


def test_a_read_only_place_is_said_before_anything_is_done(
    tmp_path: Path, records: Command, mounted: Callable[..., Path]
) -> None:
    src = draw_tree(tmp_path / "pets", ["cat/0.png", "dog/0.png"])
    code, _, error = records(src, "--out", str(mounted("ro")))
    assert code == 2
    assert "Read-only file system; choose another folder with --out" in error


def test_without_file_handles_no_image_is_blamed(
    tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = draw_tree(tmp_path / "pets", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(20)])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    stage = chunks._stage

    def without_handles(*of: Any) -> Any:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        try:
            return stage(*of)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    with monkeypatch.context() as patch:
        patch.setattr(chunks, "_stage", without_handles)
        patch.setattr(originals, "_FIRST_PAUSE", 0)
        code, _, error = records(src, "--workers", "1")
    assert code == 1
    assert "Too many open files" in error
    assert "Traceback" not in error
    assert not (tmp_path / "data/pets/1.0.0").exists()
    assert records(src)[0] == 0
    assert rejected(tmp_path / "data/pets/1.0.0") == []


def test_times_of_another_age_change_nothing(tmp_path: Path, records: Command) -> None:
    """A clock that was set back or runs ahead shows in the files' times, which are compared and never ordered."""
    src = draw_tree(tmp_path / "pets", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(5)])
    os.utime(src / "cat/1.png", ns=(1, 1))
    os.utime(src / "cat/2.png", (9_000_000_000, 9_000_000_000))
    with contextlib.suppress(OverflowError, OSError):
        os.utime(src / "cat/3.png", (-9_000_000, -9_000_000))
    assert records(src)[0] == 0
    shutil.copy(src / "dog/1.png", src / "cat/2.png")
    os.utime(src / "cat/2.png", (1_000_000_000, 1_000_000_000))
    assert records(src)[0] == 0
    assert metadata(tmp_path / "data/pets/1.0.0")["duplicates"]["with_several_labels"] == 1
    assert "up to date" in records(src)[1]


def test_a_lock_of_a_dead_job_holds_nobody_up(tmp_path: Path, records: Command) -> None:
    src = draw_tree(tmp_path / "pets", ["cat/0.png", "dog/0.png"])
    work = tmp_path / "data/pets/incomplete.1.0.0"
    work.mkdir(parents=True)
    (work / "lock").write_text(f"process {os.getpid()} on here")
    assert records(src)[0] == 0


def test_a_disk_that_fails_at_the_lock_is_no_mistake_of_the_user(
    tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = draw_tree(tmp_path / "pets", ["cat/0.png", "dog/0.png"])
    opened = os.open

    def fails(path: object, *rest: int) -> int:
        if str(path).endswith("/lock"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fails)
        code, _, said = records(src)
    assert code == 1
    assert "the job failed: Input/output error" in said
    assert records(src)[0] == 0


def test_a_file_in_the_place_of_a_folder_of_the_jobs_is_named_and_kept(tmp_path: Path, records: Command) -> None:
    src = draw_tree(tmp_path / "pets", ["cat/0.png", "dog/0.png"])
    work = tmp_path / "data/pets/incomplete.1.0.0"
    work.mkdir(parents=True)
    (work / "lock").touch()
    (work / "dataset").write_text("notes")
    code, _, said = records(src)
    assert code == 2
    assert f"{work}/dataset: no job of imageshards made this file" in said
    assert (work / "dataset").read_text() == "notes"
    (work / "dataset").rename(tmp_path / "notes")
    assert records(src)[0] == 0


@pytest.mark.parametrize("name", ["sources.arrow", "chunks.txt", "chunks.txt.tmp", "awaited", "notes"])
def test_a_folder_in_the_place_of_a_file_of_the_jobs_is_named_and_kept(
    tmp_path: Path, records: Command, name: str
) -> None:
    src = draw_tree(tmp_path / "pets", ["cat/0.png", "dog/0.png"])
    work = tmp_path / "data/pets/incomplete.1.0.0"
    (work / name).mkdir(parents=True)
    (work / "lock").touch()
    (work / name / "mine").write_text("notes")
    code, _, said = records(src)
    assert code == 2
    assert f"{work}/{name}: no job of imageshards made this folder; move it away" in said
    assert (work / name / "mine").read_text() == "notes"


@pytest.mark.parametrize("name", ["sources.arrow", "chunks.txt", "awaited", "replaced"])
def test_a_link_in_the_work_folder_leads_nobody_to_a_file_of_the_users(
    tmp_path: Path, records: Command, name: str
) -> None:
    src = draw_tree(tmp_path / "pets", ["cat/0.png", "dog/0.png"])
    work = tmp_path / "data/pets/incomplete.1.0.0"
    work.mkdir(parents=True)
    (work / "lock").touch()
    (tmp_path / "mine").write_text("notes")
    (work / name).symlink_to(tmp_path / "mine")
    assert records(src)[0] == 0
    assert (tmp_path / "mine").read_text() == "notes"
