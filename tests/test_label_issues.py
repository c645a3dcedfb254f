"""Wrong labels that were planted are found."""

import numpy as np

from imageshards.train.label_issues import confidently_wrong, self_confidence
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
