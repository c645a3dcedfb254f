"""The pictures that benchmarks run on: real ones where the folder of real photos is there, else drawn ones.

python tests/benchmarks/corpora.py small|large|tiny|linked FOLDER COUNT
"""

import gzip
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

SHARED = Path(__file__).parents[3] / "shared" / "data"
LABELS = ("cats", "dogs")


def small(folder: Path, count: int) -> Path:
    """JPEGs of 500 × 333 pixels, ImageNet's average, cropped by chance from photos of cats and dogs."""
    photos = sorted((SHARED / "cats_and_dogs_filtered").glob("*/*/*.jpg"))
    chance = np.random.default_rng(0)

    def draw(number: int) -> Image.Image:
        if not photos:
            return _drawn(500, 333, chance)
        with Image.open(photos[number % len(photos)]) as photo:
            width = min(photo.width, photo.height * 1.5) * chance.uniform(0.8, 1)
            left, top = chance.uniform(0, photo.width - width), chance.uniform(0, photo.height - width / 1.5)
            box = (left, top, left + width, top + width / 1.5)
            return photo.convert("RGB").resize((500, 333), Image.Resampling.BICUBIC, box=box)

    return _written(folder, count, draw, "jpg", quality=92)


def large(folder: Path, count: int) -> Path:
    """Photos of 8 to 36 megapixels, linked under new names where more are wanted than there are."""
    photos = sorted((SHARED / "pexels").glob("*/*/*.jpg"))
    if not photos:
        chance = np.random.default_rng(0)
        return _written(folder, count, lambda number: _drawn(4032, 3024, chance), "jpg", quality=92)
    for number in range(count):
        photo = photos[number % len(photos)]
        place = folder / photo.parent.name / f"{number:06d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(photo)
    return folder


def tiny(folder: Path, count: int) -> Path:
    """Gray PNGs of 28 × 28 pixels: Fashion-MNIST's training pictures."""
    archive = SHARED / "fashion_mnist" / "train-images-idx3-ubyte.gz"
    pixels = (
        np.frombuffer(gzip.decompress(archive.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28)
        if archive.exists()
        else np.random.default_rng(0).integers(0, 256, (1000, 28, 28), dtype=np.uint8)
    )
    return _written(folder, count, lambda number: Image.fromarray(pixels[number % len(pixels)]), "png")


def linked(folder: Path, count: int) -> Path:
    """As many files as wanted, hard links to a few thousand tiny pictures, in folders of ten thousand."""
    originals = sorted(tiny(folder.with_name(folder.name + ".originals"), 2000).glob("*/*.png"))
    for number in range(count):
        place = folder / f"label{number // 10_000 % 10}" / f"{number:07d}.png"
        if number % 10_000 == 0:
            place.parent.mkdir(parents=True, exist_ok=True)
        os.link(originals[number % len(originals)], place)
    return folder


def _written(folder: Path, count: int, draw: Callable[[int], Image.Image], suffix: str, **options: int) -> Path:
    for number in range(count):
        place = folder / LABELS[number % len(LABELS)] / f"{number:06d}.{suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        draw(number).save(place, **options)
    return folder


def _drawn(width: int, height: int, chance: np.random.Generator) -> Image.Image:
    coarse = chance.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
    noise = chance.integers(-12, 13, (height, width, 3))
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), int)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    {"small": small, "large": large, "tiny": tiny, "linked": linked}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
