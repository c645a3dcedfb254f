"""A run's tables: predictions.csv, confusion.csv, labels.csv and history.csv."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imageshards.train.measure import Evaluation

PREDICTIONS = "predictions.csv"


def write_tables(folder: Path, evaluations: Sequence[Evaluation], history: Sequence[Mapping[str, float]]) -> None:
    """Writes the tables of a run into its folder; history.csv only where there were epochs."""
    write_predictions(folder / PREDICTIONS, evaluations)
    write_confusion(folder / "confusion.csv", evaluations)
    _write_rows(folder / "labels.csv", [row for each in evaluations for row in each.per_label()])
    if history:
        _write_rows(folder / "history.csv", history)


def write_predictions(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Writes a row an image: split, key, label, predicted, probability."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["split", "key", "label", "predicted", "probability"])
        for evaluation in evaluations:
            best = evaluation.probabilities.max(axis=1)
            rows = zip(evaluation.keys, evaluation.truth, evaluation.predicted, best, strict=True)
            for key, truth, predicted, probability in rows:
                names = evaluation.labels[truth], evaluation.labels[predicted]
                writer.writerow([evaluation.split, key, *names, f"{probability:.6f}"])


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


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows that have the same columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
