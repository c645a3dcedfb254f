"""The command `imageshards-predict`: names and probabilities for raw photos.

What cannot be read is reported, and the rest predicted.
"""

import dataclasses
import io
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from simple_parsing import field

from imageshards.pipeline.command import complain, new_parser, run_command, say
from imageshards.pipeline.images import Normalization
from imageshards.pipeline.source import UserError
from imageshards.pipeline.spreadsheet import as_path, write_rows
from imageshards.train.quiet import import_tensorflow

if TYPE_CHECKING:
    from imageshards.train.prediction import Classifier, Prediction

NAME = "imageshards-predict"


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
    """Print one JSON object per line instead of a table."""

    weights: str = field(default="imagenet", metavar="FILE")
    """For imagenet: the .h5 file of the weights, where Keras cannot download it."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UserError(f"--top {self.top}: give 1 or more")
        if self.csv and self.json:
            raise UserError("--csv and --json: give one of them")


_COLUMNS = ("file", "rank", "label", "probability", "unlike_training", "error")
_UNLIKE = {True: "yes", False: "no", None: ""}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 all predicted, 1 a file could not be read, 2 a mistake."""
    run_command(NAME, _run, arguments)


def _run(arguments: Sequence[str]) -> int:
    options: Options = new_parser(NAME, Options).parse_args(list(arguments)).options
    from tqdm import tqdm

    from imageshards.train.prediction import find_images

    files, unreadable = find_images(options.images)
    import_tensorflow()
    predicted = _classifier(options).predict(files, options.top)
    bar = tqdm(predicted, total=len(files), unit=" images", dynamic_ncols=True, leave=False, disable=None)
    predictions = [*bar, *unreadable]
    _print(predictions, options)
    return int(any(prediction.error for prediction in predictions))


def _classifier(options: Options) -> "Classifier":
    from imageshards.train.api import open_run
    from imageshards.train.prediction import Classifier

    if options.run != "imagenet":
        return open_run(options.run).classifier
    from tensorflow_datasets.datasets.siscore.labels import IMAGENET_LABELS_LIST

    from imageshards.train.models import imagenet

    return Classifier(imagenet(options.weights), IMAGENET_LABELS_LIST, Normalization())


def _print(predictions: "list[Prediction]", options: Options) -> None:
    from imageshards.train.prediction import UNLIKE

    for prediction in predictions if not options.json else ():
        if prediction.error:
            complain(NAME, f"{prediction.file}: {prediction.error}")
    if options.json:
        for prediction in predictions:
            said: dict[str, Any] = {"file": prediction.file}
            said |= {"error": prediction.error} if prediction.error else {"predictions": prediction.names}
            said |= {} if prediction.unlike_training is None else {"unlike_training": prediction.unlike_training}
            say(json.dumps(said))
    elif options.csv:
        buffer = io.StringIO()
        write_rows(buffer, [_COLUMNS, *(row for prediction in predictions for row in _rows(prediction))])
        say(buffer.getvalue().rstrip("\n"))
    else:
        width = max((len(prediction.file) for prediction in predictions), default=0)
        for prediction in predictions:
            names = "   ".join(f"{label} {probability:.1%}" for label, probability in prediction.names)
            names += f"   ({UNLIKE})" if prediction.unlike_training else ""
            say(f"{prediction.file:<{width}}  {names}" if names else f"{prediction.file:<{width}}  (not read)")


def _rows(prediction: "Prediction") -> Iterator[tuple[object, ...]]:
    """Yields the rows of --csv for one file: one per name, or one that says why it cannot be read."""
    file = as_path(prediction.file)
    if prediction.error:
        yield file, "", "", "", "", prediction.error
    for rank, (label, probability) in enumerate(prediction.names, 1):
        yield file, rank, label, f"{probability:.6f}", _UNLIKE[prediction.unlike_training], ""


if __name__ == "__main__":
    main()
