"""The pexels dataset."""

from imageshards.datasets.builder import ImageShardsBuilder


class Builder(ImageShardsBuilder):
    """Photos of mobile phones, notebooks and wood."""
