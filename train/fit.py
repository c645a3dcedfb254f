"""Training: from a dataset and options to a fitted model and how it got there."""

import collections
import dataclasses
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from imageshards.pipeline.source import UserError
from imageshards.train import models
from imageshards.train.features import FeatureBatches, features_of
from imageshards.train.input import Dataset, evaluation_batches, labels, training_batches
from imageshards.train.options import Options
from imageshards.train.progress import Progress, Report

_UNBALANCED = 1.5  # labels count as unbalanced where the most frequent has so many times the images of the rarest
_FINE_TUNING_RATE = 1e-5
_FEATURES_AT_ONCE = 256
_STEPS_AT_ONCE = 8  # of a head on kept features: it computes less in a step than Python takes to begin one


@dataclasses.dataclass
class Fitted:
    """A trained model: uint8 images → probabilities. It has `top` and `features` where its backbone stayed frozen."""

    model: keras.Model
    history: list[dict[str, float]]
    best_epoch: int
    interrupted: bool
    top: keras.Model | None
    features: dict[str, npt.NDArray[np.float32]]

    def probabilities(self, dataset: Dataset, split: str) -> npt.NDArray[np.float32]:
        """Returns the probabilities (images, labels) of a split, in the order of the records."""
        result: npt.NDArray[np.float32]
        if self.top is not None:
            result = self.top.predict(self.features[split], batch_size=_FEATURES_AT_ONCE, verbose=0)
        else:
            result = self.model.predict(evaluation_batches(dataset, split, 64), verbose=0)
        return result


def fit(options: Options, dataset: Dataset, features_folder: Path, logs: Path, report: Report) -> Fitted:
    """Trains what the options name on the dataset's train split."""
    keras.utils.set_random_seed(options.seed)
    with strategy().scope():
        if options.model == "mobilenet":
            return _transfer(options, dataset, features_folder, logs, report)
        shape, count = dataset.image_shape, len(dataset.labels)
        if options.model == "mnist":
            model = models.mnist(shape, count, options.hidden_units())
        else:
            model = models.cnn(shape, count, options.seed)
        run = _Run(options, dataset, logs, report)
        run.train(model, *_batches(options, dataset), options.epochs, options.learning_rate or 1e-3)
        return Fitted(model, run.history, run.best_epoch, run.interrupted, None, {})


