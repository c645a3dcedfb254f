"""Training: from a dataset and options to a fitted model and how it got there."""

import contextlib
import dataclasses
import json
import math
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imageshards.pipeline.source import JobError, UserError
from imageshards.train import models
from imageshards.train.augmentation import augmented
from imageshards.train.features import FeatureBatches, features_of
from imageshards.train.input import Dataset, evaluation_batches, labels, training_batches
from imageshards.train.labelled import labelled
from imageshards.train.linear_head import MOST_FEATURE_BYTES, LinearHead, fit_linear_head
from imageshards.train.options import Options
from imageshards.train.priors import label_weights
from imageshards.train.progress import Progress, Report
from imageshards.train.softmax import Floats

_FINE_TUNING_RATE = 1e-5
_FEATURES_AT_ONCE = 256
_FEW_VALIDATION_IMAGES = 200  # up to which they are cross-validated with the training images
_STEPS_AT_ONCE = 8  # of a head on kept features: it computes less in a step than Python takes to begin one


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A trained model, how it got there, and what it says of the images of the dataset.

    Attributes:
      model: uint8 images → probabilities.
      history: losses and accuracies of each epoch; empty where the head was fitted to kept features at once.
      best_epoch: the epoch whose weights the model has, from 1; 0 without epochs.
      interrupted: whether the user ended training.
      probabilities: of each split, (images, labels) in the order of the records.
      head: the cross-validated head, where the model is that head on a backbone that stayed frozen.
    """

    model: keras.Model
    history: list[dict[str, float]]
    best_epoch: int
    interrupted: bool
    probabilities: dict[str, Floats]
    head: LinearHead | None = None


def fit(options: Options, dataset: Dataset, features_folder: Path, logs: Path, report: Report) -> Fitted:
    """Trains what the options name on the dataset's train split."""
    sees_pixels = options.model != "mobilenet" or not options.keeps_features
    devices = strategy() if sees_pixels else tf.distribute.get_strategy()  # a head is too little to share
    with devices.scope(), _seeded(options.seed):
        if options.model == "mobilenet":
            return _transfer(options, dataset, features_folder, logs, report)
        shape, count = dataset.image_shape, len(dataset.labels)
        if options.model == "mnist":
            model = models.mnist(shape, count, options.hidden_units())
        else:
            model = models.cnn(shape, count, options.seed)
        run = _Run(options, dataset, logs, report)
        run.train(model, *_batches(options, dataset), options.epochs, options.rate)
        return run.fitted(model, _probabilities(model, dataset))


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Makes the layers that Keras builds start from `seed`: it draws theirs from Python's generator."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


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
    """Trains a head on a pretrained backbone, and then the backbone if that is asked for."""
    pooled = options.head == "pooled"
    bottom = models.backbone(dataset.image_shape, options.backbone, options.width, options.weights, pooled=pooled)
    top = models.head(bottom.output_shape[-1], len(dataset.labels), options.head, options.seed)
    model = models.stack(bottom, top)
    run = _Run(options, dataset, logs, report)
    features: dict[str, Floats] = {}
    head = None
    if options.keeps_features:
        features = features_of(dataset, dataset.splits, bottom, features_folder, report)
    if not features:
        run.train(model, *_batches(options, dataset), options.epochs, _rate_of_head(options, dataset))
    elif pooled and features["train"].nbytes <= MOST_FEATURE_BYTES:
        head = _linear_head(options, dataset, features)
        top.set_weights([head.softmax.kernel, head.softmax.bias])
    else:
        _train_on_features(run, top, options, dataset, features)
    if options.fine_tune and not run.interrupted:
        bottom.trainable = True
        if run.improve(model, *_batches(options, dataset), options.fine_tune, _FINE_TUNING_RATE):
            features, head = {}, None
    if head is not None:
        return run.fitted(model, {split: head.probabilities(each) for split, each in features.items()}, head)
    if features:
        said = {split: top.predict(each, _FEATURES_AT_ONCE, verbose=0) for split, each in features.items()}
        return run.fitted(model, said)
    return run.fitted(model, _probabilities(model, dataset))


def _linear_head(options: Options, dataset: Dataset, features: dict[str, Floats]) -> LinearHead:
    judged = ["train"]
    if "validation" in features and dataset.count("validation") <= _FEW_VALIDATION_IMAGES:
        judged.append("validation")
    together = np.concatenate([features[split] for split in judged])
    return fit_linear_head(together, labelled(dataset, judged), len(dataset.labels), options.prior, options.seed)


