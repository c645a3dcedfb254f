"""Importing this makes `tfds.load("colors")` known to TFDS."""

from imageshards.datasets.colors.colors_dataset_builder import Builder

__all__ = ["Builder"]
