"""Where a job runs: in this process unless Beam's own flags say otherwise."""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult

from imageshards.pipeline.errors import JobError, UserError
from imageshards.pipeline.failures import in_words

_HERE = ("direct", "fnapi")
_IN_THIS_PROCESS = (None, "in_memory")
_PORTABLE = ("flink", "portable", "prism", "spark")  # their workers are started by Beam's container contract
_RUNNERS = ("flink", "spark", "dataflow", "portable", "prism", "FnApiRunner")
_ANSWER_SECONDS = 20


def new_pipeline(flags: Sequence[str]) -> beam.Pipeline:
    """Returns an empty pipeline that runs where `flags`, which `unknown_flags` has seen, say.

    Without `--runner` it is FnApiRunner, in memory, by name: Beam's DirectRunner would first try to download another
    one. The threads that decode are inside the job's own step.

    On a cluster workers are processes, started by `imageshards-worker`, unless `--environment_type` says otherwise.

    Raises:
      UserError: the runner wants flags that are not given.
    """
    known, _ = _parser().parse_known_args(list(flags))
    runner = _short(known.runner)
    if runner in _HERE:
        pipeline = beam.Pipeline if known.direct_running_mode in _IN_THIS_PROCESS else _Processes
        return pipeline(FnApiRunner(), PipelineOptions(list(flags)))
    more = []
    if runner in _PORTABLE and not known.environment_type:
        command = json.dumps({"command": str(Path(sys.executable).with_name("imageshards-worker"))})
        more = ["--environment_type=PROCESS", f"--environment_config={command}"]
    try:
        return _Elsewhere(options=PipelineOptions([*flags, *more]))
    except (ValueError, ImportError, AttributeError) as error:
        raise UserError(f"--runner {known.runner}: {' '.join(str(error).split())}") from error


def runs_here(flags: Sequence[str]) -> bool:
    """Says whether a job ends with this process: no service would go on with it."""
    known, _ = _parser().parse_known_args(list(flags))
    return _short(known.runner) in _HERE


class _Processes(beam.Pipeline):  # type: ignore[misc]
    """A pipeline with workers in other processes of this machine. Their failure is a sentence."""

    def run(self, test_runner_api: str | bool = "AUTO") -> PipelineResult:
        try:
            return super().run(test_runner_api)
        except Exception as error:
            raise JobError(in_words(error)) from error


class _Elsewhere(beam.Pipeline):  # type: ignore[misc]
    """A pipeline that a service runs. Its failure is a sentence.

    An interrupt cancels it where the service can; otherwise workers find out that nobody awaits them.
    """

    def run(self, test_runner_api: str | bool = "AUTO") -> PipelineResult:
        result = None
        try:
            result = super().run(test_runner_api)
            result.wait_until_finish()
        except KeyboardInterrupt:
            if result is not None:
                result.cancel()
            raise
        except Exception as error:
            raise JobError(in_words(error)) from error
        return result


@contextlib.contextmanager
def without_notebook_labels() -> Iterator[None]:
    """Keeps Beam from labelling the transforms made in the block after cells of a notebook.

    To do so it imports its data frames, and with pandas 3 these raise an AttributeError.
    """
    before = beam.pipeline.alter_label_if_ipython
    beam.pipeline.alter_label_if_ipython = lambda *_: None
    try:
        yield
    finally:
        beam.pipeline.alter_label_if_ipython = before


def unknown_flags(flags: Sequence[str]) -> tuple[list[str], bool]:
    """Returns the arguments that Beam does not know, and whether a runner elsewhere may know them.

    A job service is asked for the flags that it takes.

    Raises:
      UserError: a flag or runner that cannot be used, or that loses records.
    """
    parser = _parser()
    try:
        known, unknown = parser.parse_known_args(list(flags))
        runner = _checked(known)
        if runner in _PORTABLE and known.job_endpoint:
            _add_flags_of(known.job_endpoint, parser)
            return parser.parse_known_args(list(flags))[1], False
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from error
    return unknown, runner not in _HERE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False, add_help=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    return parser


def _short(runner: str | None) -> str:
    """Returns a runner's name as it is mostly given: flink for FlinkRunner."""
    return runner.rpartition(".")[2].lower().removesuffix("runner") if runner else _HERE[0]


def _checked(known: argparse.Namespace) -> str:
    """Returns the short name of the runner, of which it is known that a job can run there."""
    runner = _short(known.runner)
    if runner == "dask":
        raise UserError(f"--runner {known.runner}: Beam's runner for Dask leaves out parts of a job, and loses records")
    if runner not in {*_HERE, *map(_short, _RUNNERS)}:
        raise UserError(f"--runner {known.runner}: give one of {', '.join(_RUNNERS)}")
    if runner in _HERE and known.job_endpoint:
        raise UserError(f"--job_endpoint {known.job_endpoint}: the job would run here; give --runner portable as well")
    if runner == "portable" and not known.job_endpoint:
        raise UserError(f"--runner {known.runner}: say where Beam's job service is, with --job_endpoint HOST:PORT")
    if known.direct_running_mode == "multi_threading":
        raise UserError("--direct_running_mode multi_threading: Beam loses records silently in it; use --workers")
    if known.no_wait_until_finish:
        raise UserError("--no_wait_until_finish: the index and the report are written here when all workers are done")
    return runner


def _add_flags_of(endpoint: str, parser: argparse.ArgumentParser) -> None:
    """Adds the flags that a job service says it takes."""
    with grpc.insecure_channel(endpoint) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        request = beam_job_api_pb2.DescribePipelineOptionsRequest()
        try:
            described = service.DescribePipelineOptions(request, timeout=_ANSWER_SECONDS)
        except grpc.RpcError as error:
            raise UserError(f"--job_endpoint {endpoint}: no job service of Beam answers there") from error
    for option in described.options:
        with contextlib.suppress(argparse.ArgumentError):  # Beam knows most of them here as well
            parser.add_argument(f"--{option.name}", nargs="?")
