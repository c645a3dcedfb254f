"""A dataset of another project: importing it is enough for tfds.load("my_flowers")."""

from imageshards.datasets.builder import ImageShardsBuilder


class Builder(ImageShardsBuilder):
    """Flowers from our own garden."""

    OPTIONS = {"size": 64}
