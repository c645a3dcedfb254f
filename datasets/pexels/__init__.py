"""Importing this makes `tfds.load("pexels")` known to TFDS."""

from imageshards.datasets.pexels.pexels_dataset_builder import Builder

__all__ = ["Builder"]
