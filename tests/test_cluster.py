"""The same job in several processes: the same bytes; a worker that dies ends in a sentence, not in half a version."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from .conftest import draw_tree

PRISM = shutil.which("prism") or str(Path(__file__).parents[1] / "build/go/prism")
PROCESSES = ("--runner", "FnApiRunner", "--direct_running_mode", "multi_processing", "--direct_num_workers", "2")
IN_PRISM = ("--runner", "prism", "--prism_location", PRISM)

# Loaded by every Python process of a job: writes down which of them stages.
WATCH = """
import os, sys
def watch(event, parts):
    if event == "open" and isinstance(parts[0], str) and "/staged/" in parts[0] and parts[0].endswith(".records"):
        with_log = os.open(os.environ["STAGED_BY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(with_log, f"{os.getpid()}\\n".encode())
        os.close(with_log)
sys.addaudithook(watch)
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    root = draw_tree(tmp_path / "pets", [f"{label}/{n:03}.png" for label in ("cat", "dog") for n in range(400)])
    (root / "cat/bad.png").write_text("words")
    return root


@pytest.fixture
def start(tmp_path: Path, pets: Path) -> Start:
    """Starts the command on the pets, OUT in a folder of tmp_path."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch/sitecustomize.py").write_text(WATCH)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "watch"), "STAGED_BY": str(tmp_path / "staged_by")}

    def run(out: str, *arguments: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            "-m",
            "imageshards.pipeline",
            str(pets),
            "--out",
            str(tmp_path / out),
            "--shards",
            "2",
        ]
        return subprocess.Popen(
            [*command, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return run


def files(version: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in version.iterdir()}


def stagers(tmp_path: Path) -> set[int]:
    return set(map(int, (tmp_path / "staged_by").read_text().split()))


def finish(process: subprocess.Popen[str], seconds: float = 120) -> str:
    said, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, errors
    assert "801 found = 800 written + 1 rejected (1 unsupported-format)" in said
    return said


def test_two_worker_processes_write_the_bytes_of_one(tmp_path: Path, start: Start) -> None:
    finish(start("one"))
    (tmp_path / "staged_by").unlink()
    process = start("two", *PROCESSES)
    finish(process)
    assert len(stagers(tmp_path) - {process.pid}) == 2
    assert files(tmp_path / "two/pets/1.0.0") == files(tmp_path / "one/pets/1.0.0")


@pytest.mark.skipif(
    not Path(PRISM).exists(), reason="needs Beam's Prism, which .ci/run builds where Go is, in build/go"
)
def test_prism_and_its_worker_write_the_same_bytes(tmp_path: Path, start: Start) -> None:
    """Another runner, in Go, and a worker started by `imageshards-worker`: options and code reach it by themselves."""
    finish(start("one"))
    (tmp_path / "staged_by").unlink()
    process = start("two", *IN_PRISM, "--workers", "1")
    finish(process)
    assert stagers(tmp_path)
    assert process.pid not in stagers(tmp_path)
    assert files(tmp_path / "two/pets/1.0.0") == files(tmp_path / "one/pets/1.0.0")


def test_a_worker_that_dies_fails_the_job_and_touches_nothing(tmp_path: Path, pets: Path, start: Start) -> None:
    finish(start("out"))
    draw_tree(pets, [f"fox/{n:03}.png" for n in range(400)])
    shutil.copytree(tmp_path / "out", tmp_path / "calm")
    assert start("calm").wait(120) == 0
    before = files(tmp_path / "out/pets/1.0.0")
    (tmp_path / "staged_by").unlink()
    process = start("out", *PROCESSES)
    deadline = time.monotonic() + 60
    while not (tmp_path / "staged_by").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    psutil.Process(min(stagers(tmp_path) - {process.pid})).send_signal(signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "imageshards-records: the job failed: a worker ended" in errors
    assert files(tmp_path / "out/pets/1.0.0") == before
    assert start("out", *PROCESSES).wait(120) == 0
    assert files(tmp_path / "out/pets/1.0.0") == files(tmp_path / "calm/pets/1.0.0") != before
