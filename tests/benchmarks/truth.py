"""How far a trained head can be trusted, measured: accuracy, cross-validation, label errors, strangers, rare labels.

    OPENBLAS_NUM_THREADS=1 python tests/benchmarks/truth.py ../shared/data /tmp/truth

makes records and features of cats and dogs (both backbones), and of digits and clothes (20 labels), once, and prints
each figure beside its target. Everything is drawn by seeds. One thread is what the commands give to NumPy.
"""

import gzip
import os
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from imageshards.pipeline.api import make_records
from imageshards.train.calibration import calibration_error, temperature
from imageshards.train.cross_validation import CrossValidation, cross_entropy, fit_and_cross_validate
from imageshards.train.intervals import wilson
from imageshards.train.label_issues import self_confidence
from imageshards.train.novelty import fit_novelty
from imageshards.train.options import WIDTHS, Backbone
from imageshards.train.priors import log_prior
from imageshards.train.softmax import Softmax, softmax

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Split = tuple[Features, Labels]

SEEDS = 3
DRAWS = 40
SMALL = {20: 0.07, 50: 0.045, 100: 0.03, 200: 0.02}  # images → target of the cross-validation's mean absolute error


def main(data: Path, work: Path) -> None:
    """Prints all figures."""
    sets = {
        "v1": features(data / "cats_and_dogs_filtered", work, "mobilenet"),
        "v2": features(data / "cats_and_dogs_filtered", work, "mobilenet_v2"),
        "20 labels": features(digits_and_clothes(data, work / "digits_and_clothes"), work, "mobilenet"),
    }
    clothes = sets["20 labels"][1][0]  # and digits: the features of its validation pictures
    start = time.process_time()
    for name, accuracy, loss in (("v1", 0.960, None), ("v2", 0.980, 0.055), ("20 labels", 0.880, 0.35)):
        head(name, *sets[name], accuracy, loss)
    for name in ("v1", "v2"):
        small_sets(name, *sets[name])
    for name, target in (("v1", 0.82), ("v2", 0.86), ("20 labels", 0.87)):
        flipped_labels(name, sets[name][0], None, target)
    flipped_labels("v2", sets["v2"][0], 100, 0.95)
    strangers("v1", *sets["v1"], clothes)
    for name in ("v1", "v2"):
        imbalance(name, *sets[name], 1000, 53)
        imbalance(name, *sets[name], 200, 20)
    print(f"{time.process_time() - start:.0f} CPU-s without the features")


def fit(images: Split, seed: int) -> tuple[Softmax, CrossValidation]:
    """Returns the head of these images and its cross-validation."""
    x, y = images
    fitted, validated = fit_and_cross_validate(x, y, y.max() + 1, np.arange(len(y)), np.ones(len(y), bool), seed)
    assert validated is not None
    return fitted, validated


def accuracy(fitted: Softmax, images: Split) -> float:
    """Returns the share of images that are right."""
    return float((fitted.logits(images[0]).argmax(axis=1) == images[1]).mean())


def head(name: str, train: Split, new: Split, target: float, target_loss: float | None) -> None:
    """The head, its folds and the choice of its penalty; and its calibration on new images."""
    rows = []
    for seed in range(SEEDS):
        start = time.process_time()
        fitted, validated = fit(train, seed)
        seconds = time.process_time() - start
        divisor = np.float32(temperature(validated.logits, train[1]))
        logits = fitted.logits(new[0]) / divisor
        error = calibration_error(softmax(logits), new[1])
        rows.append((accuracy(fitted, new), cross_entropy(logits, new[1]), error, seconds))
    right, loss, error, seconds = np.mean(rows, axis=0)
    spread = np.ptp([row[0] for row in rows])
    tell(f"{name}: accuracy on new images, with folds in {seconds:.1f} CPU-s, seeds {spread:.3f} apart", right, target)
    tell(f"{name}: cross-entropy", loss, target_loss, low=True)
    tell(f"{name}: expected calibration error", error, 0.02, low=True)


def small_sets(name: str, train: Split, new: Split) -> None:
    """Cross-validation of few images against the accuracy of the same head on all others."""
    everything = np.concatenate([train[0], new[0]]), np.concatenate([train[1], new[1]])
    for images, target in SMALL.items():
        errors, covered, widths = [], [], []
        for draw in range(DRAWS):
            order = np.random.default_rng(draw).permutation(len(everything[1]))
            few, others = order[:images], order[images:]
            fitted, validated = fit((everything[0][few], everything[1][few]), draw)
            truth = accuracy(fitted, (everything[0][others], everything[1][others]))
            said = wilson(int((validated.logits.argmax(axis=1) == validated.labels).sum()), images)
            errors.append(abs(said.value - truth))
            covered.append(said.low <= truth <= said.high)
            widths.append(said.width)
        tell(f"{name}: {images} images, error of the cross-validated accuracy", np.mean(errors), target, low=True)
        tell(f"{name}: {images} images, coverage of its interval ({np.mean(widths):.2f} wide)", np.mean(covered), 0.90)


