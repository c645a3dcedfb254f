"""Training as functions: what the commands and the app do, for scripts and notebooks.

Nothing is printed, and nothing of the calling process is changed. Errors are exceptions whose text is what the command
would say.
"""

import dataclasses
import functools
import importlib.metadata
import itertools
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from imageshards.pipeline.images import Normalization
from imageshards.pipeline.keywords import command_line, takes_options_of
from imageshards.pipeline.source import SPLITS, UserError
from imageshards.train.cross_validation import CROSS_VALIDATION
from imageshards.train.intervals import Estimate, percent
from imageshards.train.keras_settings import check_settings
from imageshards.train.novelty import load_novelty
from imageshards.train.options import WEB, Options
from imageshards.train.prediction import Classifier, Prediction, find_images
from imageshards.train.progress import Report, silent
from imageshards.train.run_files import (
    LABELS,
    METRICS,
    check_model,
    read_labels,
    read_metrics,
    read_rows,
    read_settings,
)
from imageshards.train.runs import RUN, check_run, new_run
from imageshards.train.scoring import Scores, scores
from imageshards.train.web_runtime import Runtime, read_runtime

if TYPE_CHECKING:
    from imageshards.train.assessment import Assessment
    from imageshards.train.fit import Fitted
    from imageshards.train.input import Dataset
    from imageshards.train.measure import Evaluation

_EXAMPLES = 200  # images that show their range of values to an int8 model
_PACKAGES = ("imageshards", "tensorflow", "keras", "numpy", "tensorflow-datasets", "pillow")


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained model and what is known of it, in a folder.

    Attributes:
      path: the folder, such as runs/pexels-mobilenet.
      labels: the names that it tells apart; the number of a label is its place.
      metrics: what metrics.json holds.
      settings: what run.json holds: how it was trained, and how photos become its input.
    """

    path: Path
    labels: Sequence[str]
    metrics: Mapping[str, Any]
    settings: Mapping[str, Any]

    @property
    def accuracy(self) -> dict[str, Estimate]:
        """The accuracy on each split that there is, with the number of images behind it and its 95 % interval.

        `cross_validation` is that of images which were left out: of those of train, and of validation if they are few.
        """
        return self._estimates("accuracy")

    @property
    def balanced_accuracy(self) -> dict[str, Estimate]:
        """The mean of the labels' recalls on each split: each label counts the same, however many images it has."""
        return self._estimates("balanced_accuracy")

    @property
    def warnings(self) -> list[str]:
        """What somebody who relies on the figures must know."""
        return list(self.metrics["warnings"])

    @functools.cached_property
    def model(self) -> Any:
        """The Keras model: uint8 images (N, height, width, channels) from 0 to 255 → probabilities (N, labels).

        Raises:
          UserError: the model file is damaged, or has parts that imageshards does not make.
        """
        _check_keras()
        from imageshards.train.model_file import load_model

        return load_model(self.path)

    @functools.cached_property
    def classifier(self) -> Classifier:
        """The model with its labels, how photos become its input, and what is unlike its training pictures.

        Raises:
          UserError: a file of the run is damaged.
        """
        normalization = Normalization.recorded(self.settings["normalization"])
        novelty = load_novelty(self.path)
        check_model(self.path, self.model, self.labels, self.settings, novelty)
        return Classifier(self.model, self.labels, normalization, novelty)

    def predict(self, images: Iterable[str | Path], top: int = 3) -> list[Prediction]:
        """Returns the `top` most probable labels of image files, and of the images in folders.

        What cannot be read has an `error` instead of names.

        Raises:
          UserError: something does not exist, or a folder has no images.
        """
        files, unreadable = find_images(images)
        return [*self.classifier.predict(files, top), *unreadable]

    def evaluate(self, images: str | Path, *, data: str = "data") -> Scores:
        """Returns how often the run is right about a dataset in `data`, or about a folder of labelled images."""
        _check_keras()
        from imageshards.train.failures import in_words

        with in_words(Path(images), self.path):
            return scores(self.classifier, self.settings["fingerprint"], str(images), data)

    def mistakes(self, split: str) -> list[dict[str, Any]]:
        """Returns the rows of predictions.csv that are wrong, of a split, those it was surest of first."""
        rows = read_rows(self.path / "predictions.csv", ("split", "label", "predicted"), numbers=["probability"])
        wrong = [row for row in rows if row["split"] == split and row["label"] != row["predicted"]]
        return sorted(wrong, key=lambda row: -float(row["probability"]))

    def label_issues(self) -> list[dict[str, str]]:
        """Returns the rows of label_issues.csv: labels to look at, the likeliest errors first."""
        from imageshards.train.tables import LABEL_ISSUES

        path = self.path / LABEL_ISSUES
        return read_rows(path, ("file", "label", "likely_label")) if path.exists() else []

    def _estimates(self, name: str) -> dict[str, Estimate]:
        return {
            split: Estimate(
                self.metrics[f"{split}_{name}"],
                self.metrics[f"{split}_images"],
                *self.metrics[f"{split}_{name}_interval"],
            )
            for split in (*SPLITS, CROSS_VALIDATION)
            if f"{split}_{name}" in self.metrics
        }


