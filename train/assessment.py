"""How far a trained model can be trusted: its figures on each split, a verdict, and what to be careful about."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from imageshards.train.intervals import Estimate
from imageshards.train.label_issues import LabelIssues
from imageshards.train.measure import Evaluation
from imageshards.train.verdict import Verdict, verdict

_FEW = 10  # images of a label, below which its figures say little
_NAMES_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Assessment:
    """The evaluation of each split, train first; that of the cross-validation, with the labels that look wrong."""

    evaluations: Sequence[Evaluation]
    cross_validation: Evaluation | None = None
    label_issues: LabelIssues | None = None

    @property
    def train(self) -> Evaluation:
        """The training images."""
        return self.evaluations[0]

    @property
    def held_out(self) -> Evaluation | None:
        """The split that this very model did not learn from: validation, else test."""
        by_split = {each.split: each for each in self.evaluations}
        return by_split.get("validation") or by_split.get("test")

    @property
    def new(self) -> Evaluation | None:
        """What says how the model does on new images: validation, else test; or cross-validation, if of more images."""
        known = [each for each in (self.held_out, self.cross_validation) if each is not None]
        return max(known, key=lambda each: len(each.truth), default=None)

    @property
    def guessing(self) -> Estimate:
        """The accuracy, on new images, of always giving the label that is most frequent in training."""
        most = int(np.argmax(self.train.images_by_label()))
        return (self.new or self.train).accuracy_of_always(most)

    @property
    def verdict(self) -> Verdict:
        """How the model fits."""
        new = self.new.balanced_accuracy if self.new else None
        return verdict(self.train.balanced_accuracy, new, len(self.train.labels))

    @property
    def warnings(self) -> list[str]:
        """What somebody who relies on the figures must know."""
        return [
            *_few_images(self.train, "train on"),
            *(_few_images(self.new, "tell how well they are recognized") if self.new else []),
        ]

    def metrics(self) -> dict[str, Any]:
        """Returns what metrics.json says: plain numbers and lists, and no NaN."""
        fit = self.verdict
        metrics: dict[str, Any] = {
            "baseline_accuracy": self.guessing.value,
            "fit": fit.word,
            "fit_in_words": fit.sentence,
            "warnings": self.warnings,
        }
        if self.label_issues is not None:
            metrics["label_issues"] = len(self.label_issues.issues)
            metrics["label_errors_estimated"] = self.label_issues.estimate
        for each in filter(None, [*self.evaluations, self.cross_validation]):
            metrics |= each.metrics()
        return metrics


def _few_images(evaluation: Evaluation, purpose: str) -> list[str]:
    counts = sorted(
        (count, label) for label, count in zip(evaluation.labels, evaluation.images_by_label(), strict=True)
    )
    few = [f"{label} {count}" for count, label in counts if count < _FEW]
    if not few:
        return []
    shown = ", ".join(few[:_NAMES_SHOWN]) + (f" and {len(few) - _NAMES_SHOWN} more" if len(few) > _NAMES_SHOWN else "")
    return [f"{evaluation.split.replace('_', '-')} has few images to {purpose}: {shown}"]
