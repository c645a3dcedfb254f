"""model.keras: written so that other versions of Keras open it, and looked at before it is opened here."""

import json
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from imageshards.pipeline.source import UserError
from imageshards.train.run_files import MODEL, damaged

OLDEST_KERAS = "3.5"

_CONFIG = "config.json"
_LONGEST = 200  # characters of what Keras says
# Settings of layers and initializers that older versions of Keras refuse, and what they are where nobody has set them.
_NEWER_SETTINGS = {
    "input_axes": None,
    "output_axes": None,
    "quantization_config": None,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
}

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
    """Writes model.keras into a run's folder, for Keras from `OLDEST_KERAS` on."""
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        path = Path(aside) / MODEL
        model.save(path)
        with zipfile.ZipFile(path) as written, zipfile.ZipFile(folder / MODEL, "w") as portable:
            for name in written.namelist():
                content = written.read(name)
                if name == _CONFIG:
                    content = json.dumps(_without_newer_settings(json.loads(content))).encode()
                portable.writestr(zipfile.ZipInfo(name), content)  # no time of writing: the same model, the same bytes


def load_model(folder: Path) -> keras.Model:
    """Returns the model of a run. Its file runs no code of its own: what it is made of is checked before it loads.

    Raises:
      UserError: the file is missing or damaged, or its model has parts that are not known here.
    """
    try:
        _check_parts(folder / MODEL)
        return keras.saving.load_model(folder / MODEL, compile=False, safe_mode=True)
    except UserError:
        raise
    except Exception as error:  # Keras raises whatever a damaged file makes it stumble over
        first = str(error).strip().partition("\n")[0][:_LONGEST] or type(error).__name__
        raise damaged(folder / MODEL, first) from error


def _without_newer_settings(config: Any) -> Any:
    """Returns a model's configuration less the settings that only newer versions of Keras know."""
    if isinstance(config, list):
        return [_without_newer_settings(part) for part in config]
    if not isinstance(config, dict):
        return config
    return {
        name: _without_newer_settings(value)
        for name, value in config.items()
        if not (name in _NEWER_SETTINGS and value == _NEWER_SETTINGS[name])
    }


def _check_parts(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read(_CONFIG))
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
