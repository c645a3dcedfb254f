"""The models. Each takes the stored uint8 images (B, H, W, C) and returns probabilities (B, labels).

What happens to the pixels is inside the model, so that training, prediction and every export agree on it.
"""

import os
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from imageshards.pipeline.source import UserError
from imageshards.train.options import WIDTHS, Backbone, Head

Shape = tuple[int, int, int]

_SMALLEST = {"mobilenet": 32, "mobilenet_v2": 32}  # pixels, of either side
_SMALLEST_CNN = 18  # or nothing is left after its convolutions
_PRETRAINED = {  # widths that have ImageNet weights, as their files name them
    "mobilenet": {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"},
    "mobilenet_v2": {0.35: "0.35", 0.5: "0.5", 0.75: "0.75", 1.0: "1.0", 1.3: "1.3", 1.4: "1.4"},
}
_PRETRAINED_SIZES = {"mobilenet": (128, 160, 192, 224), "mobilenet_v2": (96, 128, 160, 192, 224)}
_LAST_LAYER = {"mobilenet": "conv_pw_13_relu", "mobilenet_v2": "out_relu"}


def backbone(shape: Shape, name: Backbone, alpha: float, weights: str, *, pooled: bool) -> keras.Model:
    """Returns a pretrained network without its top: uint8 images → features, averaged over the picture if `pooled`.

    Source: Howard et al., "MobileNets", 2017; Sandler et al., "MobileNetV2", 2018; weights by keras.applications.

    Raises:
      UserError: the weights cannot be loaded.
    """
    build = {"mobilenet": keras.applications.MobileNet, "mobilenet_v2": keras.applications.MobileNetV2}[name]
    height, width, channels = shape
    _check_backbone(name, height, width, alpha, weights)
    try:
        base = build(
            input_shape=(height, width, 3),
            alpha=alpha,
            include_top=False,
            weights=None if weights == "none" else weights,
        )
    except Exception as error:  # Keras raises what urllib, h5py or it itself happens to
        file = _weights_file(name, alpha, height, width)
        raise UserError(_no_weights(file, weights, error)) from error
    base.trainable = False
    images = keras.Input(shape, dtype="uint8", name="image_0_to_255")
    pixels = layers.Concatenate()([images] * 3) if channels == 1 else images
    pixels = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    features = keras.Model(base.inputs, base.get_layer(_LAST_LAYER[name]).output, name=name)
    features.trainable = False
    output = features(pixels, training=False)
    output = layers.GlobalAveragePooling2D()(output) if pooled else layers.Flatten()(output)
    return keras.Model(images, output, name="backbone")


def head(features: int, labels: int, kind: Head, seed: int) -> keras.Model:
    """Returns what is trained on a backbone: features (B, N) → probabilities."""
    inputs = keras.Input((features,), name="features")
    if kind == "pooled":
        x = layers.Dropout(0.2, seed=seed)(inputs)
        outputs = layers.Dense(labels, "softmax", kernel_initializer=keras.initializers.GlorotUniform(seed))(x)
    else:
        start = keras.initializers.VarianceScaling(seed=seed)
        x = layers.Dense(100, "relu", kernel_initializer=start)(inputs)
        start = keras.initializers.VarianceScaling(seed=seed + 1)
        outputs = layers.Dense(labels, "softmax", use_bias=False, kernel_initializer=start)(x)
    return keras.Model(inputs, outputs, name="head")


def stack(bottom: keras.Model, top: keras.Model) -> keras.Model:
    """Returns the model that is `top` on `bottom`."""
    return keras.Model(bottom.inputs, top(bottom.outputs[0]))


def with_similarity(model: keras.Model, vectors: npt.NDArray[np.float16]) -> keras.Model:
    """Returns a stacked model that also says how similar a picture is to the nearest of `vectors` (N, features).

    Its outputs are probabilities (B, labels) and the cosine similarity (B,), from -1 to 1.
    """
    unit = layers.UnitNormalization(name="features_of_length_1")(model.layers[-2].output)  # what the head takes
    compare = layers.Dense(len(vectors), use_bias=False, name="similarities")  # "dense" may be a layer of the model
    similarity = keras.ops.max(compare(unit), axis=1)
    compare.set_weights([vectors.T.astype(np.float32)])
    return keras.Model(model.inputs, [model.outputs[0], similarity])


def mnist(shape: Shape, labels: int, hidden: list[int]) -> keras.Model:
    """Returns the dense net of the MNIST tutorials: pixels to [0, 1], flatten, relu layers, softmax."""
    images = keras.Input(shape, dtype="uint8", name="image_0_to_255")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(images))
    for units in hidden:
        x = layers.Dense(units, "relu")(x)
    return keras.Model(images, layers.Dense(labels, "softmax")(x), name="mnist")


