"""Red or blue: the smallest sanity check of a whole pipeline, `python examples/colors.py raw/colors`.

A network that does not tell two plain colors apart has a mistake in what feeds it: sizes, labels, channels or scale.
"""

import sys

from imageshards.pipeline import make_records
from imageshards.train import train

make_records(sys.argv[1], dataset="colors", size=32)
run = train("colors", model="cnn", epochs=15, patience=0)
for split, accuracy in run.accuracy.items():
    print(f"{split}: {accuracy.value:.0%} of {accuracy.images} images")
    assert accuracy.value == 1, f"{split} is not perfect: something is wrong before the network"
