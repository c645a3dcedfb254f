"""The one door to the records job, for Python, for the commands, for the TFDS builder and for the app.

    from imageshards.pipeline import make_records

    version = make_records("raw/", dataset="pexels", out="data", size=224)
    print(version.path, version.labels, version.counts, version.rejected)

Nothing is printed, no process-wide setting is changed, and what goes wrong is an exception whose text is what the
command would say.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imageshards.pipeline.errors import JobError, UserError, refusal
from imageshards.pipeline.keywords import check_choices, takes_options_of
from imageshards.pipeline.options import Options
from imageshards.pipeline.progress import Progress, Report
from imageshards.pipeline.source import LONE_SURROGATE, PASSING

if TYPE_CHECKING:
    import apache_beam as beam

    from imageshards.pipeline.sources.dataset import SourceDataset
    from imageshards.pipeline.survey import Survey
    from imageshards.pipeline.versions import Version

_BEAMS_WORDS = re.compile(r" \[while running '[^']*'\]")

NewPipeline = Callable[[], "beam.Pipeline"]


@dataclasses.dataclass(frozen=True)
class Records:
    """A published version of a dataset."""

    path: Path
    """OUT/<dataset>/<version>."""

    labels: list[str]
    """The class names, in the order of their numbers."""

    counts: Mapping[str, Mapping[str, int]]
    """How many images each split has of each label."""

    rejected: int
    """How many files are in rejected.csv."""

    warnings: list[str]
    """What else to know of how the source was read."""

    metadata: Mapping[str, Any]
    """All that metadata.json says."""

    up_to_date: bool
    """Whether the version was there already, and nothing was touched."""

    def survey(self) -> "Survey":
        """Looks at the dataset: originals, repeated files, look-alikes, plain pictures, and remarks in words."""
        from imageshards.pipeline.survey import survey_of

        return survey_of(self.path)


@dataclasses.dataclass(frozen=True)
class Job:
    """One dataset to make: what was understood of its images, and the version that they become."""

    dataset: "SourceDataset"
    version: "Version"


@takes_options_of(Options)
def make_records(src: str, *, progress: Report | None = None, **keywords: Any) -> Records:
    """Makes a dataset of the images in `src`, unless it is there and up to date, and returns it.

    `progress` is called, from threads of the job, with the number of images that are done and of those rejected.

    Raises:
      UserError: something that the caller can mend: no images, no labels, two possible readings, a wrong option.
      JobError: the job failed; what is done is kept, and the same call goes on from there.
    """
    jobs = plan_jobs(_options(src, keywords))
    if len(jobs) > 1:
        names = ", ".join(job.version.name for job in jobs)
        raise UserError(f"{src}: several datasets ({names}); make one at a time, such as {src}/{jobs[0].version.name}")
    return run_job(jobs[0], progress=Progress(progress))


def plan_jobs(options: Options) -> list[Job]:
    """Reads SRC and returns the datasets in it; nothing is written.

    Raises:
      UserError: SRC cannot be understood, or OUT lies in it.
    """
    from imageshards.pipeline import storage
    from imageshards.pipeline.sources.layouts import read
    from imageshards.pipeline.versions import Version

    jobs = []
    for dataset in read(options):
        folder = storage.place(options.out) / dataset.options.dataset_name()
        if LONE_SURROGATE.search(str(folder)):
            raise UserError(
                f"{folder}: not every program can write this name, which is not UTF-8; choose another --out"
            )
        if storage.real(folder).is_relative_to(dataset.root):
            raise UserError(
                f"{folder} lies in the folder with the images, {dataset.root}; choose another folder with --out"
            )
        jobs.append(Job(dataset, Version(folder, options.version)))
    return jobs


def run_job(job: Job, new_pipeline: NewPipeline | None = None, progress: Progress | None = None) -> Records:
    """Publishes the version unless it is up to date, and returns it.

    Args:
      job: what to make. Its sources are let go of as soon as they are on the disk.
      new_pipeline: returns an empty Beam pipeline, which says where the job runs; this process unless given.
      progress: counts images in this process.

    Raises:
      UserError: not one image could be read, or another job builds this version.
      JobError: the job failed; what is done is kept, and the same call goes on from there.
    """
    try:
        return _run_job(job, new_pipeline or _in_this_process, progress or Progress())
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise JobError(reason) from error


def _run_job(job: Job, new_pipeline: NewPipeline, progress: Progress) -> Records:
    from imageshards.pipeline import storage, versions
    from imageshards.pipeline.fingerprint import dataset_fingerprint
    from imageshards.pipeline.publication import place_of

    fingerprint = dataset_fingerprint(job.dataset)
    metadata = versions.read_metadata(job.version)
    if metadata and _is_up_to_date(job.version, metadata, fingerprint) and not job.dataset.options.redraw_splits:
        if storage.exists(job.version.work):
            place_of(job.version).remove_leftovers()
        return _records(job, metadata, up_to_date=True)

    from imageshards.pipeline.job import build

    metadata = build(job.dataset, job.version, fingerprint, new_pipeline, progress)
    return _records(job, versions.read_metadata(job.version) or metadata, up_to_date=False)


def _is_up_to_date(version: "Version", metadata: Mapping[str, Any], fingerprint: str) -> bool:
    """Says whether a build would give what is there; files that could not be read the last time are tried again."""
    from imageshards.pipeline.versions import missing_files

    same = metadata["fingerprint"] == fingerprint and PASSING.isdisjoint(metadata["rejected"])
    return same and not missing_files(version, metadata)


def _options(src: str, keywords: Mapping[str, Any]) -> Options:
    known = {field.name for field in dataclasses.fields(Options)}
    for name in keywords.keys() - known:
        raise TypeError(f"make_records() got an unexpected keyword argument {name!r}")
    options = Options(src=src, **keywords)
    check_choices(options)
    return options


def _in_this_process() -> "beam.Pipeline":
    from imageshards.pipeline.runner import new_pipeline

    return new_pipeline([])


def _records(job: Job, metadata: Mapping[str, Any], *, up_to_date: bool) -> Records:
    return Records(
        path=job.version.path,
        labels=list(job.dataset.labels),
        counts=metadata["splits"],
        rejected=sum(metadata["rejected"].values()),
        warnings=list(job.dataset.notes),
        metadata=metadata,
        up_to_date=up_to_date,
    )


def _reason(error: BaseException | None) -> str | None:
    """Returns what made a job fail, where words say it better than a traceback. Beam wraps what it passes on."""
    while error is not None:
        if isinstance(error, UserError):
            raise error
        if isinstance(error, OSError) and error.errno:
            said = refusal(error)
            if isinstance(said, UserError):
                raise said from error
            return str(said)
        if isinstance(error, JobError):
            return _BEAMS_WORDS.sub("", str(error))
        error = error.__context__
    return None