@takes_options_of(Options)
def train(dataset: str, *, progress: Report = silent, **options: Any) -> Run:
    """Trains an image classifier from a dataset, and writes the folder of a run.

    `progress` is called while it works. An interrupt (Ctrl-C) keeps the best model so far.

    Returns:
      The run: its folder, labels, accuracy on each split, and the model.

    Raises:
      UserError: an option, the dataset or the installation is wrong; the text says what to do.
      JobError: training failed.
    """
    return _train(Options(dataset=dataset, **options), progress)


def evaluate(run: str | Path, images: str | Path, *, data: str = "data") -> Scores:
    """Returns how often a run is right about a dataset in `data`, or about a folder of labelled images.

    Labels are matched by name; images of labels that the run does not know are left out, and a warning says so.

    Raises:
      UserError: the folder is not a run's, or there are no images to evaluate.
    """
    return open_run(run).evaluate(images, data=data)


def open_run(path: str | Path) -> Run:
    """Returns the run in a folder.

    Raises:
      UserError: the folder is not a run's, or a file of it is damaged.
    """
    folder = Path(path)
    check_run(folder)
    settings = read_settings(folder)
    return Run(folder, read_labels(folder, settings), read_metrics(folder, settings), settings)


def _train(options: Options, report: Report) -> Run:
    start = time.monotonic()
    _check_keras()
    from imageshards.train.failures import in_words
    from imageshards.train.fit import fit
    from imageshards.train.input import open_dataset

    dataset = open_dataset(options.dataset, options.data, options.validation_percent)
    runtime = read_runtime(Path(options.web_runtime)) if options.web_runtime else Runtime()
    runs = Path(options.runs)
    with in_words(dataset.folder, runs), new_run(runs, options.run_name()) as folder:
        _check_labels(dataset)
        fitted = fit(options, dataset, runs / ".features", folder / "tensorboard", report)
        assessment = _assess(dataset, fitted)
        metrics = assessment.metrics() | {
            **_export(folder, options, dataset, fitted, assessment.held_out or assessment.train),
            **(fitted.head.metrics() if fitted.head else {}),
            "warnings": [*assessment.warnings, *_without_effect(options, fitted)],
            "best_epoch": fitted.best_epoch,
            "epochs": len(fitted.history),
            "interrupted": fitted.interrupted,
            "seconds": round(time.monotonic() - start, 1),
        }
        _write(folder, options, dataset, fitted, assessment, metrics)
        if WEB in options.exports():
            _write_page(folder, assessment.new or assessment.train, runtime)
    return open_run(runs / options.run_name())


def _check_labels(dataset: "Dataset") -> None:
    from imageshards.train.input import labels

    trained = np.unique(labels(dataset, "train"))
    if len(trained) < 2:
        raise UserError(
            f"{dataset.folder}: all training images have the label {dataset.labels[trained[0]]}, and there is nothing"
            " to tell apart; add images of another label, and build the dataset again"
        )


def _assess(dataset: "Dataset", fitted: "Fitted") -> "Assessment":
    from imageshards.train.assessment import Assessment
    from imageshards.train.input import keys, labels
    from imageshards.train.label_issues import find_label_issues
    from imageshards.train.measure import Evaluation

    names = dataset.labels
    evaluations = [
        Evaluation(split, keys(dataset, split), labels(dataset, split), probabilities, names)
        for split, probabilities in fitted.probabilities.items()
    ]
    if fitted.head is None or fitted.head.validated is None:
        return Assessment(evaluations)
    judged, said = fitted.head.judged, fitted.head.out_of_fold()
    cross_validation = Evaluation(CROSS_VALIDATION, judged.keys, judged.labels, said, names)
    return Assessment(evaluations, cross_validation, find_label_issues(said, judged, names))


