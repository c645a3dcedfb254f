"""From a TFDS dataset to a classifier.

    from imageshards.train import open_run, train

    run = train("pexels", data="data")
    run.accuracy["validation"]
    run.predict(["photo.jpg"])
    run.evaluate("more_photos/")

The data flows one way, one file per step:

    input       dataset            → batches of uint8 images and labels
    models      backbone, head     → a Keras model that takes the stored uint8 images
    features    images             → what a frozen backbone makes of them, once
    fit         features or images → the trained model
    measure     probabilities      → accuracy, recalls, confusion; `intervals` says how far to trust them
    assessment  measures           → verdict, warnings, metrics.json
    report      all of it          → report.html
    runs        files              → runs/<dataset>-<model>/, whole or not at all
    scoring     run, dataset       → the same measures on other labelled images
    prediction  run, raw photos    → names and probabilities, by the records' own normalization

`api` is what scripts, commands and the app call.
"""

import importlib
from typing import TYPE_CHECKING, Any

from imageshards.pipeline.source import JobError, UserError
from imageshards.train.progress import Progress

if TYPE_CHECKING:
    from imageshards.train.api import Run, evaluate, open_run, train
    from imageshards.train.intervals import Estimate
    from imageshards.train.prediction import Prediction
    from imageshards.train.scoring import Scores

__all__ = [
    "Estimate",
    "JobError",
    "Prediction",
    "Progress",
    "Run",
    "Scores",
    "UserError",
    "evaluate",
    "open_run",
    "train",
]

_HOMES = {
    "Estimate": "intervals",
    "Prediction": "prediction",
    "Run": "api",
    "Scores": "scoring",
    "evaluate": "api",
    "open_run": "api",
    "train": "api",
}


def __getattr__(name: str) -> Any:
    """Imports what a name needs, Pillow and NumPy among it, when it is asked for, and not for a command's --help."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
