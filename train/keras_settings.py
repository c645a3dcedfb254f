"""Keras's settings of a user, in ~/.keras/keras.json and the environment, that would change what a model computes."""

import os
from pathlib import Path
from typing import Any

from imageshards.pipeline.source import UserError

_BACKEND, _FLOATX, _DATA_FORMAT = "tensorflow", "float32", "channels_last"
_LIMITS = ("max_epochs", "max_steps_per_epoch")  # of any training, in KERAS_MAX_EPOCHS and the like


def choose_backend() -> None:
    """Makes Keras, once it is imported, run on TensorFlow and for all epochs. For a command's own process."""
    os.environ["KERAS_BACKEND"] = _BACKEND
    for limit in _LIMITS:
        os.environ.pop(f"KERAS_{limit.upper()}", None)


def reset_settings() -> None:
    """Sets what imageshards expects, whatever keras.json says. For a command's own process.

    Raises:
      UserError: Keras cannot be imported.
    """
    keras = _keras()
    keras.config.set_floatx(_FLOATX)
    keras.config.set_image_data_format(_DATA_FORMAT)
    keras.config.set_dtype_policy(_FLOATX)


def check_settings() -> None:
    """Looks at the settings of a process that is not ours to change.

    Raises:
      UserError: one of them would change what a model computes.
    """
    keras = _keras()
    settings = [
        ("backend", keras.config.backend(), _BACKEND, f"set KERAS_BACKEND={_BACKEND} before Keras is imported"),
        ("floatx", keras.config.floatx(), _FLOATX, f"call keras.config.set_floatx({_FLOATX!r})"),
        ("dtype_policy", keras.config.dtype_policy().name, _FLOATX, f"call keras.config.set_dtype_policy({_FLOATX!r})"),
        (
            "image_data_format",
            keras.config.image_data_format(),
            _DATA_FORMAT,
            f"call keras.config.set_image_data_format({_DATA_FORMAT!r})",
        ),
    ]
    for name, value, wanted, remedy in settings:
        if value != wanted:
            raise UserError(
                f"Keras's {name} is {value}, and imageshards needs {wanted}: {remedy}, or change keras.json"
            )
    for limit in _LIMITS:
        if (value := getattr(keras.config, limit, lambda: None)()) is not None:
            raise UserError(
                f"Keras's {limit} is {value}, which would cut training short: call keras.config.set_{limit}(None), or"
                f" unset KERAS_{limit.upper()}"
            )


def _keras() -> Any:
    try:
        import keras
    except ImportError as error:  # of the backend that is set
        raise UserError(f"Keras cannot be imported: {error}; set KERAS_BACKEND={_BACKEND}") from error
    except Exception as error:
        raise unusable(error) from error
    return keras


def unusable(error: Exception) -> UserError:
    """Returns what to say where TensorFlow or Keras cannot be imported, for a setting or for how it is installed."""
    file = Path(os.environ.get("KERAS_HOME") or "~/.keras", "keras.json").expanduser()
    said = f"{type(error).__name__} {error}".strip()
    remedy = f"mend or delete {file}, or " if file.exists() else ""
    return UserError(f"TensorFlow or Keras cannot be imported ({said}): {remedy}install imageshards[train] again")
