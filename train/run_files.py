"""What the files of a run say, looked at once for all that rely on it: predict, evaluate, the app and the exports."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imageshards.pipeline import storage
from imageshards.pipeline.images import Normalization
from imageshards.pipeline.source import SPLITS, UserError
from imageshards.train.cross_validation import CROSS_VALIDATION
from imageshards.train.novelty import NOVELTY, Novelty
from imageshards.train.runs import RUN

MODEL = "model.keras"
METRICS = "metrics.json"
LABELS = "labels.txt"

_ACCURACIES = ("accuracy", "balanced_accuracy")


class _DamageError(Exception):
    """What is wrong with a file."""


def read_settings(folder: Path) -> dict[str, Any]:
    """Returns what run.json holds: how the run was trained, and how photos become its input.

    Raises:
      UserError: it is damaged; the text names it, the value and what mends it.
    """
    path = folder / RUN
    try:
        settings = _object(path)
        _check(isinstance(settings.get("fingerprint"), str), "fingerprint", settings.get("fingerprint"), "a text")
        normalization = settings.get("normalization")
        _check(isinstance(normalization, dict), "normalization", normalization, "an object")
        Normalization.recorded(normalization)  # type: ignore[arg-type]
    except (OSError, ValueError, _DamageError) as error:
        raise damaged(path, error) from error
    return settings


def read_metrics(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what metrics.json holds: at least the accuracy on one split, and warnings.

    Raises:
      UserError: it is damaged.
    """
    path = folder / METRICS
    try:
        metrics = _object(path)
        warnings = metrics.get("warnings")
        _check(isinstance(warnings, list) and all(isinstance(w, str) for w in warnings), "warnings", warnings, "texts")
        judged = [split for split in (*SPLITS, CROSS_VALIDATION) if f"{split}_accuracy" in metrics]
        _check(bool(judged), "train_accuracy", None, "a share")
        for split in judged:
            _check_split(metrics, split)
    except (OSError, ValueError, _DamageError) as error:
        raise damaged(path, error, settings) from error
    return metrics


def read_labels(folder: Path, settings: Mapping[str, Any]) -> list[str]:
    """Returns the names in labels.txt, a line each; they are different.

    Raises:
      UserError: it is damaged.
    """
    path = folder / LABELS
    try:
        labels = storage.read(path).decode().split("\n")
        _check(labels.pop() == "", "its end", "cut off", "the end of a line")
        for number, label in enumerate(labels, 1):
            _check(bool(label.strip()), f"line {number}", label, "a name")
        _check(len(set(labels)) == len(labels), "the number of different labels", len(set(labels)), str(len(labels)))
    except (OSError, ValueError, _DamageError) as error:
        raise damaged(path, error, settings) from error
    return labels


def check_model(
    folder: Path, model: Any, labels: Sequence[str], settings: Mapping[str, Any], novelty: Novelty | None
) -> None:
    """Raises UserError unless the files of a run fit its model."""
    normalization = Normalization.recorded(settings["normalization"])
    made = (normalization.size, normalization.size, 3 if normalization.color == "rgb" else 1)
    takes, gives = tuple(model.input_shape[1:]), model.output_shape[-1]
    if takes != made:
        said = f"normalization makes pictures of {_dimensions(made)}, and {MODEL} takes {_dimensions(takes)}"
        raise damaged(folder / RUN, said, settings)
    if len(labels) != gives:
        raise damaged(folder / LABELS, f"{len(labels)} labels, and {MODEL} tells {gives} apart", settings)
    features = model.layers[-2].output.shape[-1]
    if novelty and novelty.vectors.shape[1:] != (features,):
        said = f"vectors of {_dimensions(novelty.vectors.shape)}, and {MODEL} has {features} features"
        raise damaged(folder / NOVELTY, said, settings)


def read_rows(path: Path, columns: Sequence[str], numbers: Sequence[str] = ()) -> list[dict[str, str]]:
    """Returns the rows of a table that training wrote, with at least these columns; those of `numbers` are numbers.

    Raises:
      UserError: it is missing or damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        for line, row in enumerate(rows, 2):
            for column in (*columns, *numbers):
                _check(row.get(column) is not None, f"{column} of row {line}", None, "there")
            for column in numbers:
                _check(math.isfinite(float(row[column])), f"{column} of row {line}", row[column], "a number")
    except (OSError, ValueError, csv.Error, _DamageError) as error:
        raise damaged(path, error) from error
    return rows


def damaged(path: Path, why: object, settings: Mapping[str, Any] | None = None) -> UserError:
    """Returns the error of a file of a run, which says how to have it whole again."""
    command = (settings or {}).get("command")
    again = f"train again: {command}" if isinstance(command, str) else "train again"
    said = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
    return UserError(f"{path}: damaged or missing: {said}; copy the run again from where it is whole, or {again}")


def _object(path: Path) -> dict[str, Any]:
    said = storage.read_json(path)
    if not isinstance(said, dict):
        raise _DamageError("it holds no object")
    return said


def _check_split(metrics: Mapping[str, Any], split: str) -> None:
    images = metrics.get(f"{split}_images")
    _check(type(images) is int and images > 0, f"{split}_images", images, "a number of images")
    for name in (f"{split}_{accuracy}" for accuracy in _ACCURACIES if f"{split}_{accuracy}" in metrics):
        interval = metrics.get(f"{name}_interval")
        _check(_is_share(metrics[name]), name, metrics[name], "a share")
        right = isinstance(interval, list) and len(interval) == 2 and all(map(_is_share, interval))
        _check(right, f"{name}_interval", interval, "two shares")


def _is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _check(right: bool, name: str, value: object, wanted: str) -> None:
    if not right:
        found = "missing" if value is None else f"{value!r:.80}"
        raise _DamageError(f"{name} is {found}, and should be {wanted}")


def _dimensions(shape: Sequence[object]) -> str:
    return " × ".join(map(str, shape))
