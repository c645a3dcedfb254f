"""What a person at a terminal sees of training."""

import contextlib
import shlex
import sys
from collections.abc import Iterator

from tqdm import tqdm

from imageshards.pipeline.command import say
from imageshards.pipeline.source import SPLITS
from imageshards.train.api import Run
from imageshards.train.intervals import percent
from imageshards.train.progress import Progress, Report

_MISTAKES_SHOWN = 5


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
    _print_figures(run)
    say(f"{run.metrics['fit']}: {run.metrics['fit_in_words']}")
    for warning in run.warnings:
        say(f"  note: {warning}")
    _print_mistakes(run)
    if issues := run.metrics.get("label_issues"):
        look = "1 label to look at" if issues == 1 else f"{issues:,} labels to look at"
        say(f"  {look} in label_issues.csv; wrong by estimate: {run.metrics['label_errors_estimated']:,}")
    say(f"{run.path}: model.keras, labels.txt, metrics.json, predictions.csv … after {run.metrics['seconds']} s")
    say(f"  imageshards-predict {shlex.quote(str(run.path))} IMAGE …")
    say(f"  {run.path / 'report.html'}")


def _print_figures(run: Run) -> None:
    balanced = run.balanced_accuracy
    unequal = any(balanced[split].value != accuracy.value for split, accuracy in run.accuracy.items())
    say(f"{'split':<18}{'images':>8}{'accuracy':>10}{'95% interval':>14}{'balanced' if unequal else '':>10}{'loss':>9}")
    for split, accuracy in run.accuracy.items():
        by_label = f"{balanced[split].value:.1%}" if unequal else ""
        figures = f"{accuracy.images:>8}{accuracy.value:>10.1%}{accuracy.interval:>14}{by_label:>10}"
        say(f"{split.replace('_', '-'):<18}{figures}{run.metrics[f'{split}_loss']:>9.4f}")
    say(f"{'guessing':<18}{'':>8}{run.metrics['baseline_accuracy']:>10.1%}   always the most frequent label")


def _print_mistakes(run: Run) -> None:
    split = "validation" if "validation" in run.accuracy else [each for each in SPLITS if each in run.accuracy][-1]
    wrong = run.mistakes(split)
    for row in wrong[:_MISTAKES_SHOWN]:
        said = f"taken for {row['predicted']} ({percent(float(row['probability']))})"
        say(f"  wrong: {row['key']} is {row['label']}, {said}")
    if len(wrong) > _MISTAKES_SHOWN:
        say(f"  … and {len(wrong) - _MISTAKES_SHOWN} more of {split}, in predictions.csv")
