"""Wrong labels that were planted are found."""

import numpy as np
import pytest

from imageshards.train.duplicates import Likeness
from imageshards.train.label_issues import confidently_wrong, find_label_issues, self_confidence
from imageshards.train.softmax import softmax


def test_labels_that_were_flipped_are_ranked_first_and_counted() -> None:
    random = np.random.default_rng(0)
    truth = np.arange(400) % 4
    logits = random.normal(size=(400, 4)).astype(np.float32)
    logits[np.arange(400), truth] += 6
    flipped = random.permutation(400)[:20]
    labels = truth.copy()
    labels[flipped] = (truth[flipped] + 1) % 4
    probabilities = softmax(logits)
    first = np.argsort(self_confidence(probabilities, labels))[:20]
    assert len(set(first) & set(flipped)) >= 19
    wrong = np.flatnonzero(confidently_wrong(probabilities, labels))
    assert set(wrong) <= set(flipped)
    assert len(wrong) >= 17


def test_doubt_is_no_error() -> None:
    """Cats that look a little more like dogs than like cats, where dogs look much more like dogs, are doubtful only."""
    probabilities = np.array([[0.9, 0.1]] * 9 + [[0.45, 0.55]] + [[0.05, 0.95]] * 10, np.float32)
    assert not confidently_wrong(probabilities, np.repeat([0, 1], 10)).any()
    assert confidently_wrong(probabilities, np.repeat([0, 1], [9, 11])).sum() == 0


def test_a_label_without_images_is_never_the_likely_one() -> None:
    probabilities = np.array([[0.3, 0.1, 0.6], [0.1, 0.6, 0.3]], np.float32)
    assert not confidently_wrong(probabilities, np.array([0, 1])).any()


def test_doubtful_images_and_pictures_under_two_labels_are_listed() -> None:
    pytest.importorskip("tensorflow")
    from imageshards.train.labelled import Labelled

    likeness = Likeness(np.arange(5), np.array([[0, 3]]), np.array([[1, 2], [0, 1]]))
    images = Labelled(
        ["a", "b", "c", "d", "e"],
        ["train"] * 3 + ["validation"] * 2,
        np.array([0, 1, 2, 0, 1]),
        np.array([0, 0, 1, 1, 1]),
        likeness,
    )
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.7, 0.3], [0.05, 0.95]], np.float32)
    issues = find_label_issues(probabilities, images, ["cat", "dog"]).issues
    assert [(issue.file, issue.split, issue.number, issue.given, issue.likely, issue.reason) for issue in issues] == [
        ("d", "validation", 0, "dog", "cat", "the same picture as a, which is cat"),
        ("c", "train", 2, "dog", "cat", "looks like b, which is cat"),
        ("b", "train", 1, "cat", "dog", "looks like c, which is dog"),
        ("a", "train", 0, "cat", "dog", "the same picture as d, which is dog"),
    ]
    assert [round(issue.score, 2) for issue in issues] == [0.3, 0.7, 0.8, 0.9]
