"""Clothes, 784-128-10: `python examples/fashion_mnist.py raw/fashion_mnist` draws its guesses.

The pictures are PNGs of 28 × 28 in train/ and test/, a folder for each kind of clothing. The page that it draws has the
first pictures of the test split, each with what the network takes it for, wrong ones in red.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
import tensorflow_datasets as tfds

from imageshards.pipeline import make_records
from imageshards.train import train

make_records(sys.argv[1], dataset="fashion", size=28, color="gray", encoding="png")
run = train("fashion", model="mnist", hidden="128", epochs=5)
print(f"test: {run.accuracy['test'].value:.1%} of {run.accuracy['test'].images:,} pictures")

images, labels = next(iter(tfds.load("fashion", data_dir="data", split="test", as_supervised=True).batch(15)))
probabilities = run.model.predict_on_batch(images)
figure, axes = plt.subplots(3, 5, figsize=(10, 7))
for image, label, row, place in zip(images, labels, probabilities, axes.flat, strict=True):
    best = int(np.argmax(row))
    place.imshow(image, cmap="binary")
    place.set_title(f"{run.labels[best]} {row[best]:.0%}", color="black" if best == label else "red", fontsize=9)
    place.axis("off")
figure.savefig("fashion.png")
print("fashion.png")
