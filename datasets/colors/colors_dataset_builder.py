"""The colors dataset."""

from imageshards.datasets.builder import ImageShardsBuilder


class Builder(ImageShardsBuilder):
    """Solid red and solid blue."""
