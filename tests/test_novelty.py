"""Strangers are told from pictures like those of training."""

import numpy as np

from imageshards.train.novelty import fit_novelty


def test_strangers_are_unlike_and_one_s_own_are_not() -> None:
    random = np.random.default_rng(0)
    known, strange = random.random((2, 40)).astype(np.float32)
    own = known + 0.1 * random.random((300, 40)).astype(np.float32)
    novelty = fit_novelty(own[:200], np.arange(200), seed=0)
    assert novelty is not None
    assert novelty.is_unlike(own[200:]).mean() < 0.2
    assert novelty.is_unlike(strange + 0.1 * random.random((50, 40)).astype(np.float32)).all()


def test_about_one_in_twenty_training_pictures_is_unlike_the_others() -> None:
    features = np.random.default_rng(0).random((400, 30)).astype(np.float32)
    novelty = fit_novelty(features, np.arange(400), seed=0)
    assert novelty is not None
    unlike = [fit.is_unlike(features[[n]])[0] for n in range(0, 400, 8) if (fit := without(novelty, n))]
    assert 0 < np.mean(unlike) < 0.2


def without(novelty, number):  # type: ignore[no-untyped-def]
    """The novelty, without the vector of one picture."""
    return type(novelty)(np.delete(novelty.vectors, number, axis=0), novelty.threshold)


def test_a_copy_of_a_picture_does_not_make_the_threshold_stricter() -> None:
    features = np.random.default_rng(0).random((60, 30)).astype(np.float32)
    once = fit_novelty(features, np.arange(60), seed=0)
    twice = fit_novelty(np.repeat(features, 2, axis=0), np.repeat(np.arange(60), 2), seed=0)
    assert once is not None
    assert twice is not None
    assert abs(once.threshold - twice.threshold) < 0.01


def test_a_bounded_number_of_vectors_is_kept() -> None:
    features = np.random.default_rng(0).random((1500, 8)).astype(np.float32)
    novelty = fit_novelty(features, np.arange(1500), seed=0)
    assert novelty is not None
    assert novelty.vectors.shape == (1000, 8)
    assert novelty.vectors.dtype == np.float16


def test_pictures_of_one_group_have_nothing_to_be_compared_with() -> None:
    assert fit_novelty(np.ones((4, 3), np.float32), np.zeros(4, int), seed=0) is None
