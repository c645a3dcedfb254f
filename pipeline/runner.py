"""Where a job runs: in this process unless Beam's own flags say otherwise."""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners import create_runner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from imageshards.pipeline.errors import UserError

_PORTABLE = ("flink", "portable", "prism", "spark")


def new_pipeline(flags: Sequence[str]) -> beam.Pipeline:
    """Returns an empty pipeline.

    Without `--runner` it is FnApiRunner, in memory, by name: DirectRunner would first try to download another one. The
    threads that decode are inside the job's own step. Beam's multi_threading loses records silently and is refused.

    On a cluster workers are processes, started by `imageshards-worker`, unless `--environment_type` says otherwise.
    """
    given = {flag.split("=")[0] for flag in flags}
    if "--runner" not in given:
        return beam.Pipeline(FnApiRunner(), PipelineOptions(list(flags)))
    options = PipelineOptions(list(flags))
    try:
        create_runner(options.view_as(StandardOptions).runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise UserError(f"--runner {options.view_as(StandardOptions).runner}: {error}") from error
    runner = options.view_as(StandardOptions).runner.lower().removesuffix("runner")
    if runner in _PORTABLE and "--environment_type" not in given:
        command = json.dumps({"command": str(Path(sys.executable).with_name("imageshards-worker"))})
        flags = [*flags, "--environment_type=PROCESS", f"--environment_config={command}"]
    return beam.Pipeline(options=PipelineOptions(list(flags)))


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


def unknown_flags(flags: Sequence[str]) -> list[str]:
    """Returns the flags that Beam does not know; raises UserError for one that it cannot use or that loses records."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False, add_help=False)
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    try:
        known, unknown = parser.parse_known_args(list(flags))
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from error
    if known.direct_running_mode == "multi_threading":
        raise UserError("--direct_running_mode multi_threading: Beam loses records silently in it; use --workers")
    return unknown
