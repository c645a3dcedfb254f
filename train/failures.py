"""What goes wrong under training, in words: damaged records, a full disk, too little memory."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from imageshards.pipeline.source import JobError

_READING = "IteratorGetNext"  # the operation that takes records from tf.data


@contextlib.contextmanager
def in_words(dataset: Path, runs: Path) -> Iterator[None]:
    """Turns errors of TensorFlow and of the disk into a JobError that says what to do.

    Args:
      dataset: the folder that records are read from.
      runs: the folder that everything is written to.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        if _READING not in error.message:  # it is a model's, and a bug
            raise
        reason = _first_line(error.message)
        raise JobError(
            f"{dataset}: a record is damaged or missing ({reason}); imageshards-verify {dataset} names the file"
        ) from error
    except tf.errors.ResourceExhaustedError as error:
        raise JobError(
            f"there is not enough memory, or no space left in {runs} ({_first_line(error.message)});"
            " a smaller --batch-size takes less memory"
        ) from error
    except OSError as error:
        where = error.filename or runs
        raise JobError(f"{where}: {error.strerror or _first_line(str(error))}") from error


def _first_line(text: str) -> str:
    """Returns what is worth reading of an error of TensorFlow, without the name of its operation."""
    lines = [line.strip() for line in re.sub(r"\{\{.*?\}\}|\[Op:.*", "", text).splitlines() if line.strip()]
    return (lines or ["no reason given"])[0][:200]
