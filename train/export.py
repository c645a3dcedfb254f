"""Other formats of a trained model, beside model.keras in the run's folder."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

SAVEDMODEL, TFLITE, TFLITE_INT8 = "savedmodel", "tflite", "tflite-int8"
FILES = {SAVEDMODEL: "savedmodel", TFLITE: "model.tflite", TFLITE_INT8: "model-int8.tflite"}

Images = Iterable[npt.NDArray[np.uint8]]


def export(folder: Path, model: keras.Model, formats: Sequence[str], examples: Images) -> None:
    """Writes savedmodel/, model.tflite and model-int8.tflite, as far as they are wanted.

    The TFLite models take one image at a time, (1, H, W, C): browsers and phones refuse a batch without a size.

    Args:
      folder: the run's.
      model: uint8 images → probabilities.
      formats: of FILES.
      examples: images (H, W, C) from training, which show the range of values to an int8 model.
    """
    if SAVEDMODEL in formats:
        model.export(folder / FILES[SAVEDMODEL], verbose=False)
    one_image = [keras.InputSpec(shape=(1, *model.inputs[0].shape[1:]), dtype="uint8", name=model.inputs[0].name)]
    export_tflite = functools.partial(model.export, format="litert", input_signature=one_image, verbose=False)
    if TFLITE in formats:
        export_tflite(folder / FILES[TFLITE])
    if TFLITE_INT8 in formats:
        export_tflite(
            folder / FILES[TFLITE_INT8],
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=lambda: ([image[np.newaxis]] for image in examples),
        )


def tflite_probabilities(path: Path, images: Images) -> Iterator[npt.NDArray[np.float32]]:
    """Yields what a TFLite model makes of each image (H, W, C): probabilities (labels,)."""
    interpreter = tf.lite.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    for image in images:
        interpreter.set_tensor(taken, image[np.newaxis])
        interpreter.invoke()
        yield interpreter.get_tensor(given)[0]
