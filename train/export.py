"""A run's folder: the model, all that is needed to use it, and other formats of it."""

import json
from pathlib import Path
from typing import Any

import keras

from imageshards.pipeline.source import UserError


def save(folder: Path, model: keras.Model, labels: list[str], settings: dict[str, Any]) -> None:
    """Writes model.keras, labels.txt and run.json, which says how photos become the model's input."""
    model.save(folder / "model.keras")
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")


def load(folder: Path) -> tuple[keras.Model, list[str], dict[str, Any]]:
    """Returns what `save` wrote. Keras loads in safe mode: a model file runs no code of its own.

    Raises:
      UserError: the folder is no run.
    """
    try:
        settings = json.loads((folder / "run.json").read_text("utf-8"))
        labels = (folder / "labels.txt").read_text("utf-8").splitlines()
        model = keras.saving.load_model(folder / "model.keras", compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{folder}: not the folder of a run, or it is damaged: {error}") from error
    return model, labels, settings


def export(folder: Path, model: keras.Model, formats: list[str]) -> None:
    """Writes savedmodel/ and model.tflite."""
    if "savedmodel" in formats:
        model.export(folder / "savedmodel", verbose=False)
    if "tflite" in formats:
        model.export(folder / "model.tflite", format="litert", verbose=False)
