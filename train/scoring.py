"""A trained model on other labelled images: a dataset, or a folder that `imageshards-records` would understand."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imageshards.pipeline.options import Options as RecordsOptions
from imageshards.pipeline.source import UserError
from imageshards.pipeline.sources.layouts import read
from imageshards.pipeline.versions import published_versions
from imageshards.train.intervals import Estimate
from imageshards.train.measure import Evaluation
from imageshards.train.prediction import Classifier

_FOLDER = "images"  # what the images of a folder are called in place of a split
_BATCH = 64
_NAMES_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Scores:
    """How a model does on each split of a dataset, or on the images of a folder.

    Attributes:
      evaluations: of each split, with the labels of the run.
      warnings: what somebody who relies on the figures must know, such as images that were left out.
    """

    evaluations: Sequence[Evaluation]
    warnings: Sequence[str]

    @property
    def accuracy(self) -> dict[str, Estimate]:
        """The accuracy on each split, with the number of images behind it and its 95 % interval."""
        return {each.split: each.accuracy for each in self.evaluations}

    @property
    def balanced_accuracy(self) -> dict[str, Estimate]:
        """The mean of the labels' recalls on each split."""
        return {each.split: each.balanced_accuracy for each in self.evaluations}

    def metrics(self) -> dict[str, Any]:
        """Returns the figures as plain numbers, as in metrics.json of a run."""
        merged = {name: figure for each in self.evaluations for name, figure in each.metrics().items()}
        return {**merged, "warnings": list(self.warnings)}


def scores(classifier: Classifier, trained_on: str, images: str, data: str) -> Scores:
    """Returns how a classifier does on a dataset in `data`, or else on a folder of labelled images.

    Labels are matched by name; images of labels that the classifier does not know are left out, and counted.

    Args:
      classifier: the model, its labels and its normalization.
      trained_on: the fingerprint of the dataset that it was trained on.
      images: the dataset's name, or the folder.
      data: where datasets are.

    Raises:
      UserError: there is no such dataset or folder, or it has no label that the classifier knows.
    """
    if published_versions(Path(data) / images.partition(":")[0]):
        return _of_dataset(classifier, trained_on, images, data)
    if not Path(images).exists():
        raise UserError(f"{images}: neither a dataset in {data} nor a folder with images")
    return _of_folder(classifier, images)


def _of_dataset(classifier: Classifier, trained_on: str, name: str, data: str) -> Scores:
    from imageshards.train.input import evaluation_batches, keys, labels, open_dataset

    dataset = open_dataset(name, data)
    wanted = tuple(classifier.model.input_shape[1:])
    if dataset.image_shape != wanted:
        raise UserError(
            f"{name}: its images are {_dimensions(dataset.image_shape)}, and the model takes {_dimensions(wanted)};"
            " give the folder that they were made from instead"
        )
    evaluations, warnings = [], []
    if dataset.fingerprint == trained_on:
        warnings.append("the model was trained on this very dataset: its train split says nothing about new images")
    for split in dataset.splits:
        said = classifier.model.predict(evaluation_batches(dataset, split, _BATCH), verbose=0)
        names = [dataset.labels[number] for number in labels(dataset, split)]
        evaluations.append(_matched(classifier, split, keys(dataset, split), names, said, warnings))
    return _checked(classifier, evaluations, warnings, name)


def _of_folder(classifier: Classifier, src: str) -> Scores:
    readings = read(RecordsOptions(src=src))
    if len(readings) > 1:
        datasets = _some([reading.options.dataset_name() for reading in readings])
        raise UserError(f"{src}: it holds several datasets ({datasets}); give the folder of one")
    reading = readings[0]
    warnings = [f"{each.file} was left out: {each.reason}: {each.detail}" for each in reading.rejected]
    sources = list(reading.sources)
    said = list(classifier.probabilities([reading.root / source.path for source in sources]))
    readable = [number for number, each in enumerate(said) if not isinstance(each, str)]
    warnings += [f"{sources[n].key} was left out: {each}" for n, each in enumerate(said) if isinstance(each, str)]
    if not readable:
        raise UserError(f"{src}: not one image can be read; {warnings[0]}")
    keys, names = [sources[n].key for n in readable], [sources[n].label for n in readable]
    evaluation = _matched(classifier, _FOLDER, keys, names, np.stack([said[n] for n in readable]), warnings)
    return _checked(classifier, [evaluation], warnings, src)


def _matched(
    classifier: Classifier,
    split: str,
    keys: Sequence[str],
    names: Sequence[str],
    probabilities: npt.NDArray[np.float32],
    warnings: list[str],
) -> Evaluation:
    """Returns the evaluation of the images whose label the classifier knows; adds to `warnings` what it left out."""
    numbers = {label: number for number, label in enumerate(classifier.labels)}
    known = [n for n, name in enumerate(names) if name in numbers]
    strangers = sorted(set(names) - set(numbers))
    if strangers:
        warnings.append(
            f"{split}: {_counted(len(names) - len(known), 'image')} of {_counted(len(strangers), 'label')} that the"
            f" model does not know left out: {_some(strangers)}"
        )
    truth = np.array([numbers[names[n]] for n in known], np.int64)
    return Evaluation(split, [keys[n] for n in known], truth, probabilities[known], list(classifier.labels))


def _checked(classifier: Classifier, evaluations: Sequence[Evaluation], warnings: Sequence[str], name: str) -> Scores:
    with_images = [each for each in evaluations if len(each.truth)]
    if not with_images:
        known = _some(classifier.labels)
        raise UserError(f"{name}: none of its labels is one of the model's ({known}); {'; '.join(warnings)}")
    return Scores(with_images, warnings)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMES_SHOWN]) + (" …" if len(names) > _NAMES_SHOWN else "")


def _dimensions(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
