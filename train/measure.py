"""How often a model is right about the images of a split, with confidence intervals, label by label."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from imageshards.train.intervals import Estimate, mean_of, wilson


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
    def accuracy(self) -> Estimate:
        """The share of images whose most probable label is true."""
        return wilson(int(np.sum(self.predicted == self.truth)), len(self.truth))

    @property
    def recalls(self) -> list[Estimate]:
        """The share of each label's images that were found, by number of the label."""
        found = self._count(self.truth[self.predicted == self.truth])
        return [wilson(*counts) for counts in zip(found, self.images_by_label(), strict=True)]

    @property
    def balanced_accuracy(self) -> Estimate:
        """The mean of the labels' recalls: each label counts the same, however many images it has."""
        return mean_of(self.recalls)

    @property
    def is_balanced(self) -> bool:
        """Says whether every label has the same number of images; then both accuracies are the same."""
        return len(set(self.images_by_label())) == 1

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats."""
        of_truth = self.probabilities[np.arange(len(self.truth)), self.truth].astype(np.float64)
        return float(np.mean(-np.log(np.clip(of_truth, 1e-7, 1))))

    def images_by_label(self) -> list[int]:
        """Returns the number of images of each label."""
        return self._count(self.truth)

    def accuracy_of_always(self, label: int) -> Estimate:
        """Returns the accuracy of giving every image the label with this number."""
        return wilson(self.images_by_label()[label], len(self.truth))

    def confusion(self) -> npt.NDArray[np.int64]:
        """Returns how many images of each true label (row) were taken for each label (column)."""
        table = np.zeros((len(self.labels), len(self.labels)), np.int64)
        np.add.at(table, (self.truth, self.predicted), 1)
        return table

    def mistakes(self) -> list[dict[str, Any]]:
        """Returns key, label, predicted and probability of each image that was mistaken, the surest first."""
        wrong = np.flatnonzero(self.predicted != self.truth)
        best, predicted = self.probabilities.max(axis=1), self.predicted
        return [
            {
                "key": self.keys[number],
                "label": self.labels[self.truth[number]],
                "predicted": self.labels[predicted[number]],
                "probability": float(best[number]),
            }
            for number in wrong[np.argsort(-best[wrong], kind="stable")].tolist()
        ]

    def metrics(self) -> dict[str, Any]:
        """Returns the figures of the split as plain numbers, by names such as validation_accuracy."""
        accuracy, balanced = self.accuracy, self.balanced_accuracy
        figures = {
            "images": accuracy.images,
            "accuracy": accuracy.value,
            "accuracy_interval": [accuracy.low, accuracy.high],
            "balanced_accuracy": balanced.value,
            "balanced_accuracy_interval": [balanced.low, balanced.high],
            "loss": self.loss,
            "recall": {
                label: {"recall": recall.value, "interval": [recall.low, recall.high], "images": recall.images}
                for label, recall in zip(self.labels, self.recalls, strict=True)
                if recall.images
            },
        }
        return {f"{self.split}_{name}": figure for name, figure in figures.items()}

    def per_label(self) -> list[dict[str, Any]]:
        """Returns images, precision and recall of each label; None where there is nothing to divide by.

        `recall_low` and `recall_high` are the recall's 95 % confidence interval.
        """
        taken, found = self._count(self.predicted), self._count(self.truth[self.predicted == self.truth])
        return [
            {
                "split": self.split,
                "label": label,
                "images": recall.images,
                "precision": round(found[n] / taken[n], 4) if taken[n] else None,
                "recall": round(recall.value, 4) if recall.images else None,
                "recall_low": round(recall.low, 4),
                "recall_high": round(recall.high, 4),
            }
            for n, (label, recall) in enumerate(zip(self.labels, self.recalls, strict=True))
        ]

    def _count(self, numbers: npt.NDArray[np.int64]) -> list[int]:
        counts: list[int] = np.bincount(numbers, minlength=len(self.labels)).tolist()
        return counts