def flipped_labels(name: str, train: Split, images: int | None, target: float) -> None:
    """One label in twenty is flipped: precision among as many as were flipped; recall of what is listed."""
    precision, recall = [], []
    for seed in range(SEEDS if images is None else DRAWS):
        random = np.random.default_rng(seed)
        rows = random.permutation(len(train[1]))[:images]
        x, truth = train[0][rows], train[1][rows]
        count, flips = truth.max() + 1, len(truth) // 20
        flipped = random.permutation(len(truth))[:flips]
        labels = truth.copy()
        labels[flipped] = (truth[flipped] + random.integers(1, count, flips)) % count
        said = softmax(fit((x, labels), seed)[1].logits)
        first = np.argsort(self_confidence(said, labels))[:flips]
        precision.append(len(np.intersect1d(first, flipped)) / flips)
        recall.append(float((said.argmax(axis=1) != labels)[flipped].mean()))
    of = f"{images or len(train[1]):,} images"
    tell(f"{name}: flipped labels of {of}, precision at k", np.mean(precision), None if images else target)
    tell(f"{name}: flipped labels of {of}, recall of the list", np.mean(recall), target if images else None)


def strangers(name: str, train: Split, new: Split, others: Features) -> None:
    """What is let in of quite other pictures, and kept of one's own."""
    for images in (50, 200, len(train[1])):
        rows = np.random.default_rng(images).permutation(len(train[1]))[:images]
        novelty = fit_novelty(train[0][rows], np.arange(images), seed=0)
        assert novelty is not None
        let_in = 1 - novelty.is_unlike(others).mean()
        tell(f"{name}: digits and clothes let in by {images} cats and dogs", let_in, 0.02, low=True)
        tell(f"{name}: new cats and dogs kept by {images}", 1 - novelty.is_unlike(new[0]).mean(), 0.93)


def imbalance(name: str, train: Split, new: Split, cats: int, dogs: int) -> None:
    """Many cats and few dogs: balanced accuracy, without and with the training mix taken off."""
    plain, adjusted = [], []
    for seed in range(5):
        random = np.random.default_rng(seed)
        of_label = (random.permutation(np.flatnonzero(train[1] == label)) for label in range(2))
        rows = np.concatenate([images[:count] for images, count in zip(of_label, (cats, dogs), strict=True)])
        fitted, validated = fit((train[0][rows], train[1][rows]), seed)
        logits = fitted.logits(new[0]) / np.float32(temperature(validated.logits, train[1][rows]))
        for results, offset in ((plain, 0), (adjusted, log_prior(train[1][rows], 2))):
            right = (logits - offset).argmax(axis=1) == new[1]
            results.append(np.mean([right[new[1] == label].mean() for label in range(2)]))
    of = f"{name}: {cats:,} to {dogs}"
    goal, most = (0.94, 0.01) if cats == 1000 else (None, None)
    tell(f"{of}, balanced accuracy, prior of training", np.mean(plain), None)
    tell(f"{of}, balanced accuracy, equal prior", np.mean(adjusted), goal)
    tell(f"{of}, its deviation over 5 seeds", np.std(adjusted), most, low=True)


def tell(what: str, value: float, target: float | None, *, low: bool = False) -> None:
    """Prints a figure beside its target."""
    if target is None:
        print(f"     {value:7.3f}           {what}", flush=True)
    else:
        met = value <= target if low else value >= target
        print(f"{'ok' if met else '--':>3}  {value:7.3f}  {'≤' if low else '≥'} {target:.3f}  {what}", flush=True)


def features(source: Path, work: Path, backbone: Backbone) -> tuple[Split, Split]:
    """Returns the features and labels of train and validation, from records of the folder `source`."""
    from imageshards.train import models
    from imageshards.train.features import features_of
    from imageshards.train.input import labels, open_dataset

    make_records(str(source), out=str(work / "data"))
    dataset = open_dataset(source.name, str(work / "data"), 10)
    network = models.backbone(dataset.image_shape, backbone, WIDTHS[backbone], "imagenet", pooled=True)
    splits = ("train", "validation")
    kept = features_of(dataset, splits, network, work / "features")
    train, new = ((np.array(kept[split]), labels(dataset, split)) for split in splits)
    return train, new


def digits_and_clothes(data: Path, folder: Path) -> Path:
    """Writes 200 training and 100 validation pictures of each digit and each garment as folders, if not there."""
    if folder.is_dir():
        return folder
    aside = folder.with_suffix(".tmp")
    for name in ("mnist", "fashion_mnist"):
        for split, part, each in (("train", "train", 200), ("validation", "t10k", 100)):
            pictures = idx(data / name, f"{part}-images")
            numbers = idx(data / name, f"{part}-labels")
            for label in range(10):
                target = aside / split / f"{name}-{label}"
                target.mkdir(parents=True, exist_ok=True)
                rows = np.random.default_rng(label).permutation(np.flatnonzero(numbers == label))[:each]
                for row in rows.tolist():
                    Image.fromarray(pictures[row]).save(target / f"{row}.png")
    aside.rename(folder)
    return folder


def idx(folder: Path, start: str) -> npt.NDArray[np.uint8]:
    """Returns the array in a gzipped IDX file."""
    data = gzip.decompress(next(folder.glob(f"{start}*")).read_bytes())
    shape = np.frombuffer(data, ">i4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


if __name__ == "__main__":
    os.environ.setdefault("KERAS_HOME", str(Path(sys.argv[1]).resolve() / "weights/keras_home"))
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
