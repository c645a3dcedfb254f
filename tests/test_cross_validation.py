"""The head on kept features, its folds and its cross-validation, on features that are drawn."""

import numpy as np
import numpy.typing as npt
import pytest

from imageshards.train import cross_validation
from imageshards.train.cross_validation import fit_and_cross_validate
from imageshards.train.duplicates import Likeness
from imageshards.train.folds import folds
from imageshards.train.labelled import Labelled
from imageshards.train.linear_head import fit_linear_head
from imageshards.train.options import Prior
from imageshards.train.softmax import fit_softmaxes, softmax

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def drawn(images: int, count: int = 3, distance: float = 1.0, seed: int = 0) -> tuple[Features, Labels]:
    """Clouds of points, one a label; `distance` is that of their centres."""
    random = np.random.default_rng(seed)
    labels = np.arange(images) % count
    centers = random.normal(size=(count, 16)) * distance
    return (centers[labels] + random.normal(size=(images, 16))).astype(np.float32), labels


def test_every_label_and_every_group_is_spread_over_the_folds() -> None:
    labels = np.repeat([0, 1, 2], [50, 23, 7])
    groups = np.arange(80)
    groups[:6] = 0
    fold = folds(labels, groups, seed=3)
    assert len(set(fold[:6])) == 1
    for label in range(3):
        images = np.bincount(fold[labels == label], minlength=5)
        assert images.max() - images.min() <= 1
    assert np.array_equal(fold, folds(labels, groups, seed=3))
    assert not np.array_equal(fold, folds(labels, groups, seed=4))


def test_softmaxes_that_are_fitted_together_are_those_fitted_alone() -> None:
    features, labels = drawn(90)
    masks = np.stack([np.arange(90) < 60, np.arange(90) % 3 > 0, np.ones(90, bool)], axis=1)
    together = fit_softmaxes(features, labels, 3, masks, [0.01, 0.1, 0.3], seed=0)
    for number, one in enumerate(together):
        alone = fit_softmaxes(features, labels, 3, masks[:, [number]], [[0.01, 0.1, 0.3][number]], seed=0)[0]
        assert np.allclose(one.kernel, alone.kernel, atol=1e-4)
        assert np.allclose(one.bias, alone.bias, atol=1e-4)


def test_a_softmax_is_at_the_minimum_of_what_it_minimizes() -> None:
    features, labels = drawn(200)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    fitted = fit_softmaxes(features, labels, 3, np.ones((200, 1), bool), [0.1], seed=0)[0]
    errors = softmax(fitted.logits(features))
    errors[np.arange(200), labels] -= 1
    assert np.abs(features.T @ errors / 200 + 0.1 * fitted.kernel).max() < 5e-3
    assert np.abs(errors.mean(axis=0)).max() < 5e-3


def test_a_constant_feature_and_a_label_without_images_do_no_harm() -> None:
    features, labels = drawn(60)
    features[:, 2] = 7
    fitted = fit_softmaxes(features, labels, 4, np.ones((60, 1), bool), [0.03], seed=0)[0]
    said = softmax(fitted.logits(features))
    assert np.isfinite(said).all()
    assert said[:, 3].max() < 0.2
    assert not fitted.kernel[2].any()


def test_tiny_features_tell_as_much_as_large_ones() -> None:
    """A backbone that starts from chance makes features of 1e-16."""
    features, labels = drawn(60)
    whole = fit_softmaxes(features, labels, 3, np.ones((60, 1), bool), [0.03], seed=0)[0]
    tiny = features * np.float32(1e-16)
    fitted = fit_softmaxes(tiny, labels, 3, np.ones((60, 1), bool), [0.03], seed=0)[0]
    assert np.allclose(fitted.logits(tiny), whole.logits(features), atol=1e-2)


