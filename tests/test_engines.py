"""The job on real clusters, Flink's and Spark's, whose workers run the installed wheel; and what happens when one dies.

`make test-cluster` runs these. They need Java and Maven, and take minutes: a job on a cluster takes half of one.
"""

import contextlib
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from . import engines
from .conftest import draw_tree
from .published import digests

MISSING = engines.what_is_missing() if os.environ.get("TEST_CLUSTER") else "needs `make test-cluster`: it takes minutes"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

HERE = Path(__file__).parents[1]
SECONDS = 900  # that a job may take on a machine with other work

# Loaded by every worker: when it stages it writes down whose it is, and whose code it runs, and waits while there is a
# file .hold. Then it takes a file .die away, if one is there, and dies.
WATCH = """
import os, signal, sys, time
def watch(event, parts):
    if event == "open" and isinstance(parts[0], str) and parts[0].endswith(".records") and "w" in str(parts[1]):
        log = os.open(os.environ["STAGED_BY"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, (os.environ["WORKER_OF"] + " " + sys.prefix + "\\n").encode())
        os.close(log)
        while os.path.exists(os.environ["STAGED_BY"] + ".hold"):
            time.sleep(0.05)
        for number in range(9):
            try:
                os.unlink(os.environ["STAGED_BY"] + ".die" + str(number))
            except FileNotFoundError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
"""


class Bench:
    """A folder with pets, a file among them that is not a picture, and `one`: their dataset, made in one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        draw_tree(folder / "pets", [f"{label}/{n:03}.png" for label in ("cat", "dog") for n in range(300)])
        (folder / "pets/cat/bad.png").write_text("words")
        assert self.start("one").wait(SECONDS) == 0

    @property
    def staged_by(self) -> Path:
        """What workers write down."""
        return self.folder / "staged_by"

    def let_workers_die(self, times: int) -> list[Path]:
        """Lets so many workers die, one after the other; each takes one of these files away."""
        deaths = [self.folder / f"staged_by.die{number}" for number in range(times)]
        for death in deaths:
            death.touch()
        return deaths

    def start(self, out: str, flags: Sequence[str] = (), src: str = "pets") -> subprocess.Popen[str]:
        """Starts the command in the folder, SRC and OUT relative to it."""
        command = [sys.executable, "-m", "imageshards.pipeline", src, "--out", out, "--dataset", "pets"]
        command += ["--shards", "2", "--workers", "1", *flags]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @contextlib.contextmanager
    def held(self, out: str, flags: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """Yields a job and whose worker stages first, while that waits."""
        hold = self.folder / "staged_by.hold"
        hold.touch()
        self.staged_by.unlink(missing_ok=True)
        try:
            job = self.start(out, flags)
            deadline = time.monotonic() + SECONDS
            while not (self.staged_by.exists() and self.staged_by.read_text().endswith("\n")):
                assert job.poll() is None, job.communicate()[1]
                assert time.monotonic() < deadline, "no worker staged anything"
                time.sleep(0.05)
            yield job, self.staged_by.read_text().split()[0]
        finally:
            hold.unlink()

    def digests(self, out: str) -> dict[str, str]:
        """Returns the digests of a dataset's files."""
        return digests(self.folder / out / "pets/1.0.0")


