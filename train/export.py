"""A run's folder: the model, all that is needed to use it, and other formats of it."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from imageshards.pipeline.source import UserError

# What the models of this package are made of. Keras can load much else, some of which runs code: a Lambda, a function
# by its name, a SavedModel as a layer.
_LAYERS = (
    "Activation Add AveragePooling2D BatchNormalization Concatenate Conv2D Dense DepthwiseConv2D Dropout Flatten"
    " GlobalAveragePooling2D GlobalMaxPooling2D InputLayer MaxPooling2D Multiply ReLU Rescaling Reshape SeparableConv2D"
    " Softmax ZeroPadding2D"
)
_KNOWN: set[tuple[str | None, str]] = {("keras.layers", name) for name in _LAYERS.split()}
_KNOWN |= {("keras.initializers", name) for name in ("GlorotUniform", "Ones", "VarianceScaling", "Zeros")}
_KNOWN |= {("keras.src.models.functional", "Functional"), ("keras", "DTypePolicy"), (None, "__keras_tensor__")}


def save(folder: Path, model: keras.Model, labels: list[str], settings: dict[str, Any]) -> None:
    """Writes model.keras, labels.txt and run.json, which says how photos become the model's input."""
    model.save(folder / "model.keras")
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps(settings, indent=2, sort_keys=True), encoding="utf-8")


def load(folder: Path) -> tuple[keras.Model, list[str], dict[str, Any]]:
    """Returns what `save` wrote. A model file runs no code of its own: what it is made of is looked at before it loads.

    Raises:
      UserError: the folder is no run, or its model has parts that are not known here.
    """
    try:
        settings = json.loads((folder / "run.json").read_text("utf-8"))
        labels = (folder / "labels.txt").read_text("utf-8").splitlines()
        _check_parts(folder / "model.keras")
        model = keras.saving.load_model(folder / "model.keras", compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{folder}: not the folder of a run, or it is damaged: {error}") from error
    return model, labels, settings


def export(folder: Path, model: keras.Model, formats: list[str]) -> None:
    """Writes savedmodel/ and model.tflite."""
    if "savedmodel" in formats:
        model.export(folder / "savedmodel", verbose=False)
    if "tflite" in formats:
        model.export(folder / "model.tflite", format="litert", verbose=False)


def _check_parts(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    config.pop("compile_config", None)  # predicting does not load it
    unknown = sorted({name for module, name in _parts(config) if (module, name) not in _KNOWN}, key=str)
    if unknown:
        raise UserError(f"{path}: its parts {', '.join(map(str, unknown))} are none that this command loads")


def _parts(config: Any) -> Iterator[tuple[str | None, Any]]:
    """Yields the module and name of everything that Keras would make from a model's configuration."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config.get("module"), config["class_name"]
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from _parts(part)
