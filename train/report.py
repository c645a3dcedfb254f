"""report.html of a run: how training went, what the model confuses, and its mistakes as pictures."""

import collections
import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from imageshards.pipeline.page import render, thumbnail
from imageshards.train.assessment import Assessment
from imageshards.train.input import Dataset, pictures
from imageshards.train.intervals import wilson
from imageshards.train.label_issues import LabelIssue
from imageshards.train.measure import Evaluation

REPORT = "report.html"

_MISTAKES = 24
_ISSUES = 48
_SAMPLES = 15
_TOP = 3
_LABELS = 100
_MATRIX = 24  # labels, above which a confusion matrix is a list of what is confused most
_WIDTH, _HEIGHT, _MARGIN = 480, 200, 8  # of a curve, in units of its SVG


@dataclasses.dataclass(frozen=True)
class Curves:
    """A value by epoch or by training images: points of an SVG, and what its axes run from and to."""

    title: str
    lines: dict[str, str]  # split → points
    low: float
    high: float
    first: str
    last: str
    best: float | None = None  # where the best epoch is, in units of the SVG


@dataclasses.dataclass(frozen=True)
class Shown:
    """One picture, what it is and what it was taken for."""

    key: str
    split: str
    picture: str  # a data: address
    true: str
    said: str
    names: list[tuple[str, float]]  # the most probable labels

    @property
    def right(self) -> bool:
        """Says whether it was taken for what it is."""
        return self.true == self.said


