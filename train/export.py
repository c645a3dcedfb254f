"""Other formats of a trained model, beside model.keras in the run's folder."""

import functools
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from imageshards.train.novelty import NOVELTY, Novelty

SAVEDMODEL, TFLITE, TFLITE_INT8 = "savedmodel", "tflite", "tflite-int8"
README = "README.txt"
_WIDTH = 100  # of its lines
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
        shown = [[image[np.newaxis]] for image in examples]
        export_tflite(
            folder / FILES[TFLITE_INT8],
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=lambda: iter(shown),
        )


def write_readme(folder: Path, model: keras.Model, formats: Sequence[str], novelty: Novelty | None) -> None:
    """Writes README.txt into a run's folder: what the files in these formats take, give, and do not say."""
    height, width, channels = model.inputs[0].shape[1:]
    paragraphs = [
        f"{', '.join(FILES[name] for name in formats)}: the model of model.keras in other formats.",
        f"They take {model.inputs[0].name}: uint8 pixels from 0 to 255, (pictures, {height}, {width}, {channels});"
        ' TFLite takes one picture. run.json says in "normalization" how a photo is cropped and scaled to that.',
        f"They give probabilities (pictures, {model.outputs[0].shape[-1]}), in the order of the lines of labels.txt."
        ' metrics.json says in "exports" how often the TFLite models are right.',
        "This model cannot tell pictures that are unlike anything seen in training."
        if novelty is None
        else "They do not tell pictures that are unlike anything seen in training: the vectors that it takes are not"
        f" included. imageshards-predict, the app and --export web do it, with {NOVELTY}. A picture is unlike all"
        " others where the cosine similarity of its features, which the last layer of the model takes, to the nearest"
        f" of the vectors in {NOVELTY} is below the threshold, {novelty.threshold:.4f}."
        " That passes 95 % of the training pictures, each compared with the others.",
    ]
    text = "\n\n".join(textwrap.fill(paragraph, _WIDTH) for paragraph in paragraphs)
    (folder / README).write_text(f"{text}\n", encoding="utf-8")


def tflite_probabilities(path: Path, images: Images) -> Iterator[npt.NDArray[np.float32]]:
    """Yields what a TFLite model makes of each image (H, W, C): probabilities (labels,)."""
    interpreter = tf.lite.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    for image in images:
        interpreter.set_tensor(taken, image[np.newaxis])
        interpreter.invoke()
        yield interpreter.get_tensor(given)[0]
