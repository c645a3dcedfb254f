"""The pooled head: a linear softmax on kept features, cross-validated, calibrated, adjusted to the mix of labels."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from imageshards.train.calibration import calibration_error, temperature
from imageshards.train.cross_validation import CrossValidation, fit_and_cross_validate
from imageshards.train.novelty import Novelty, fit_novelty
from imageshards.train.options import Prior
from imageshards.train.priors import log_prior
from imageshards.train.softmax import Floats, Softmax, softmax

if TYPE_CHECKING:
    from imageshards.train.labelled import Labelled

MOST_FEATURE_BYTES = 2 << 30  # above which the head is trained by Keras, batch by batch


@dataclasses.dataclass(frozen=True)
class LinearHead:
    """A head for the model, and what its cross-validation tells.

    Attributes:
      softmax: features → logits, divided by the temperature and without the prior.
      temperature: of the logits, see calibration.py.
      prior: (labels,), the logarithm that was taken off the logits; 0 where the mix of training is expected.
      judged: the images of the cross-validation: those of training, and of validation where they are few.
      validated: the cross-validation; None where there is nothing to leave out.
      novelty: tells pictures that are unlike the training images; None where these are of one group.
    """

    softmax: Softmax
    temperature: float
    prior: Floats
    judged: "Labelled"
    validated: CrossValidation | None
    novelty: Novelty | None

    def probabilities(self, features: Floats) -> Floats:
        """Returns (images, labels)."""
        return softmax(self.softmax.logits(features))

    def out_of_fold(self, *, adjusted: bool = True) -> Floats:
        """Returns each judged image's probabilities, (images, labels), by a softmax that has not seen it.

        Not `adjusted`, they expect the mix of labels that training had.
        """
        assert self.validated is not None
        logits = self.validated.logits / np.float32(self.temperature)
        return softmax(logits - self.prior if adjusted else logits)

    def learning_curve(self) -> list[dict[str, int]]:
        """Returns how many of the judged images are named right by heads that learned from fewer, in ascending order.

        The last one learned from all images but those of a fold: it is the cross-validation itself.
        """
        if self.validated is None:
            return []
        truth, divisor = self.judged.labels, np.float32(self.temperature)
        return [
            {
                "training_images": point.training_images,
                "right": int(((point.logits / divisor - self.prior).argmax(axis=1) == truth).sum()),
                "images": len(truth),
            }
            for point in self.validated.curve
        ]

    def metrics(self) -> dict[str, Any]:
        """Returns what metrics.json says of the head: how it was chosen, and what more images would bring."""
        if self.validated is None:
            return {}
        truth, unadjusted = self.judged.labels, self.out_of_fold(adjusted=False)
        return {
            "cross_validation_folds": self.validated.folds,
            "cross_validation_penalty": self.validated.penalty,
            "cross_validation_temperature": self.temperature,
            "cross_validation_calibration_error": calibration_error(unadjusted, truth),
            "cross_validation_accuracy_with_prior_of_training": float(np.mean(unadjusted.argmax(axis=1) == truth)),
            "learning_curve": self.learning_curve(),
        }


def fit_linear_head(features: Floats, judged: "Labelled", count: int, prior: Prior, seed: int) -> LinearHead:
    """Returns the head over `count` labels that is fitted to the judged images of train; features are (images, N)."""
    training = judged.of_split("train")
    fitted, validated = fit_and_cross_validate(features, judged.labels, count, judged.groups, training, seed)
    divisor = temperature(validated.logits, judged.labels) if validated else 1.0
    mix: npt.NDArray[np.float32] = np.zeros(count, np.float32)
    if prior == "equal":
        mix = log_prior(judged.labels[training], count)
    scaled = Softmax(fitted.kernel / np.float32(divisor), fitted.bias / np.float32(divisor) - mix)
    novelty = fit_novelty(features[training], judged.groups[training], seed)
    return LinearHead(scaled, divisor, mix, judged, validated, novelty)
