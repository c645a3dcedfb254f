"""Beam's flags: which pass, which are refused, and in which words; and what a worker elsewhere must not depend on."""

import concurrent.futures
import contextlib
import functools
import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import grpc
import pytest
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from imageshards.pipeline.__main__ import parse
from imageshards.pipeline.api import plan_jobs, run_job
from imageshards.pipeline.awaited import Watch, awaited
from imageshards.pipeline.errors import JobError, UserError
from imageshards.pipeline.failures import in_words
from imageshards.pipeline.host import interrupted_by_signals
from imageshards.pipeline.options import Options

from .conftest import draw_tree


class JobService(beam_job_api_pb2_grpc.JobServiceServicer):
    """A job service that takes one flag of its own."""

    def DescribePipelineOptions(  # noqa: N802 (Beam's name)
        self, request: beam_job_api_pb2.DescribePipelineOptionsRequest, context: grpc.ServicerContext
    ) -> beam_job_api_pb2.DescribePipelineOptionsResponse:
        del request, context
        option = beam_job_api_pb2.PipelineOptionDescriptor(name="number_of_retries")
        return beam_job_api_pb2.DescribePipelineOptionsResponse(options=[option])


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(JobService(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--runner dask", "--runner dask: Beam's runner for Dask leaves out parts of a job, and loses records"),
        ("--runner apache_beam.runners.dask.dask_runner.DaskRunner", "leaves out parts of a job"),
        ("--runner Flick", "--runner Flick: give one of flink, spark, dataflow, portable, prism, FnApiRunner"),
        ("--runner portable", "say where Beam's job service is, with --job_endpoint HOST:PORT"),
        ("--job_endpoint localhost:8099", "the job would run here; give --runner portable as well"),
        ("--runner portable --job_endpoint 127.0.0.1:1", "no job service of Beam answers there"),
        ("--runner flink --no_wait_until_finish", "the index and the report are written here"),
        ("--runner flink --sise 64", "--sise: neither this command nor Beam has such an option; did you mean --size?"),
        ("--number_of_retries 3", "--number_of_retries: neither this command nor Beam has such an option"),
        ("--runner FnApiRunner --number_of_retries 3", "neither this command nor Beam has such an option"),
        ("--runner portable --job_endpoint ENDPOINT --number_of_attempts 3", "--number_of_attempts: neither"),
        ("--runner portable --job_endpoint ENDPOINT --number_of_retries 3 more", "more: one argument too many"),
    ],
)
def test_flags_that_cannot_work_are_refused_before_anything_is_read(flags: str, message: str, endpoint: str) -> None:
    with pytest.raises(UserError) as refused:
        parse(["raw", *flags.replace("ENDPOINT", endpoint).split()])
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "flags",
    [
        "--runner portable --job_endpoint ENDPOINT --number_of_retries 3",
        "--runner flink --flink_master cluster:8081 --number_of_retries 3",
        "--runner DirectRunner --direct_num_workers 2",
    ],
)
def test_what_a_runner_may_know_passes(flags: str, endpoint: str) -> None:
    given = flags.replace("ENDPOINT", endpoint).split()
    options, passed = parse(["raw", "--size", "32", *given])
    assert options.size == 32
    assert passed == given


def test_a_relative_out_is_found_by_a_worker_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_tree(tmp_path / "here/pets", ["cat/1.png", "dog/1.png"])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    class Elsewhere(beam.Pipeline):  # type: ignore[misc]
        def run(self, test_runner_api: str | bool = "AUTO") -> object:
            with contextlib.chdir(tmp_path / "elsewhere"):
                return super().run(test_runner_api)

    (job,) = plan_jobs(Options(src="pets", out="data", size=32))
    records = run_job(job, lambda: Elsewhere("FnApiRunner"))
    assert records.path == Path("data/pets/1.0.0")
    assert (tmp_path / "here/data/pets/1.0.0/dataset_info.json").exists()


