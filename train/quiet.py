"""Imports TensorFlow without what it says of itself: how it was built, and that there is no GPU."""

import logging
import os
import sys

from imageshards.pipeline import host
from imageshards.pipeline.source import UserError
from imageshards.train.keras_settings import choose_backend, reset_settings, unusable


def import_tensorflow() -> None:
    """Imports TensorFlow and TFDS for a command, and sets Keras up as imageshards expects it.

    Their C++ parts write to the file descriptor, past any Python setting.

    Raises:
      UserError: TensorFlow is not installed, or cannot be imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    choose_backend()
    sys.stderr.flush()
    stderr = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        host.collect_rarely()
        with host.unused_left_out():
            import tensorflow
            import tensorflow_datasets

            assert tensorflow_datasets.__version__
            assert tensorflow.keras  # imported when it is first used
        tensorflow.config.list_physical_devices()  # looks for GPUs, and says here and not later that there is none
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed; training needs: pip install 'imageshards[train]'") from error
    except Exception as error:
        raise unusable(error) from error
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
    logging.getLogger("absl").setLevel(logging.ERROR)
    reset_settings()
