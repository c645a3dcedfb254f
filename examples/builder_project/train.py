"""A project with a dataset builder of its own: `python train.py raw/flowers`, in this folder.

Where data/ has the dataset it is loaded; where it has not, the pictures become records first.
"""

import sys

import my_flowers.my_flowers_dataset_builder  # noqa: F401 (TFDS knows the dataset from then on)
import tensorflow_datasets as tfds

config = tfds.download.DownloadConfig(manual_dir=sys.argv[1])
data, info = tfds.load(
    "my_flowers", data_dir="data", with_info=True, download_and_prepare_kwargs={"download_config": config}
)
print(info.full_name, info.features["label"].names, {name: len(split) for name, split in data.items()})