class Engine:
    """A cluster, and the flags that run a job on it."""

    def __init__(self, name: str, cluster: engines.Cluster, worker: Path) -> None:
        self.name = name
        self.cluster = cluster
        self.worker = worker
        command = f'{{"command": "{worker}"}}'
        workers = ["--environment_type", "PROCESS", "--environment_config", command]
        self.flags = ["--runner", "portable", "--job_endpoint", cluster.endpoint, *workers]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `imageshards-worker` of the wheel, installed beside nothing but what it needs."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    shutil.copytree(HERE, tree, ignore=shutil.ignore_patterns(".*", "build", "dist", "data", "runs", "*.egg-info"))
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(tree)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    install = [str(folder / "venv/bin/python"), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    (packages,) = (folder / "venv/lib").glob("python*/site-packages")
    ours = Path(pytest.__file__).parents[1]  # a path in a .pth file adds the packages there, and no editable install
    (packages / "needs.pth").write_text(f"{ours}\n")
    return folder / "venv/bin/imageshards-worker"


@pytest.fixture(scope="module")
def bucket() -> Iterator[dict[str, str]]:
    """The environment of those who are to find an S3 on this machine, with an empty bucket `pets`."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    yield {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


@pytest.fixture(scope="module", params=["flink", "spark"])
def engine(
    request: Any, bench: Bench, bucket: dict[str, str], worker: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "watch").mkdir()
    (folder / "watch/sitecustomize.py").write_text(WATCH)
    environment = {**os.environ, **bucket, "PYTHONPATH": str(folder / "watch"), "STAGED_BY": str(bench.staged_by)}
    for name in ("PYTHONSAFEPATH", "TEST_CLUSTER"):
        environment.pop(name, None)
    with getattr(engines, request.param)(folder / "cluster", environment) as cluster:
        yield Engine(request.param, cluster, worker)


@pytest.fixture
def flink(engine: Engine) -> Engine:
    if engine.name != "flink":
        pytest.skip("is about Flink, and this is Spark")
    return engine


def finish(job: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    said, errors = job.communicate(timeout=SECONDS)
    assert job.returncode == code, errors
    return said, errors


def test_two_workers_of_a_cluster_write_the_bytes_of_one_process(bench: Bench, engine: Engine) -> None:
    """The relative SRC and OUT, too, are found by workers that start elsewhere."""
    bench.staged_by.unlink(missing_ok=True)
    said, errors = finish(bench.start(engine.name, [*engine.flags, "--parallelism", "2"]))
    assert errors == ""
    assert "601 found = 600 written + 1 rejected (1 unsupported-format)" in said
    staged_by = dict(line.split() for line in bench.staged_by.read_text().splitlines())
    assert staged_by == dict.fromkeys(("worker1", "worker2"), str(engine.worker.parents[1]))
    assert bench.digests(engine.name) == bench.digests("one")


def test_strict_stops_a_cluster_in_the_words_of_one_process(bench: Bench, engine: Engine) -> None:
    _, errors = finish(bench.start("strict", [*engine.flags, "--strict"]), 2)
    assert errors == finish(bench.start("strict", ["--strict"]), 2)[1]
    assert (
        "--strict allows nothing to be rejected, and 1 is; nothing was published:\n  cat/bad.png: unsupported-format"
        in errors
    )
    assert not (bench.folder / "strict/pets/1.0.0").exists()


def test_a_cluster_adds_images_as_one_process_does(bench: Bench, engine: Engine) -> None:
    more = bench.folder / "more"
    if not more.exists():
        shutil.copytree(bench.folder / "pets", more)
        draw_tree(more, [f"fox/{n:03}.png" for n in range(30)])
        shutil.copytree(bench.folder / "one", bench.folder / "one more")
        finish(bench.start("one more", src="more"))
    shutil.copytree(bench.folder / "one", bench.folder / f"{engine.name} more")
    bench.staged_by.unlink(missing_ok=True)
    said, _ = finish(bench.start(f"{engine.name} more", engine.flags, src="more"))
    assert "631 found = 630 written" in said
    assert bench.staged_by.exists()
    assert bench.digests(f"{engine.name} more") == bench.digests("one more") != bench.digests("one")


def test_a_bucket_may_be_all_that_a_cluster_shares(
    bench: Bench, engine: Engine, bucket: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bucket.items():
        monkeypatch.setenv(name, value)
    s3 = fsspec.filesystem("s3", use_listings_cache=False)
    if not s3.exists("pets"):
        s3.mkdir("pets")
        s3.put(f"{bench.folder}/pets/", "pets/raw/", recursive=True)
        finish(bench.start("s3://pets/one", src="s3://pets/raw"))
    finish(bench.start(f"s3://pets/{engine.name}", engine.flags, src="s3://pets/raw"))

    def version(out: str) -> dict[str, bytes]:
        root = f"pets/{out}/pets/1.0.0/"
        return {name.removeprefix(root): s3.cat(name) for name in s3.find(root)}

    assert version(engine.name) == version("one") != {}


def test_a_worker_that_is_killed_is_replaced(bench: Bench, engine: Engine) -> None:
    (death,) = bench.let_workers_die(1)
    finish(bench.start(f"{engine.name} mended", engine.flags))
    assert not death.exists()
    assert bench.digests(f"{engine.name} mended") == bench.digests("one")


def test_workers_of_flink_that_die_again_and_again_are_one_sentence_and_the_next_run_mends_it(
    bench: Bench, flink: Engine
) -> None:
    deaths = bench.let_workers_die(engines.FLINK_RETRIES + 1)
    _, errors = finish(bench.start("killed", flink.flags), 1)
    assert not any(death.exists() for death in deaths)
    said, goes_on = errors.splitlines()
    assert said.startswith("imageshards-records: the job failed: a worker ended, or the runner itself: "), errors
    assert goes_on == "  what is done is kept: the same command continues from here"
    assert not (bench.folder / "killed/pets/1.0.0").exists()
    finish(bench.start("killed", flink.flags))
    assert bench.digests("killed") == bench.digests("one")


def test_a_machine_of_flink_that_dies_is_replaced_by_another(bench: Bench, flink: Engine) -> None:
    with bench.held("dead machine", flink.flags) as (job, worker):
        flink.cluster.kill(worker)
    finish(job)
    assert bench.digests("dead machine") == bench.digests("one")


def test_a_job_server_that_dies_is_one_sentence(bench: Bench, flink: Engine) -> None:
    with bench.held("no server", flink.flags) as (job, _):
        flink.cluster.kill("jobserver")
        _, errors = finish(job, 1)
    assert errors.startswith("imageshards-records: the job failed: "), errors
    assert len(errors.splitlines()) == 2, errors
    assert not (bench.folder / "no server/pets/1.0.0").exists()
