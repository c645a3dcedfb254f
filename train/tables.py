"""A run's tables: predictions.csv, confusion.csv, labels.csv, label_issues.csv and history.csv."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imageshards.pipeline.spreadsheet import as_path, write_rows
from imageshards.train.assessment import Assessment
from imageshards.train.label_issues import LabelIssue
from imageshards.train.measure import Evaluation

PREDICTIONS = "predictions.csv"
LABEL_ISSUES = "label_issues.csv"


def write_tables(folder: Path, assessment: Assessment, history: Sequence[Mapping[str, float]]) -> None:
    """Writes the tables of a run into its folder; history.csv only where there were epochs."""
    if assessment.label_issues is not None:
        write_label_issues(folder / LABEL_ISSUES, assessment.label_issues.issues)
    write_evaluations(folder, assessment.evaluations)
    if history:
        _write_rows(folder / "history.csv", history)


def write_evaluations(folder: Path, evaluations: Sequence[Evaluation]) -> None:
    """Writes predictions.csv, confusion.csv and labels.csv."""
    write_predictions(folder / PREDICTIONS, evaluations)
    write_confusion(folder / "confusion.csv", evaluations)
    _write_rows(folder / "labels.csv", [row for each in evaluations for row in each.per_label()])


def write_predictions(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Writes a row per image: split, key, label, predicted, probability."""

    def rows() -> Iterator[Sequence[object]]:
        yield "split", "key", "label", "predicted", "probability"
        for evaluation in evaluations:
            best = evaluation.probabilities.max(axis=1)
            images = zip(evaluation.keys, evaluation.truth, evaluation.predicted, best, strict=True)
            for key, truth, predicted, probability in images:
                names = evaluation.labels[truth], evaluation.labels[predicted]
                yield evaluation.split, as_path(key), *names, f"{probability:.6f}"

    with path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, rows())


def write_confusion(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Writes how often a label was taken for another: split, label, predicted, images."""
    _write_rows(
        path,
        [
            {
                "split": evaluation.split,
                "label": evaluation.labels[truth],
                "predicted": evaluation.labels[predicted],
                "images": int(images),
            }
            for evaluation in evaluations
            for (truth, predicted), images in np.ndenumerate(evaluation.confusion())
            if images
        ],
    )


def write_label_issues(path: Path, issues: Sequence[LabelIssue]) -> None:
    """Writes a row for each label to look at, the likeliest error first; `score` is the given label's probability."""
    rows = [
        (as_path(issue.file), issue.given, issue.likely, f"{issue.score:.6f}", issue.split, issue.reason)
        for issue in issues
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, [("file", "label", "likely_label", "score", "split", "reason"), *rows])


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows that have the same columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, [list(rows[0]) if rows else [], *(row.values() for row in rows)])
