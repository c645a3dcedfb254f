"""What training can be told: one frozen dataclass, from which the command line is made."""

import dataclasses
import re
from pathlib import Path
from typing import Any, Literal

from simple_parsing import field

from imageshards.pipeline.keywords import check_choices
from imageshards.pipeline.source import UserError
from imageshards.pipeline.versions import is_version_number

Model = Literal["mobilenet", "mnist", "cnn"]
Backbone = Literal["mobilenet", "mobilenet_v2"]
Head = Literal["pooled", "dense100"]
Prior = Literal["equal", "training"]

WIDTHS = {"mobilenet": 0.25, "mobilenet_v2": 0.35}  # of a backbone, unless given

WEB = "web"  # the format that is a page for browsers, and its folder

_EXPORTS = ("savedmodel", "tflite", "tflite-int8", WEB)
_OF_TRANSFER = ("backbone", "alpha", "weights", "head", "fine_tune", "recompute_features")
_OF_EPOCHS = ("epochs", "batch_size", "learning_rate", "patience", "shuffle_buffer", "watch")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Trains an image classifier from a dataset, and says how good it is."""

    dataset: str = field(positional=True, metavar="DATASET")
    """The dataset: its path, or its name in DATA or in TFDS's catalogue, such as mnist; name:1.0.0 for a version."""

    data: str = field(default="data", metavar="FOLDER")
    """Where datasets are, as DATA/<dataset>/<version>."""

    runs: str = field(default="runs", metavar="FOLDER")
    """Where the result goes, as RUNS/<dataset>-<model>."""

    name: str = field(default="", metavar="NAME")
    """The name of the run's folder in RUNS; <dataset>-<model> unless given."""

    model: Model = "mobilenet"
    """Transfer learning (mobilenet), a dense net on pixels (mnist) or a small convolutional net (cnn)."""

    backbone: Backbone = "mobilenet"
    """The pretrained network under the mobilenet model."""

    alpha: float = field(default=0.0, metavar="WIDTH")
    """The backbone's width; 0.25 for mobilenet and 0.35 for mobilenet_v2 unless given."""

    weights: str = field(default="imagenet", metavar="FILE")
    """The backbone's weights: a .h5 file, imagenet (downloaded by Keras, or found under KERAS_HOME), or none."""

    head: Head = "pooled"
    """What is trained on the backbone: pooled (average, dropout, softmax) or dense100 (flatten, 100 relu, softmax)."""

    hidden: str = field(default="128", metavar="N,N")
    """Model mnist: units of the hidden layers."""

    epochs: int = field(default=20, metavar="N")
    """How many times to see the training images, at most."""

    fine_tune: int = field(default=0, metavar="N")
    """Model mobilenet: N more epochs in which the backbone learns too, at a low rate."""

    augment: bool = field(default=False, action="store_true")
    """Train on images that are randomly flipped, cropped and recoloured."""

    batch_size: int = field(default=0, metavar="N")
    """Images per step; 32, or fewer where an epoch would have less than twenty steps, unless given."""

    learning_rate: float = field(default=0.0, metavar="RATE")
    """Adam's learning rate; 0.01 falling to 0 for the head pooled, 0.0001 for dense100, else 0.001, unless given."""

    watch: Literal["loss", "accuracy"] = "loss"
    """Take the epoch whose validation loss is lowest, or whose validation accuracy is highest."""

    patience: int = field(default=5, metavar="N")
    """Stop when what is watched has not improved for N epochs; 0 never stops."""

    validation_percent: int = field(default=10, metavar="PERCENT")
    """How much of train validates, where the dataset has no validation split."""

    prior: Prior = "equal"
    """Expect every label as often as any other (equal), or as often as in the training images (training)."""

    shuffle_buffer: int = field(default=0, metavar="N")
    """Images in the shuffle buffer; all where their pixels fit into 1 GB, else 2,048, unless given."""

    seed: int = field(default=0, metavar="N")
    """Decides initial weights, the order of images and augmentation."""

    export: str = field(default="", metavar="FORMAT,FORMAT")
    """Also write the model as savedmodel, tflite, tflite-int8 or web, a page for browsers; several with commas."""

    web_runtime: str = field(default="", metavar="FOLDER")
    """For the export web: npm's node_modules/@litertjs, to copy beside the page; jsDelivr's addresses unless given."""

    tensorboard: bool = field(default=False, action="store_true")
    """Also write logs for TensorBoard, into the run's folder."""

    recompute_features: bool = field(default=False, action="store_true")
    """Run the frozen backbone in every epoch, instead of keeping what it makes of each image."""

    def __post_init__(self) -> None:
        check_choices(self)
        _check(self.epochs >= 1, f"--epochs {self.epochs}: give 1 or more")
        for name in ("batch_size", "fine_tune", "patience", "shuffle_buffer"):
            _check(getattr(self, name) >= 0, f"--{name.replace('_', '-')} {getattr(self, name)}: give 0 or more")
        for name in ("alpha", "learning_rate"):
            value, most = getattr(self, name), 2.0 if name == "alpha" else 1.0
            _check(0 <= value <= most, f"--{name.replace('_', '-')} {value:g}: give a number above 0, at most {most:g}")
        _check(0 <= self.seed < 1 << 32, f"--seed {self.seed}: give a whole number from 0 to {(1 << 32) - 1}")
        _check(1 <= self.validation_percent <= 50, f"--validation-percent {self.validation_percent}: give 1 to 50")
        _check(
            all(units.isdigit() and int(units) for units in self.hidden.split(",")),
            f"--hidden {self.hidden!r}: give numbers of units, such as 128 or 50,50",
        )
        _check(
            re.fullmatch(r"[\w-][\w .-]*", self.name or "x") is not None and not self.name.endswith(".previous"),
            f"--name {self.name!r}: give letters, digits, spaces, - _ and dots; no dot first, and not .previous last",
        )
        unknown = set(filter(None, self.export.split(","))) - set(_EXPORTS)
        _check(not unknown, f"--export {self.export!r}: give one or more of {', '.join(_EXPORTS)}, with commas")
        _check(not self.web_runtime or WEB in self.exports(), "--web-runtime: it is for --export web; give both")
        _check(
            not self.fine_tune or self.model == "mobilenet", f"--fine-tune: the model {self.model} has nothing to tune"
        )

    @property
    def keeps_features(self) -> bool:
        """Says whether the backbone stays as it is, and sees each image once."""
        return self.model == "mobilenet" and not self.augment and not self.recompute_features

    def without_effect(self) -> list[str]:
        """Returns the options that were given, and decide nothing about a head that is fitted to kept features."""
        usual = {field.name: field.default for field in dataclasses.fields(self)}
        given = [name for name in (*_OF_EPOCHS, "tensorboard") if getattr(self, name) != usual[name]]
        return [f"--{name.replace('_', '-')}" for name in given]

    def hidden_units(self) -> list[int]:
        """Returns the units of each hidden layer."""
        return [int(units) for units in self.hidden.split(",")]

    def images_a_step(self, images: int) -> int:
        """Returns the batch size for so many training images."""
        return self.batch_size or max(1, min(32, images // 20))

    def exports(self) -> list[str]:
        """Returns the formats to export to."""
        return [name for name in _EXPORTS if name in self.export.split(",")]

    def run_name(self) -> str:
        """Returns the name of the run's folder."""
        if self.name:
            return self.name
        name = self.dataset.replace(":", "-")
        if is_path(self.dataset):
            *_, above, name = Path(self.dataset).absolute().parts
            name = f"{above}-{name}" if is_version_number(name) else name
        return f"{name}-{self.model}"

    @property
    def width(self) -> float:
        """The backbone's width."""
        return self.alpha or WIDTHS[self.backbone]

    @property
    def rate(self) -> float:
        """Adam's learning rate; for the head pooled, that which it starts from."""
        of_head = {"pooled": 1e-2, "dense100": 1e-4}
        return self.learning_rate or (of_head[self.head] if self.model == "mobilenet" else 1e-3)

    def used(self, images: int, *, in_epochs: bool) -> dict[str, Any]:
        """Returns the options that had a part in training on so many images, with the values that were used."""
        idle = {"dataset", "data", "runs", "name", *(() if self.model == "mnist" else ("hidden",))}
        idle |= set(() if self.model == "mobilenet" else _OF_TRANSFER) | set(() if in_epochs else _OF_EPOCHS)
        values = dataclasses.asdict(self)
        values |= {"alpha": self.width, "batch_size": self.images_a_step(images), "learning_rate": self.rate}
        return {name: value for name, value in values.items() if name not in idle and value != ""}


def is_path(dataset: str) -> bool:
    """Says whether a dataset is given by its path; a name in the catalogue may have a slash too."""
    return "/" in dataset and Path(dataset).is_dir()


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(message)
