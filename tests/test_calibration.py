"""Probabilities that mean what they say, and what is expected before a picture is seen."""

import numpy as np

from imageshards.train.calibration import LEAST_IMAGES, calibration_error, temperature
from imageshards.train.priors import label_weights, log_prior
from imageshards.train.softmax import softmax


def test_the_temperature_takes_back_what_was_multiplied() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 3)).astype(np.float32) * 2
    labels = (softmax(logits).cumsum(axis=1) < random.random((4000, 1))).sum(axis=1).clip(0, 2)
    found = temperature(logits * 2.5, labels)
    assert 2.2 < found < 2.8
    assert calibration_error(softmax(logits * 2.5 / np.float32(found)), labels) < 0.03
    assert calibration_error(softmax(logits * 2.5), labels) > 0.1


def test_few_images_leave_the_temperature_alone() -> None:
    logits = np.tile(np.array([[9.0, 0.0]], np.float32), (LEAST_IMAGES - 1, 1))
    assert temperature(logits, np.arange(LEAST_IMAGES - 1) % 2) == 1.0


def test_the_calibration_error_of_sure_and_half_right_is_a_half() -> None:
    assert calibration_error(np.array([[1.0, 0.0]] * 10, np.float32), np.arange(10) % 2) == 0.5


def test_labels_that_are_rare_in_training_weigh_more() -> None:
    labels = np.repeat([0, 1], [30, 10])
    assert np.allclose(label_weights(labels, 2), [40 / 60, 2.0])
    assert np.allclose(log_prior(labels, 3), [np.log(1.5), np.log(0.5), 0])
    assert not log_prior(np.arange(9) % 3, 3).any()
