"""Keras's settings of a user, in ~/.keras/keras.json and the environment, that would change what a model computes."""

import os

from imageshards.pipeline.source import UserError

_BACKEND, _FLOATX, _DATA_FORMAT = "tensorflow", "float32", "channels_last"


def choose_backend() -> None:
    """Makes Keras, once it is imported, run on TensorFlow. For a command's own process."""
    os.environ["KERAS_BACKEND"] = _BACKEND


def reset_settings() -> None:
    """Sets what imageshards expects, whatever keras.json says. For a command's own process."""
    import keras

    keras.config.set_floatx(_FLOATX)
    keras.config.set_image_data_format(_DATA_FORMAT)
    keras.config.set_dtype_policy(_FLOATX)


def check_settings() -> None:
    """Looks at the settings of a process that is not ours to change.

    Raises:
      UserError: one of them would change what a model computes.
    """
    try:
        import keras
    except ImportError as error:  # of the backend that is set
        raise UserError(f"Keras cannot be imported: {error}; set KERAS_BACKEND={_BACKEND}") from error
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