def strategy() -> tf.distribute.Strategy:
    """Returns how the work is shared: among this machine's GPUs if it has several.

    Raises:
      UserError: TF_CONFIG names several machines. Keras 3 cannot train on them: its trainer takes the values that
        MultiWorkerMirroredStrategy hands out for tensors, and they are none.
    """
    workers = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {}).get("worker", [])
    if len(workers) > 1:
        raise UserError("TF_CONFIG names several workers, and Keras 3 trains on one machine alone; unset it")
    several = len(tf.config.list_physical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()


def _transfer(options: Options, dataset: Dataset, features_folder: Path, logs: Path, report: Report) -> Fitted:
    pooled = options.head == "pooled"
    bottom = models.backbone(dataset.image_shape, options.backbone, options.alpha, options.weights, pooled=pooled)
    top = models.head(bottom.output_shape[-1], len(dataset.labels), options.head, options.seed)
    model = models.stack(bottom, top)
    rate = _falling(options, dataset) if pooled else options.learning_rate or 1e-4
    run = _Run(options, dataset, logs, report)
    features = {}
    if options.augment or options.recompute_features:
        run.train(model, *_batches(options, dataset), options.epochs, rate)
    else:
        features = {split: features_of(dataset, split, bottom, features_folder, report) for split in dataset.splits}
        truth = {split: labels(dataset, split) for split in dataset.splits}
        batch_size = options.images_a_step(len(truth["train"]))
        batches = FeatureBatches(features["train"], truth["train"], batch_size, options.seed)
        validation = None
        if "validation" in features:
            validation = FeatureBatches(features["validation"], truth["validation"], _FEATURES_AT_ONCE, options.seed)
        # A twin learns: a part of the model that was compiled would bring its optimizer into the model's file.
        learner = models.head(bottom.output_shape[-1], len(dataset.labels), options.head, options.seed)
        run.train(learner, batches, validation, options.epochs, rate, steps_at_once=_STEPS_AT_ONCE)
        top.set_weights(learner.get_weights())
    if options.fine_tune and not run.interrupted:
        bottom.trainable = True
        run.train(model, *_batches(options, dataset), options.fine_tune, _FINE_TUNING_RATE)
        features = {}
    return Fitted(model, run.history, run.best_epoch, run.interrupted, top if features else None, features)


def _falling(options: Options, dataset: Dataset) -> Any:
    """Returns a rate that falls along a cosine: a linear head can start fast, and ends within its noise otherwise."""
    steps = options.epochs * math.ceil(dataset.count("train") / options.images_a_step(dataset.count("train")))
    return keras.optimizers.schedules.CosineDecay(options.learning_rate or 1e-2, steps)


def _batches(options: Options, dataset: Dataset) -> tuple[tf.data.Dataset, tf.data.Dataset | None]:
    augment = models.augmentation(dataset.image_shape, options.seed) if options.augment else None
    batch_size = options.images_a_step(dataset.count("train"))
    training = training_batches(dataset, batch_size, options.shuffle_buffer, options.seed, augment)
    has_validation = "validation" in dataset.splits
    return training, evaluation_batches(dataset, "validation", 64) if has_validation else None


class _Run:
    """Trains one model after the other, head and then all, into one history."""

    def __init__(self, options: Options, dataset: Dataset, logs: Path, report: Report) -> None:
        self._options = options
        self._weights = class_weights(labels(dataset, "train"), len(dataset.labels), options.class_weights)
        self._logs = logs
        self._report = report
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self.interrupted = False

    def train(
        self, model: keras.Model, training: Any, validation: Any, epochs: int, rate: Any, steps_at_once: int = 1
    ) -> None:
        """Trains for up to `epochs`; the weights of the best one are the model's afterwards."""
        model.compile(
            keras.optimizers.Adam(rate),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            steps_per_execution=steps_at_once,
        )
        watched = ("val_" if validation is not None else "") + self._options.watch
        patience = self._options.patience or epochs
        mode = "min" if self._options.watch == "loss" else "max"
        best = keras.callbacks.EarlyStopping(watched, patience=patience, mode=mode, restore_best_weights=True)
        callbacks = [best, _History(self.history, self._report)]
        if self._options.tensorboard:
            callbacks.append(keras.callbacks.TensorBoard(str(self._logs)))
        before = len(self.history)
        try:
            model.fit(
                training,
                validation_data=validation,
                epochs=epochs,
                class_weight=self._weights,
                callbacks=callbacks,
                shuffle=False,  # the batches are in another order every epoch already
                verbose=0,
            )
        except KeyboardInterrupt:
            if len(self.history) == before:
                raise
            self.interrupted = True
            if best.best_weights is not None:
                model.set_weights(best.best_weights)
        if len(self.history) > before:
            values = [epoch[watched] for epoch in self.history[before:]]
            self.best_epoch = before + int((np.argmin if mode == "min" else np.argmax)(values)) + 1


class _History(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps losses and accuracies of every epoch, and reports them."""

    def __init__(self, history: list[dict[str, float]], report: Report) -> None:
        super().__init__()
        self._history = history
        self._report = report

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        values = {**(logs or {}), "seconds": round(time.monotonic() - self._start, 3)}
        self._history.append({"epoch": len(self._history) + 1, **values})
        self._report(Progress("epoch", epoch + 1, self.params["epochs"], values))


def class_weights(truth: npt.NDArray[np.int64], count: int, kind: str) -> dict[int, float] | None:
    """Returns weights that give every label the same say, where the labels are unbalanced; else None."""
    images = collections.Counter(truth.tolist())
    if kind == "off" or not images or max(images.values()) <= _UNBALANCED * min(images.values()):
        return None
    return {label: len(truth) / (len(images) * images[label]) if images[label] else 0.0 for label in range(count)}
