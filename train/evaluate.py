"""How good a model is, split by split: beside what guessing would reach, and down to each image."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_GAP = 0.1  # training accuracy so far above validation accuracy is overfitting
_LOW = 0.8


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One split: the source file, true label and probabilities (images, labels) of each image."""

    split: str
    keys: list[str]
    truth: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    labels: list[str]

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The most probable label of each image."""
        best: npt.NDArray[np.int64] = np.argmax(self.probabilities, axis=1)
        return best

    @property
    def accuracy(self) -> float:
        """The share of images whose most probable label is true."""
        return float(np.mean(self.predicted == self.truth))

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats."""
        of_truth = self.probabilities[np.arange(len(self.truth)), self.truth].astype(np.float64)
        return float(np.mean(-np.log(np.clip(of_truth, 1e-7, 1))))

    def confusion(self) -> npt.NDArray[np.int64]:
        """Returns how many images of each true label (row) were taken for each label (column)."""
        table = np.zeros((len(self.labels), len(self.labels)), np.int64)
        np.add.at(table, (self.truth, self.predicted), 1)
        return table

    def per_label(self) -> list[dict[str, Any]]:
        """Returns images, precision and recall of each label; nan where there is nothing to divide by."""
        table = self.confusion()
        with np.errstate(invalid="ignore"):
            precision = np.diag(table) / table.sum(axis=0)
            recall = np.diag(table) / table.sum(axis=1)
        return [
            {
                "split": self.split,
                "label": label,
                "images": int(table[n].sum()),
                "precision": round(float(precision[n]), 4),
                "recall": round(float(recall[n]), 4),
            }
            for n, label in enumerate(self.labels)
        ]


def baseline(train: Evaluation, other: Evaluation) -> float:
    """Returns the accuracy, on `other`, of always saying the label that is most frequent in training."""
    most = int(np.argmax(np.bincount(train.truth, minlength=len(train.labels))))
    return float(np.mean(other.truth == most))


def verdict(train: float, validation: float | None, baseline_accuracy: float) -> tuple[str, str]:
    """Returns a word for how a model fits, and a sentence about it."""
    if validation is None:
        return "unknown", "there is no validation split, so nobody knows how it does on new images"
    if train < max(_LOW, baseline_accuracy + 0.05) and train - validation <= _GAP:
        return "underfit", "it has not even learned its training images: train longer, or take a larger model"
    if train - validation > _GAP:
        return "overfit", (
            f"it knows its training images by heart ({train:.0%}) and new ones less ({validation:.0%}):"
            " more images, --augment or a pretrained model would help"
        )
    return "good", "it does about as well on new images as on those it was trained on"


def write_predictions(path: Path, evaluations: list[Evaluation]) -> None:
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


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows that have the same columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_confusion(path: Path, evaluations: list[Evaluation]) -> None:
    """Writes how often a label was taken for another: split, label, predicted, images."""
    write_rows(
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