def write_report(
    folder: Path,
    name: str,
    dataset: Dataset,
    assessment: Assessment,
    history: Sequence[Mapping[str, float]],
    metrics: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:
    """Writes report.html into a run's folder. However large the splits, a bounded number of pictures is shown."""
    evaluations = assessment.evaluations
    new = next((each for each in reversed(evaluations) if each.split != "train"), evaluations[-1])
    learning = metrics.get("learning_curve", [])
    mistakes = _mistakes(evaluations)
    samples = [(new, number) for number in range(min(_SAMPLES, len(new.truth)))]  # the records' order is random
    issues = assessment.label_issues.issues[:_ISSUES] if assessment.label_issues else ()
    thumbnails = _thumbnails(
        dataset,
        [*((each.split, number) for each, number in [*mistakes, *samples]), *((i.split, i.number) for i in issues)],
    )
    page = render(
        Path(__file__).with_name(REPORT),
        name=name,
        metrics=metrics,
        settings=settings,
        evaluations=[*evaluations, *filter(None, [assessment.cross_validation])],
        curves=[
            _curves(title, name, history, metrics["best_epoch"])
            for title, name in (("Accuracy", "accuracy"), ("Loss", "loss"))
            if history
        ],
        learning=[(point["training_images"], wilson(point["right"], point["images"])) for point in learning],
        learning_curve=_learning_curve(learning) if learning else None,
        width=_WIDTH,
        height=_HEIGHT,
        new=new.split,
        labels=new.labels,
        matrix=new.confusion().tolist() if len(new.labels) <= _MATRIX else None,
        confused=_confused(new),
        per_label=sorted(new.per_label(), key=lambda row: (row["recall"] is None, row["recall"]))[:_LABELS],
        wrong=sum(int((each.predicted != each.truth).sum()) for each in evaluations),
        mistakes=_shown(mistakes, thumbnails),
        samples=_shown(samples, thumbnails),
        issues=[(issue, thumbnails[issue.split, issue.number]) for issue in issues],
        corrections=_corrections(issues),
    )
    (folder / REPORT).write_text(page, encoding="utf-8", newline="\n")


def _curves(title: str, name: str, history: Sequence[Mapping[str, float]], best: int) -> Curves:
    series = {
        split: [epoch.get(key, math.nan) for epoch in history]
        for split, key in (("train", name), ("validation", f"val_{name}"))
    }
    series = {split: values for split, values in series.items() if not all(map(math.isnan, values))}
    known = [value for values in series.values() for value in values if math.isfinite(value)] or [0.0]
    low, high = (math.floor(10 * min(known)) / 10, 1.0) if name == "accuracy" else (0.0, max(known))

    lines = {
        split: [((n - 1) / max(1, len(history) - 1), value) for n, value in enumerate(values, 1)]
        for split, values in series.items()
    }
    points = {split: _points(values, low, high) for split, values in lines.items()}
    at = _MARGIN + (_WIDTH - 2 * _MARGIN) * (best - 1) / max(1, len(history) - 1)
    return Curves(title, points, low, high, "epoch 1", f"epoch {len(history)}", at)


def _learning_curve(points: Sequence[Mapping[str, int]]) -> Curves:
    """Returns the accuracy on left-out images by training images, on a logarithmic axis."""
    sizes = [math.log(point["training_images"]) for point in points]
    values = [point["right"] / point["images"] for point in points]
    low = math.floor(10 * min(values)) / 10
    places = [(size - sizes[0]) / (sizes[-1] - sizes[0] or 1) for size in sizes]
    line = _points(list(zip(places, values, strict=True)), low, 1.0)
    first, last = (f"{point['training_images']:,} images" for point in (points[0], points[-1]))
    return Curves("Accuracy by training images", {"validation": line}, low, 1.0, first, last)


def _points(line: Sequence[tuple[float, float]], low: float, high: float) -> str:
    """Returns the points of an SVG; `line` has places from 0 to 1, left to right, and values from `low` to `high`."""
    return " ".join(
        f"{_MARGIN + (_WIDTH - 2 * _MARGIN) * place:.1f},"
        f"{_HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * (value - low) / (high - low or 1):.1f}"
        for place, value in line
        if math.isfinite(value)
    )


def _mistakes(evaluations: Sequence[Evaluation]) -> list[tuple[Evaluation, int]]:
    """Returns the mistakes that the model was surest of: where it is right after all, the label is wrong."""
    wrong = [
        (float(-each.probabilities[number].max()), order, number)
        for order, each in enumerate(evaluations)
        for number in _surest(each)
    ]
    return [(evaluations[order], number) for _, order, number in sorted(wrong)[:_MISTAKES]]


def _surest(evaluation: Evaluation) -> list[int]:
    wrong = np.flatnonzero(evaluation.predicted != evaluation.truth)
    order = np.argsort(-evaluation.probabilities[wrong].max(axis=1), kind="stable")
    surest: list[int] = wrong[order][:_MISTAKES].tolist()
    return surest


def _confused(evaluation: Evaluation) -> list[tuple[str, str, int]]:
    """Returns which label was taken for which, and how often, the most frequent first."""
    table = evaluation.confusion()
    np.fill_diagonal(table, 0)
    order = np.argsort(-table, axis=None, kind="stable")[:_MATRIX]
    pairs = [(int(n) // len(table), int(n) % len(table)) for n in order]
    return [(evaluation.labels[t], evaluation.labels[p], int(table[t, p])) for t, p in pairs if table[t, p]]


def _thumbnails(dataset: Dataset, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """Returns pictures as data: addresses, by split and number in it; a split is read once."""
    numbers = collections.defaultdict(set)
    for split, number in wanted:
        numbers[split].add(number)
    return {
        (split, number): thumbnail(Image.fromarray(picture.squeeze()))
        for split in numbers
        for number, picture in pictures(dataset, split, numbers[split]).items()
    }


def _corrections(issues: Iterable[LabelIssue]) -> str:
    """Returns lines of a corrections.csv that gives the pictured images their likely labels."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["file", "label"])
    writer.writerows([issue.file, issue.likely] for issue in issues)
    return buffer.getvalue()


def _shown(wanted: Sequence[tuple[Evaluation, int]], thumbnails: Mapping[tuple[str, int], str]) -> list[Shown]:
    shown = []
    for each, number in wanted:
        probabilities = each.probabilities[number]
        best = np.argsort(-probabilities, kind="stable")[:_TOP].tolist()
        shown.append(
            Shown(
                key=each.keys[number],
                split=each.split,
                picture=thumbnails[each.split, number],
                true=each.labels[each.truth[number]],
                said=each.labels[each.predicted[number]],
                names=[(each.labels[n], float(probabilities[n])) for n in best],
            )
        )
    return shown
