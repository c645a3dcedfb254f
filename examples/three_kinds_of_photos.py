"""Mobile, notebook or wood? Learned from thirty photos: `python examples/three_kinds_of_photos.py raw/pexels`.

The photos lie in training/ and validation/, a folder for each kind. MobileNet 0.25, made for phones and browsers, has
learned from ImageNet what pictures are made of; only a new last layer is trained. It needs ImageNet weights (Keras
downloads them, or finds them under KERAS_HOME). The model is also written for TensorFlow Lite, which runs on phones.
"""

import sys

from imageshards.pipeline import make_records
from imageshards.train import train

make_records(sys.argv[1], dataset="pexels")
run = train("pexels", model="mobilenet", export="tflite")
print(f"validation: {run.accuracy['validation'].value:.0%} of {run.accuracy['validation'].images} photos")
for mistake in run.mistakes("validation"):
    print(f"  {mistake['file']} is {mistake['label']}, taken for {mistake['predicted']}")
print(f"{run.path / 'model.tflite'}: {(run.path / 'model.tflite').stat().st_size / 1e6:.1f} MB")
