"""From a TFDS dataset to a classifier.

    from imageshards.train import open_run, train

    run = train("pexels", data="data")
    run.accuracy["validation"]
    run.predict(["photo.jpg"])

The data flows one way, a file a step:

    input       dataset            → batches of uint8 images and labels
    models      backbone, head     → a Keras model that takes the stored uint8 images
    features    images             → what a frozen backbone makes of them, once
    fit         features or images → the trained model
    measure     probabilities      → accuracy, recalls, confusion; `intervals` says how far to trust them
    assessment  measures           → verdict, warnings, metrics.json
    report      all of it          → report.html
    runs        files              → runs/<dataset>-<model>/, whole or not at all
    prediction  run, raw photos    → names and probabilities, by the records' own normalization

`api` is what scripts, commands and the app call.
"""

from imageshards.pipeline.source import JobError, UserError
from imageshards.train.api import Run, open_run, train
from imageshards.train.intervals import Estimate
from imageshards.train.prediction import Prediction
from imageshards.train.progress import Progress

__all__ = ["Estimate", "JobError", "Prediction", "Progress", "Run", "UserError", "open_run", "train"]
