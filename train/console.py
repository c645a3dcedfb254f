"""What a person at a terminal sees of training."""

import contextlib
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from imageshards.pipeline.command import say
from imageshards.pipeline.source import SPLITS
from imageshards.train.api import Run
from imageshards.train.intervals import Estimate, percent
from imageshards.train.options import WEB
from imageshards.train.progress import Progress, Report
from imageshards.train.runs import is_run, previous
from imageshards.train.scoring import Scores

_MISTAKES_SHOWN = 5
_WARNINGS_SHOWN = 10
_LABELS_SHOWN = 5


@contextlib.contextmanager
def shown_progress() -> Iterator[Report]:
    """Yields what shows progress in a terminal: a bar a step, and a line an epoch; elsewhere nothing."""
    bars: dict[str, tqdm] = {}

    def show(progress: Progress) -> None:
        if progress.values:
            if sys.stdout.isatty():
                values = "  ".join(f"{name} {value:.4g}" for name, value in sorted(progress.values.items()))
                say(f"{progress.step} {progress.done}/{progress.total}  {values}")
            return
        if progress.step not in bars:
            _close(bars)
            bars[progress.step] = tqdm(
                total=progress.total, desc=progress.step, unit=" images", disable=None, leave=False
            )
        bars[progress.step].update(progress.done - bars[progress.step].n)

    try:
        yield show
    finally:
        _close(bars)


def _close(bars: dict[str, tqdm]) -> None:
    for bar in bars.values():
        bar.close()


def print_run(run: Run) -> None:
    """Prints the figures of a run, its surest mistakes, and where everything is."""
    losses = {split: run.metrics[f"{split}_loss"] for split in run.accuracy}
    _print_figures(run.accuracy, run.balanced_accuracy, losses)
    say(f"{'guessing':<18}{'':>8}{run.metrics['baseline_accuracy']:>10.1%}   always the most frequent label")
    say(f"{run.metrics['fit']}: {run.metrics['fit_in_words']}")
    for name, exported in run.metrics.get("exports", {}).items():
        estimate = Estimate(exported["accuracy"], exported["images"], *exported["accuracy_interval"])
        say(f"  {name}: {estimate} ({exported['split']})")
    for warning in run.warnings:
        say(f"  note: {warning}")
    split = "validation" if "validation" in run.accuracy else [each for each in SPLITS if each in run.accuracy][-1]
    _print_mistakes(split, run.mistakes(split))
    if issues := run.metrics.get("label_issues"):
        look = "1 label to look at" if issues == 1 else f"{issues:,} labels to look at"
        say(f"  {look} in label_issues.csv; wrong by estimate: {run.metrics['label_errors_estimated']:,}")
    say(f"{run.path}: model.keras, labels.txt, metrics.json, predictions.csv … after {run.metrics['seconds']} s")
    if is_run(previous(run.path)):
        say(f"  the run that was there is {previous(run.path)} now")
    say(f"  imageshards-predict {shlex.quote(str(run.path))} IMAGE …")
    if (run.path / WEB).is_dir():
        page = shlex.quote(str(run.path / WEB))
        say(f"  python -m http.server --bind 127.0.0.1 --directory {page}   serves the page for browsers")
    say(f"  {run.path / 'report.html'}")


def print_scores(found: Scores) -> None:
    """Prints how a run did on other images: figures, the weakest labels, and the surest mistakes."""
    _print_figures(found.accuracy, found.balanced_accuracy, {each.split: each.loss for each in found.evaluations})
    for warning in found.warnings[:_WARNINGS_SHOWN]:
        say(f"  note: {warning}")
    if len(found.warnings) > _WARNINGS_SHOWN:
        say(f"  … and {len(found.warnings) - _WARNINGS_SHOWN} more notes")
    for each in found.evaluations:
        recalls = [(recall, label) for label, recall in zip(each.labels, each.recalls, strict=True) if recall.images]
        for recall, label in sorted(recalls, key=lambda pair: pair[0].value)[:_LABELS_SHOWN]:
            say(f"  {each.split}: of {label}, {recall.value:.1%} of {recall.images:,} were found ({recall.interval})")
        _print_mistakes(each.split, each.mistakes())


def _print_figures(
    accuracy: Mapping[str, Estimate], balanced: Mapping[str, Estimate], losses: Mapping[str, float]
) -> None:
    unequal = any(balanced[split].value != estimate.value for split, estimate in accuracy.items())
    heading = "balanced" if unequal else ""
    say(f"{'split':<18}{'images':>8}{'accuracy':>10}{'95% interval':>14}{heading:>10}{'loss':>9}")
    for split, estimate in accuracy.items():
        by_label = f"{balanced[split].value:.1%}" if unequal else ""
        figures = f"{estimate.images:>8}{estimate.value:>10.1%}{estimate.interval:>14}{by_label:>10}"
        say(f"{split.replace('_', '-'):<18}{figures}{losses[split]:>9.4f}")


def _print_mistakes(split: str, wrong: Sequence[Mapping[str, Any]]) -> None:
    for row in wrong[:_MISTAKES_SHOWN]:
        said = f"taken for {row['predicted']} ({percent(float(row['probability']))})"
        say(f"  wrong: {row['key']} is {row['label']}, {said}")
    if len(wrong) > _MISTAKES_SHOWN:
        say(f"  … and {len(wrong) - _MISTAKES_SHOWN} more of {split}, in predictions.csv")
