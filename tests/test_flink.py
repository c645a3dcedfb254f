"""The job on a real Flink cluster: a JobManager, two TaskManagers, Beam's job server, and workers that it starts.

`make test-cluster` runs these. They need Java and a folder with `flink_up.sh` and `flink_down.sh`, which start and stop
a cluster in a folder that they are given, and tell each part its name in WORKER_OF. FLINK_TOOLS names that folder, or
it is `shared/tools/flink` beside the repository.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .conftest import draw_tree
from .test_cluster import files

TOOLS = Path(os.environ.get("FLINK_TOOLS", Path(__file__).parents[2] / "shared/tools/flink"))
MISSING = (
    "needs `make test-cluster`, for it takes minutes"
    if not os.environ.get("TEST_CLUSTER")
    else "needs Java and Maven, which are not installed"
    if not (shutil.which("java") and shutil.which("mvn"))
    else f"needs flink_up.sh in {TOOLS}, and FLINK_TOOLS names no other folder"
    if not (TOOLS / "flink_up.sh").exists()
    else ""
)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

# Loaded by every worker: writes down whose it is when it stages. Where a file `die` is, the first removes it and dies.
WATCH = """
import os, signal, sys
def watch(event, parts):
    if event == "open" and isinstance(parts[0], str) and parts[0].endswith(".records") and "w" in str(parts[1]):
        log = os.open(os.environ["STAGED_BY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, (os.environ["WORKER_OF"] + "\\n").encode())
        os.close(log)
        try:
            os.unlink(os.environ["STAGED_BY"] + ".die")
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pets, a file among them that is no picture, and `one`: their dataset, made in one process."""
    folder = tmp_path_factory.mktemp("flink")
    draw_tree(folder / "pets", [f"{label}/{n:03}.png" for label in ("cat", "dog") for n in range(300)])
    (folder / "pets/cat/bad.png").write_text("words")
    assert start(folder, "one").wait(300) == 0
    return folder


@pytest.fixture(scope="module")
def flink(folder: Path) -> Iterator[list[str]]:
    """The flags that run a job on a cluster, whose workers write down that they stage."""
    (folder / "watch").mkdir()
    (folder / "watch/sitecustomize.py").write_text(WATCH)
    environment = {**os.environ, "PYTHONPATH": str(folder / "watch"), "STAGED_BY": str(folder / "staged_by")}
    subprocess.run(
        ["nice", TOOLS / "flink_up.sh", folder / "cluster"],
        env=environment,
        stdout=subprocess.DEVNULL,
        timeout=900,
        check=True,
    )
    try:
        settings = dict(word.split("=", 1) for word in shlex.split((folder / "cluster/env.sh").read_text()))
        yield ["--runner", "portable", "--job_endpoint", settings["JOB_ENDPOINT"], "--parallelism", "2"]
    finally:
        subprocess.run([TOOLS / "flink_down.sh", folder / "cluster"], timeout=60, check=True)


def start(folder: Path, out: str, flags: Sequence[str] = ()) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "imageshards.pipeline", "pets", "--out", out, "--shards", "2", "--workers", "1"]
    return subprocess.Popen([*command, *flags], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_machines_of_flink_write_the_bytes_of_one_process(folder: Path, flink: list[str]) -> None:
    """The relative SRC and OUT, too, are found by workers that start elsewhere."""
    job = start(folder, "flink", flink)
    said, errors = job.communicate(timeout=600)
    assert job.returncode == 0, errors
    assert errors == ""
    assert "601 found = 600 written + 1 rejected (1 unsupported-format)" in said
    assert set((folder / "staged_by").read_text().split()) == {"taskmanager1", "taskmanager2"}
    assert files(folder / "flink/pets/1.0.0") == files(folder / "one/pets/1.0.0")


def test_a_worker_of_flink_that_is_killed_is_one_sentence_and_the_next_run_mends_it(
    folder: Path, flink: list[str]
) -> None:
    (folder / "staged_by.die").touch()
    job = start(folder, "killed", flink)
    _, errors = job.communicate(timeout=600)
    assert job.returncode == 1
    said, goes_on = errors.splitlines()
    assert said.startswith("imageshards-records: the job failed: a worker ended, or the runner itself: "), errors
    assert goes_on == "  what is done is kept: the same command continues from here"
    assert not (folder / "killed/pets/1.0.0").exists()
    assert start(folder, "killed", flink).wait(600) == 0
    assert files(folder / "killed/pets/1.0.0") == files(folder / "one/pets/1.0.0")
