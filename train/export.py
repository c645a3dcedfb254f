"""Other formats of a trained model, beside model.keras in the run's folder."""

from collections.abc import Sequence
from pathlib import Path

import keras


def export(folder: Path, model: keras.Model, formats: Sequence[str]) -> None:
    """Writes savedmodel/ and model.tflite."""
    if "savedmodel" in formats:
        model.export(folder / "savedmodel", verbose=False)
    if "tflite" in formats:
        model.export(folder / "model.tflite", format="litert", verbose=False)
