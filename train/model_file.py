"""model.keras: written so that other versions of Keras open it, and looked at before it is opened here."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from imageshards.pipeline.source import UserError

MODEL = "model.keras"

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


def save_model(folder: Path, model: keras.Model) -> None:
    """Writes model.keras into a run's folder."""
    model.save(folder / MODEL)


def load_model(folder: Path) -> keras.Model:
    """Returns the model of a run. Its file runs no code of its own: what it is made of is checked before it loads.

    Raises:
      UserError: the file is missing or damaged, or its model has parts that are not known here.
    """
    try:
        _check_parts(folder / MODEL)
        return keras.saving.load_model(folder / MODEL, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{folder}: not the folder of a run, or it is damaged: {error}") from error


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