@pytest.mark.slow
def test_what_travels_to_workers_does_not_grow_with_the_dataset(tmp_path: Path) -> None:
    """Nor does it with the version before, whose splits are kept."""
    draw_tree(tmp_path / "pets", ["cat/0.png", "dog/0.png"], size=(8, 8))

    class Weighed(beam.Pipeline):  # type: ignore[misc]
        def run(self, test_runner_api: str | bool = "AUTO") -> object:
            raise JobError(str(self.to_runner_api().ByteSize()))

    sizes = []
    for copies in (1, 600):
        for _ in range(copies):
            shutil.copy(tmp_path / "pets/cat/0.png", tmp_path / f"pets/cat/{uuid.uuid4().hex}.png")
        options = Options(src=str(tmp_path / "pets"), out=str(tmp_path / "data"), size=8)
        run_job(plan_jobs(options)[0])
        (tmp_path / "pets/dog/0.png").touch()
        with pytest.raises(JobError) as weighed:
            run_job(plan_jobs(options)[0], lambda: Weighed("FnApiRunner"))
        sizes.append(int(str(weighed.value)))
    assert abs(sizes[1] - sizes[0]) < 1_000, sizes  # compressed, names alone would add 600 × 16 bytes


JAVA = """java.lang.RuntimeException: Error received from SDK harness: Traceback (most recent call last):
  File "imageshards/pipeline/transforms.py", line 54, in finish_bundle
    for done in self._stager.finish():
OSError: [Errno 28] No space left on device

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "apache_beam/runners/worker/sdk_worker.py", line 310, in _execute
    response = task()
{line} [while running 'Stage/Stage']

\tat java.base/java.util.concurrent.CompletableFuture.reportGet(CompletableFuture.java:396)
\tat java.base/java.lang.Thread.run(Thread.java:840)
"""
GONE = """<_MultiThreadedRendezvous of RPC that terminated with:
\tstatus = StatusCode.UNAVAILABLE
\tdetails = "Socket closed"
\tdebug_error_string = "UNKNOWN:Error received from peer"
>"""
DIED = "Pipeline pets-1129_1 failed in state FAILED: java.lang.IllegalStateException: Process died with exit code 137"
NO_SLOT = "org.apache.flink.JobException: No\n\tat x\nCaused by: java.util.concurrent.TimeoutException: Time is up"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (JAVA.format(line="RuntimeError: OSError: [Errno 28] No space left on device"), "No space left on device"),
        (
            JAVA.format(line="imageshards.pipeline.errors.StorageError: s3://pets/a.png: the store refuses it"),
            "s3://pets/a.png: the store refuses it",
        ),
        (GONE, "the runner is gone: Socket closed"),
        (DIED, "a worker ended, or the runner itself: Process died with exit code 137"),
        (NO_SLOT, "a worker ended, or the runner itself: Time is up"),
        ("", "a worker ended, or the runner itself: RuntimeError"),
    ],
)
def test_a_failure_elsewhere_is_the_sentence_of_the_worker_or_the_runner(said: str, sentence: str) -> None:
    assert in_words(RuntimeError(said)) == sentence


def test_workers_end_when_nobody_awaits_them_or_the_same_job_began_again(tmp_path: Path) -> None:
    with awaited(tmp_path, "one"):
        Watch(tmp_path, "one").check()
        with awaited(tmp_path, "two"):
            Watch(tmp_path, "two").check()
            with pytest.raises(JobError, match="nobody awaits this job any more"):
                Watch(tmp_path, "one").check()
    with pytest.raises(JobError, match="nobody awaits this job any more"):
        Watch(tmp_path, "two").check()


def test_an_interrupt_cancels_a_job_elsewhere_and_its_workers_do_no_more(tmp_path: Path) -> None:
    """Not every runner cancels when it is asked to; this one goes on as if nothing had been."""
    draw_tree(tmp_path / "pets", ["cat/0.png", "dog/0.png"], size=(8, 8))
    left = []

    class Deaf(beam.Pipeline):  # type: ignore[misc]
        def run(self, test_runner_api: str | bool = "AUTO") -> object:
            left.append(functools.partial(super().run, test_runner_api))
            raise KeyboardInterrupt

    (job,) = plan_jobs(Options(src=str(tmp_path / "pets"), out=str(tmp_path / "data"), size=8))
    with pytest.raises(KeyboardInterrupt):
        run_job(job, lambda: Deaf("FnApiRunner"))
    with pytest.raises(Exception, match="nobody awaits this job any more"):
        left[0]()
    assert not list(tmp_path.glob("data/pets/incomplete.1.0.0/staged/*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_ends_the_command_lets_it_cancel_first(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interrupted_by_signals():
        signal.raise_signal(number)
    assert signal.getsignal(number) == before