def cnn(shape: Shape, labels: int, seed: int) -> keras.Model:
    """Returns the convolutional net of the cats-and-dogs tutorials.

    Raises:
      UserError: the images are too small for it.
    """
    if min(shape[:2]) < _SMALLEST_CNN:
        raise UserError(
            f"the images are {shape[0]} × {shape[1]} pixels, and the model cnn takes {_SMALLEST_CNN} × {_SMALLEST_CNN}"
            " or more: build the records with a larger --size, or train with --model mnist"
        )
    images = keras.Input(shape, dtype="uint8", name="image_0_to_255")
    x = layers.Rescaling(1 / 255)(images)
    x = layers.MaxPooling2D()(layers.Conv2D(32, 3, activation="relu")(x))
    x = layers.MaxPooling2D()(layers.Conv2D(64, 3, activation="relu")(x))
    x = layers.Conv2D(64, 3, activation="relu")(x)
    x = layers.Dense(64, "relu")(layers.Flatten()(x))
    x = layers.Dropout(0.5, seed=seed)(layers.Dense(64, "relu")(x))
    logits = layers.Dense(labels, name="logits")(x)
    return keras.Model(images, layers.Softmax()(logits), name="cnn")


def imagenet(weights: str = "imagenet") -> keras.Model:
    """Returns the untouched MobileNet v1 0.25: uint8 (B, 224, 224, 3) → probabilities of 1000 ImageNet classes."""
    try:
        base = keras.applications.MobileNet(alpha=WIDTHS["mobilenet"], weights=weights)
    except Exception as error:
        raise UserError(_no_weights("mobilenet_2_5_224_tf.h5", weights, error)) from error
    images = keras.Input((224, 224, 3), dtype="uint8", name="image_0_to_255")
    return keras.Model(images, base(layers.Rescaling(1 / 127.5, offset=-1)(images), training=False), name="imagenet")


def _check_backbone(name: Backbone, height: int, width: int, alpha: float, weights: str) -> None:
    if min(height, width) < _SMALLEST[name]:
        raise UserError(
            f"the images are {height} × {width} pixels, and {name} takes {_SMALLEST[name]} × {_SMALLEST[name]} or more:"
            " build the records with a larger --size (it was trained on 224), or train with --model cnn or mnist"
        )
    if weights == "imagenet" and alpha not in _PRETRAINED[name]:
        widths = ", ".join(map(str, _PRETRAINED[name]))
        raise UserError(f"--alpha {alpha:g}: ImageNet weights of {name} exist for the widths {widths}")


def _weights_file(name: str, alpha: float, height: int, width: int) -> str:
    """Returns the name of the file, without a top, that Keras looks for below KERAS_HOME/models."""
    side = height if height == width and height in _PRETRAINED_SIZES[name] else 224
    kind = {"mobilenet": "{}_{}_tf", "mobilenet_v2": "v2_weights_tf_dim_ordering_tf_kernels_{}_{}"}[name]
    return f"mobilenet_{kind.format(_PRETRAINED[name].get(alpha), side)}_no_top.h5"


def _no_weights(file: str, weights: str, error: Exception) -> str:
    """Returns what to do about weights that cannot be loaded."""
    if weights != "imagenet":
        return f"--weights {weights}: {'no such file' if not Path(weights).is_file() else error}"
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
    if (folder / file).is_file():
        return f"{folder / file}: the file is damaged ({error}); remove it, and Keras downloads it again"
    return (
        f"the ImageNet weights, {file}, are not in {folder}, and Keras could not download them ({error}); on a machine"
        " with a connection Keras puts them into ~/.keras/models: copy that file here, or name it with --weights FILE,"
        " or name a folder that has models/ with KERAS_HOME; --model cnn needs no weights"
    )
