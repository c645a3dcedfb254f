"""The cats_and_dogs_filtered dataset."""

from imageshards.datasets.builder import ImageShardsBuilder


class Builder(ImageShardsBuilder):
    """3,000 photos of cats and dogs."""
