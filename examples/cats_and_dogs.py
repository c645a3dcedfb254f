"""Cats and dogs, and a network that learns them by heart: `python examples/cats_and_dogs.py raw/cats_and_dogs`.

A small convolutional network on 2,000 photos reaches nearly everything on those that it has seen, and little more than
guessing on others; the run says so. Augmentation, and then a network that was trained before, are what helps.
"""

import sys

from imageshards.pipeline import make_records
from imageshards.train import train

make_records(sys.argv[1], dataset="cats_and_dogs", size=96)
for options in ({"model": "cnn"}, {"model": "cnn", "augment": True}, {"model": "mobilenet"}):
    run = train("cats_and_dogs", epochs=15, patience=0, watch="accuracy", **options)
    accuracies = ", ".join(f"{split} {accuracy.value:.0%}" for split, accuracy in run.accuracy.items())
    print(f"{options}: {accuracies}; {run.metrics['fit']}")
