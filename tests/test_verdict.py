"""How far figures can be trusted: intervals, and the word for how a model fits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from imageshards.train.assessment import Assessment
from imageshards.train.intervals import Estimate, mean_of, percent, wilson
from imageshards.train.measure import Evaluation
from imageshards.train.verdict import verdict

reproducible = settings(derandomize=True, deadline=None, database=None)


def evaluation(split: str, images: list[int], right: list[int]) -> Evaluation:
    """So many images of each label, of which so many are right; the others are taken for the next label."""
    truth = np.repeat(np.arange(len(images)), images)
    predicted = np.concatenate(
        [np.where(np.arange(count) < right[n], n, (n + 1) % len(images)) for n, count in enumerate(images)]
    )
    probabilities = np.eye(len(images), dtype=np.float32)[predicted] * 0.8 + 0.1
    return Evaluation(
        split, [f"{n}.jpg" for n in range(len(truth))], truth, probabilities, [*"abcdefgh"][: len(images)]
    )


@pytest.mark.parametrize(
    ("correct", "images", "low", "high"),
    [(5, 5, 0.5655, 1.0), (0, 5, 0.0, 0.4345), (31, 32, 0.8426, 0.9945), (50, 100, 0.4038, 0.5962)],
)
def test_wilson_by_hand(correct: int, images: int, low: float, high: float) -> None:
    estimate = wilson(correct, images)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-4)


@reproducible
@given(images=some.integers(1, 10_000), share=some.floats(0, 1))
def test_an_interval_holds_its_value_and_stays_between_0_and_1(images: int, share: float) -> None:
    estimate = wilson(round(share * images), images)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert wilson(10 * round(share * images), 10 * images).width < estimate.width
    same = mean_of([estimate])
    assert (same.low, same.high) == pytest.approx((estimate.low, estimate.high))


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    for truth in (0.5, 0.9, 0.98):
        drawn = np.random.default_rng(0).binomial(30, truth, 4000)
        covered = [wilson(int(count), 30).low <= truth <= wilson(int(count), 30).high for count in drawn]
        assert np.mean(covered) > 0.9


def test_estimates_in_words() -> None:
    assert str(wilson(5, 5)) == "100%, of 5 images: 57–100%"
    assert str(wilson(1, 1)) == "100%, of 1 image: 21–100%"
    assert percent(0.99996) == "99.9%"  # 100 % would say that nothing is wrong
    assert percent(0.00001) == "0.1%"


@pytest.mark.parametrize(
    ("train", "validation", "word"),
    [
        (([100, 100], [100, 100]), ([50, 50], [50, 50]), "good"),
        (([100, 100], [99, 100]), ([50, 50], [47, 49]), "good"),
        (([96, 4], [96, 4]), ([480, 20], [480, 20]), "good"),
        (([96, 4], [96, 4]), ([48, 2], [48, 2]), "unknown"),  # 2 images of a label say little
        (([950, 50], [950, 0]), ([190, 10], [190, 0]), "underfit"),  # 95 % right, and nothing learned
        (([100, 100], [100, 100]), ([50, 50], [30, 30]), "overfit"),
        (([100, 100], [50, 52]), ([50, 50], [25, 25]), "underfit"),
        (([2, 2], [2, 2]), ([1, 1], [1, 1]), "unknown"),
        (([1, 1], [1, 1]), None, "unknown"),
        (([10, 10], [5, 5]), None, "underfit"),
    ],
)
def test_a_word_for_how_a_model_fits(
    train: tuple[list[int], list[int]], validation: tuple[list[int], list[int]] | None, word: str
) -> None:
    evaluations = [evaluation("train", *train), *([evaluation("validation", *validation)] if validation else [])]
    assert Assessment(evaluations).verdict.word == word


def test_five_of_five_is_no_proof_and_the_words_say_so() -> None:
    sentence = verdict(wilson(27, 27), wilson(5, 5), 3).sentence
    assert "100%, of 5 images: 57–100%" in sentence


def test_few_images_are_mentioned() -> None:
    result = Assessment([evaluation("train", [20, 4], [20, 4]), evaluation("validation", [12, 1], [12, 1])])
    assert result.warnings == [
        "train has few images to train on: b 4",
        "validation has few images to tell how well they are recognized: b 1",
    ]


def test_a_label_without_images_does_not_count() -> None:
    balanced = mean_of([wilson(3, 4), wilson(0, 0)])
    assert balanced.value == 0.75
    assert math.isnan(mean_of([]).value)
    assert mean_of([wilson(1, 2), Estimate(1.0, 2, 0.3, 1.0)]).images == 4


def test_an_export_is_judged_on_a_split_and_not_on_the_folds_of_other_models() -> None:
    train, validation = evaluation("train", [20, 20], [20, 20]), evaluation("validation", [3, 3], [3, 2])
    folds = evaluation("cross_validation", [23, 23], [22, 22])
    assert Assessment([train, validation], folds).held_out == validation
    assert Assessment([train, validation], folds).new == folds
    assert Assessment([train], folds).held_out is None
