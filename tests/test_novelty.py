"""Strangers are told from pictures like those of training."""

from pathlib import Path

import numpy as np
import pytest

from imageshards.pipeline.source import UserError
from imageshards.train.novelty import NOVELTY, Novelty, fit_novelty, load_novelty


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
    unlike = [without(novelty, number).is_unlike(features[[number]])[0] for number in range(0, 400, 8)]
    assert 0 < np.mean(unlike) < 0.2


def without(novelty: Novelty, number: int) -> Novelty:
    """The novelty, without the vector of one picture."""
    return Novelty(np.delete(novelty.vectors, number, axis=0), novelty.threshold)


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


def test_what_is_saved_is_loaded_and_damage_is_named(tmp_path: Path) -> None:
    assert load_novelty(tmp_path) is None
    novelty = fit_novelty(np.random.default_rng(0).random((20, 8)).astype(np.float32), np.arange(20), seed=0)
    assert novelty is not None
    novelty.save(tmp_path)
    loaded = load_novelty(tmp_path)
    assert loaded is not None
    assert np.array_equal(loaded.vectors, novelty.vectors)
    assert loaded.threshold == novelty.threshold
    (tmp_path / NOVELTY).write_bytes(b"PK words")
    with pytest.raises(UserError, match=r"novelty\.npz: the file is damaged"):
        load_novelty(tmp_path)


def test_the_model_tells_how_similar_a_picture_is() -> None:
    pytest.importorskip("tensorflow")
    import keras

    from imageshards.train import models

    pixels = keras.Input((8, 8, 3), dtype="uint8")
    pooled = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 255)(pixels))
    bottom = keras.Model(pixels, keras.layers.Flatten()(pooled))
    model = models.stack(bottom, models.head(12, 2, "pooled", 0))
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), np.uint8)
    features = bottom.predict_on_batch(images)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    probabilities, similarity = models.with_similarity(model, unit[:4].astype(np.float16)).predict_on_batch(images)
    assert np.allclose(probabilities, model.predict_on_batch(images), atol=1e-5)
    assert np.allclose(similarity, (unit @ unit[:4].T).max(axis=1), atol=2e-3)
