"""Importing this makes `tfds.load("cats_and_dogs_filtered")` known to TFDS."""

from imageshards.datasets.cats_and_dogs_filtered.cats_and_dogs_filtered_dataset_builder import Builder

__all__ = ["Builder"]
