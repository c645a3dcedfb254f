"""The command `imageshards-predict`: names and probabilities for raw photos.

A photo goes through the very normalization that made the run's records, encoding included, and is decoded as training
decodes them. What cannot be read is reported, and the rest predicted.
"""

import csv
import dataclasses
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from simple_parsing import field

from imageshards.pipeline.command import complain, new_parser, run_command
from imageshards.pipeline.images import Normalization, UnreadableError, normalize
from imageshards.pipeline.source import UserError
from imageshards.pipeline.sources.listing import list_files
from imageshards.train.quiet import import_tensorflow

NAME = "imageshards-predict"

_BATCH = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Says what is in photos, by a trained run or by ImageNet's 1000 names."""

    run: str = field(positional=True, metavar="RUN")
    """A run's folder, such as runs/pexels-mobilenet; or imagenet, the untouched MobileNet."""

    images: list[str] = field(positional=True, nargs="+", metavar="IMAGE")
    """Image files, or folders of them."""

    top: int = field(default=3, metavar="K")
    """How many names to give, the most probable first."""

    csv: bool = field(default=False, action="store_true")
    """Print comma-separated values instead of a table."""

    json: bool = field(default=False, action="store_true")
    """Print one JSON object a line instead of a table."""

    weights: str = field(default="imagenet", metavar="FILE")
    """For imagenet: the .h5 file of the weights, where Keras cannot download it."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UserError(f"--top {self.top}: give 1 or more")
        if self.csv and self.json:
            raise UserError("--csv and --json: give one of them")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The most probable names of one file; or, where it cannot be read, why."""

    file: str
    names: list[tuple[str, float]]
    error: str = ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 all predicted, 1 a file could not be read, 2 a mistake."""
    run_command(NAME, _run, arguments)


def _run(arguments: Sequence[str]) -> int:
    options: Options = new_parser(NAME, Options).parse_args(list(arguments)).options
    files = list(_files(options.images))
    import_tensorflow()
    model, labels, how = _open(options)
    predictions = list(predict(model, labels, how, files, min(options.top, len(labels))))
    _print(predictions, options)
    return int(any(prediction.error for prediction in predictions))


def predict(model: Any, labels: list[str], how: Normalization, files: list[Path], top: int) -> Iterator[Prediction]:
    """Yields a prediction for each file, in their order."""
    for start in range(0, len(files), _BATCH):
        batch = files[start : start + _BATCH]
        read = [read_pixels(path, how) for path in batch]
        pixels = [image for image in read if not isinstance(image, str)]
        rows = iter(model.predict_on_batch(np.stack(pixels)) if pixels else ())
        for path, image in zip(batch, read, strict=True):
            if isinstance(image, str):
                yield Prediction(str(path), [], image)
                continue
            probabilities = next(rows)
            best = np.argsort(-probabilities, kind="stable")[:top]
            yield Prediction(str(path), [(labels[n], float(probabilities[n])) for n in best])


def read_pixels(path: Path, how: Normalization) -> npt.NDArray[np.uint8] | str:
    """Returns the pixels that a record of this file would give to training; or what is wrong with it."""
    import tensorflow as tf

    try:
        stored = normalize(path.read_bytes(), how).data
    except OSError as error:
        return error.strerror or str(error)
    except UnreadableError as error:
        return f"{error.reason}: {error.detail}"
    pixels: npt.NDArray[np.uint8] = tf.io.decode_image(stored, 3 if how.color == "rgb" else 1).numpy()
    return pixels


def _files(images: Sequence[str]) -> Iterator[Path]:
    for name in images:
        path = Path(name)
        if path.is_dir():
            listing = list_files(name)
            if not listing.images:
                raise UserError(f"{name}: no images in this folder")
            yield from (path / file.path for file in listing.images)
        elif path.exists():
            yield path
        else:
            raise UserError(f"{name}: no such file or folder")


def _open(options: Options) -> tuple[Any, list[str], Normalization]:
    if options.run == "imagenet":
        from tensorflow_datasets.datasets.siscore.labels import IMAGENET_LABELS_LIST

        from imageshards.train.models import imagenet

        return imagenet(options.weights), list(IMAGENET_LABELS_LIST), Normalization()
    return open_run(Path(options.run))


def open_run(folder: Path) -> tuple[Any, list[str], Normalization]:
    """Returns a run's model, its labels, and how photos become its input.

    Raises:
      UserError: the folder is no run.
    """
    from imageshards.train.export import load

    model, labels, settings = load(folder)
    try:
        how = Normalization.recorded(settings["normalization"])
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder}: run.json does not say how photos become images: {error}") from error
    return model, labels, how


def _print(predictions: list[Prediction], options: Options) -> None:
    for prediction in predictions if not options.json else ():
        if prediction.error:
            complain(NAME, f"{prediction.file}: {prediction.error}")
    if options.json:
        for prediction in predictions:
            said: dict[str, Any] = {"file": prediction.file}
            said |= {"error": prediction.error} if prediction.error else {"predictions": prediction.names}
            print(json.dumps(said, ensure_ascii=False))
    elif options.csv:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["file", "rank", "label", "probability"])
        for prediction in predictions:
            for rank, (label, probability) in enumerate(prediction.names, 1):
                writer.writerow([prediction.file, rank, label, f"{probability:.6f}"])
        print(buffer.getvalue(), end="")
    else:
        width = max((len(prediction.file) for prediction in predictions), default=0)
        for prediction in predictions:
            names = "   ".join(f"{label} {probability:.1%}" for label, probability in prediction.names)
            print(f"{prediction.file:<{width}}  {names}" if names else f"{prediction.file:<{width}}  (not read)")


if __name__ == "__main__":
    main()