def _without_effect(options: Options, fitted: "Fitted") -> list[str]:
    names = options.without_effect() if fitted.head else []
    verb = "decides" if len(names) == 1 else "decide"
    return [f"{', '.join(names)} {verb} nothing: the head is fitted to kept features, without epochs"] if names else []


def _write(
    folder: Path,
    options: Options,
    dataset: "Dataset",
    fitted: "Fitted",
    assessment: "Assessment",
    metrics: Mapping[str, Any],
) -> None:
    from imageshards.train.model_file import save_model
    from imageshards.train.report import write_report
    from imageshards.train.tables import write_tables

    settings = _settings(options, dataset, fitted)
    save_model(folder, fitted.model)
    if fitted.head and fitted.head.novelty:
        fitted.head.novelty.save(folder)
    write_tables(folder, assessment, fitted.history)
    name = options.run_name()
    write_report(folder, name, dataset, assessment, fitted.history, metrics, settings)
    (folder / LABELS).write_text("".join(f"{label}\n" for label in dataset.labels), encoding="utf-8")
    for file, content in ((METRICS, metrics), (RUN, settings)):
        text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False)
        (folder / file).write_text(text, encoding="utf-8")


def _export(
    folder: Path, options: Options, dataset: "Dataset", fitted: "Fitted", judged: "Evaluation"
) -> dict[str, Any]:
    """Writes the other formats; returns how often those in TFLite are right about the images of `judged`."""
    from imageshards.train.export import FILES, TFLITE, TFLITE_INT8, export, tflite_probabilities, write_readme
    from imageshards.train.input import images_of

    formats = options.exports()
    examples = itertools.islice(images_of(dataset, "train"), _EXAMPLES)
    export(folder, fitted.model, formats, examples)
    if written := [name for name in formats if name in FILES]:
        write_readme(folder, fitted.model, written, fitted.head.novelty if fitted.head else None)
    metrics: dict[str, Any] = {}
    for name in formats:
        if name not in (TFLITE, TFLITE_INT8):
            continue
        said = np.stack(list(tflite_probabilities(folder / FILES[name], images_of(dataset, judged.split))))
        accuracy = dataclasses.replace(judged, probabilities=said).accuracy
        metrics[name] = {
            "split": judged.split,
            "images": accuracy.images,
            "accuracy": accuracy.value,
            "accuracy_interval": [accuracy.low, accuracy.high],
        }
    return {"exports": metrics} if metrics else {}


def _write_page(folder: Path, new: "Evaluation", runtime: Runtime) -> None:
    """Writes the page for browsers of the run in `folder`, which is whole but for it."""
    from imageshards.train.web_export import write_page

    accuracy = new.accuracy
    pictures = "it was trained on" if new.split == "train" else "were left out of its training"
    said = f"Of {accuracy.images:,} pictures that {pictures}, {percent(accuracy.value)} were named right"
    said += f" (95% interval {accuracy.interval})."
    write_page(folder / WEB, open_run(folder).classifier, said, runtime)


def _settings(options: Options, dataset: "Dataset", fitted: "Fitted") -> dict[str, Any]:
    """Returns what a run must know of itself: how photos become its input, and how to make it again."""
    from imageshards.train.model_file import OLDEST_KERAS

    height, _, channels = dataset.image_shape
    assumed = Normalization(size=height, color="rgb" if channels == 3 else "gray", encoding="png")
    return {
        "command": command_line("imageshards-train", options),
        "dataset": dataset.builder.info.full_name,
        "fingerprint": dataset.fingerprint,
        "normalization": dataset.metadata().get("normalization") or dataclasses.asdict(assumed),
        "keras_at_least": OLDEST_KERAS,
        "options": options.used(dataset.count("train"), in_epochs=bool(fitted.history)),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _check_keras() -> None:
    if find_spec("tensorflow") is None:
        raise UserError("tensorflow is not installed; training needs: pip install 'imageshards[train]'")
    check_settings()