def _train_on_features(
    run: "_Run", top: keras.Model, options: Options, dataset: Dataset, features: dict[str, Floats]
) -> None:
    """Trains `top` on kept features, batch by batch: they may be more than fits into memory."""
    batch_size = options.images_a_step(dataset.count("train"))
    batches = FeatureBatches(features["train"], labels(dataset, "train"), batch_size, options.seed)
    validation = None
    if "validation" in features:
        truth = labels(dataset, "validation")
        validation = FeatureBatches(features["validation"], truth, _FEATURES_AT_ONCE, options.seed, run.weights)
    # A twin learns: a part of the model that was compiled would bring its optimizer into the model's file.
    learner = keras.models.clone_model(top)
    learner.set_weights(top.get_weights())
    run.train(learner, batches, validation, options.epochs, _rate_of_head(options, dataset), _STEPS_AT_ONCE)
    top.set_weights(learner.get_weights())


def _probabilities(model: keras.Model, dataset: Dataset) -> dict[str, Floats]:
    return {split: model.predict(evaluation_batches(dataset, split, 64), verbose=0) for split in dataset.splits}


def _rate_of_head(options: Options, dataset: Dataset) -> Any:
    """Returns the learning rate: a linear head can start fast, and ends within its noise unless the rate falls."""
    if options.head != "pooled":
        return options.rate
    steps = options.epochs * math.ceil(dataset.count("train") / options.images_a_step(dataset.count("train")))
    return keras.optimizers.schedules.CosineDecay(options.rate, steps)


def _batches(options: Options, dataset: Dataset) -> tuple[tf.data.Dataset, tf.data.Dataset | None]:
    augment = augmented if options.augment else None
    devices = tf.distribute.get_strategy().num_replicas_in_sync
    batch_size = max(options.images_a_step(dataset.count("train")), devices)
    even = devices > 1
    training = training_batches(dataset, batch_size, options.shuffle_buffer, options.seed, augment, even=even)
    if "validation" not in dataset.splits:
        return training, None
    validation = evaluation_batches(dataset, "validation", 64)
    weights = class_weights(options, dataset)
    if weights is not None:
        validation = validation.map(lambda images, truth: (images, truth, tf.gather(weights, truth)))
    return training, validation


class _Run:
    """Trains one model after the other, head and then all, into one history."""

    def __init__(self, options: Options, dataset: Dataset, logs: Path, report: Report) -> None:
        self._options = options
        self.weights = class_weights(options, dataset)
        self._logs = logs
        self._report = report
        self.history: list[dict[str, float]] = []
        self.best_epoch = 0
        self._best_value = math.nan
        self.interrupted = False

    def fitted(self, model: keras.Model, probabilities: dict[str, Floats], head: LinearHead | None = None) -> Fitted:
        """Returns the trained model with how it got there."""
        return Fitted(model, self.history, self.best_epoch, self.interrupted, probabilities, head)

    def train(
        self, model: keras.Model, training: Any, validation: Any, epochs: int, rate: Any, steps_at_once: int = 1
    ) -> None:
        """Trains for up to `epochs`; the weights of the best one are the model's afterwards."""
        _compile(model, rate, steps_at_once)
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
                class_weight=None if self.weights is None else dict(enumerate(self.weights.tolist())),
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
        values = [epoch[watched] for epoch in self.history[before:]]
        best_of_these = int((np.argmin if mode == "min" else np.argmax)(values))
        self.best_epoch = before + best_of_these + 1
        self._best_value = values[best_of_these]

    def improve(self, model: keras.Model, training: Any, validation: Any, epochs: int, rate: float) -> bool:
        """Trains a model further; where no epoch is better than what it was, it stays that, and False is returned."""
        weights, epoch = model.get_weights(), self.best_epoch
        _compile(model, rate)
        new = training if validation is None else validation
        before = model.evaluate(new, verbose=0, return_dict=True)[self._options.watch]
        self.train(model, training, validation, epochs, rate)
        better = self._best_value < before if self._options.watch == "loss" else self._best_value > before
        if not better:
            model.set_weights(weights)
            self.best_epoch = epoch
        return bool(better)


def _compile(model: keras.Model, rate: Any, steps_at_once: int = 1) -> None:
    loss, optimizer = "sparse_categorical_crossentropy", keras.optimizers.Adam(rate)
    model.compile(optimizer, loss, metrics=["accuracy"], steps_per_execution=steps_at_once)


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
        wrong = [name for name, value in values.items() if not math.isfinite(value)]
        if wrong:
            raise JobError(
                f"training diverged: in epoch {len(self._history)} the {wrong[0]} is not a finite number;"
                " try a lower --learning-rate"
            )
        self._report(Progress("epoch", epoch + 1, self.params["epochs"], values))


def class_weights(options: Options, dataset: Dataset) -> Floats | None:
    """Returns how much an image of each label counts, if every label shall count the same and is not as frequent."""
    weights = label_weights(labels(dataset, "train"), len(dataset.labels))
    return None if options.prior == "training" or np.allclose(weights, weights[0]) else weights