def test_batches_reach_what_all_images_at_once_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = drawn(1500, distance=0.3)
    whole = fit_softmaxes(features, labels, 3, np.ones((1500, 1), bool), [0.03], seed=0)[0]
    monkeypatch.setattr("imageshards.train.softmax._OUTPUTS_AT_ONCE", 1)
    batches = fit_softmaxes(features, labels, 3, np.ones((1500, 1), bool), [0.03], seed=0)[0]
    assert np.abs(softmax(whole.logits(features)) - softmax(batches.logits(features))).max() < 0.1


@pytest.mark.parametrize("enough_to_choose", [60, 20])  # by all five folds, or by two
def test_cross_validation_judges_every_image_by_a_softmax_that_has_not_seen_it(
    monkeypatch: pytest.MonkeyPatch, enough_to_choose: int
) -> None:
    monkeypatch.setattr(cross_validation, "_ENOUGH_TO_CHOOSE", enough_to_choose)
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 200)).astype(np.float32)  # any labels of these can be learned by heart
    labels = np.arange(60) % 2
    training = np.arange(60) < 50
    fitted, validated = fit_and_cross_validate(features, labels, 2, np.arange(60), training, seed=0)
    assert validated is not None
    assert (fitted.logits(features).argmax(axis=1) == labels)[training].all()
    assert 0.2 < np.mean(validated.logits.argmax(axis=1) == labels) < 0.8


def test_images_of_one_group_are_left_out_together() -> None:
    random = np.random.default_rng(0)
    features = np.repeat(random.normal(size=(20, 100)), 3, axis=0).astype(np.float32)
    labels = np.repeat(np.arange(20) % 2, 3)
    groups = np.repeat(np.arange(20), 3)
    apart = fit_and_cross_validate(features, labels, 2, np.arange(60), np.ones(60, bool), seed=0)[1]
    together = fit_and_cross_validate(features, labels, 2, groups, np.ones(60, bool), seed=0)[1]
    assert apart is not None
    assert together is not None
    assert np.mean(apart.logits.argmax(axis=1) == labels) > 0.9
    assert np.mean(together.logits.argmax(axis=1) == labels) < 0.8


def test_the_learning_curve_rises_with_the_training_images() -> None:
    features, labels = drawn(300, count=5, distance=0.5)
    validated = fit_and_cross_validate(features, labels, 5, np.arange(300), np.ones(300, bool), seed=0)[1]
    assert validated is not None
    sizes = [point.training_images for point in validated.curve]
    assert sizes == sorted(sizes)
    assert sizes[-1] == 240
    right = [int((point.logits.argmax(axis=1) == labels).sum()) for point in validated.curve]
    assert right[-1] > right[0]
    assert {len(point.logits) for point in validated.curve} == {300}


@pytest.mark.parametrize("prior", ["equal", "training"])
def test_the_learning_curve_ends_where_the_cross_validation_is(prior: Prior) -> None:
    """Also where labels are unequal, and the mix of training is not what is expected."""
    features, labels = drawn(600, count=2, distance=0.15)
    rows = np.flatnonzero((labels == 0) | (np.arange(600) % 10 == 1))
    nothing = np.zeros((0, 2), np.int64)
    likeness = Likeness(np.arange(len(rows)), nothing, nothing)
    judged = Labelled([""] * len(rows), ["train"] * len(rows), np.arange(len(rows)), labels[rows], likeness)
    head = fit_linear_head(features[rows], judged, 2, prior, seed=0)
    right = int((head.out_of_fold().argmax(axis=1) == labels[rows]).sum())
    assert head.learning_curve()[-1]["right"] == right
    unadjusted = int((head.out_of_fold(adjusted=False).argmax(axis=1) == labels[rows]).sum())
    assert (right == unadjusted) == (prior == "training")


def test_images_of_one_group_alone_are_not_cross_validated() -> None:
    features, labels = drawn(6)
    fitted, validated = fit_and_cross_validate(features, labels, 3, np.zeros(6, int), np.ones(6, bool), seed=0)
    assert validated is None
    assert (fitted.logits(features).argmax(axis=1) == labels).all()
