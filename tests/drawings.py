"""Two sets of pictures that tests train on."""

import random
from pathlib import Path

from PIL import Image, ImageDraw

_COLORS = {"red": (214, 40, 40), "blue": (38, 70, 182)}
_SHAPES = ("circle", "square", "triangle")


def draw_colors(folder: Path) -> None:
    """Draws the colors set: 2 training and 1 validation pictures a label, 86 × 68 RGBA."""
    for label, color in _COLORS.items():
        for number in (1, 2, 3):
            split = "validation" if number == 3 else "training"
            path = folder / split / label / f"{label}-{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shade = tuple(min(255, channel + 8 * number) for channel in color)
            Image.new("RGBA", (86, 68), shade).save(path)


def draw_shapes(folder: Path, per_label: int = 40, seed: int = 0) -> None:
    """Draws the shapes set: `per_label` JPEGs a label, 320 × 240."""
    chance = random.Random(seed)
    for label in _SHAPES:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(per_label):
            draw_shape(label, chance).save(folder / label / f"{label}-{number:03d}.jpg", quality=90)


def draw_shape(label: str, chance: random.Random) -> Image.Image:
    """Returns one picture of a shape."""
    image = Image.new("RGB", (320, 240), _color(chance, 160, 255))
    draw = ImageDraw.Draw(image)
    radius = chance.randint(30, 80)
    x, y = chance.randint(radius, 320 - radius), chance.randint(radius, 240 - radius)
    fill = _color(chance, 0, 120)
    if label == "circle":
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill)
    else:
        sides = 4 if label == "square" else 3
        draw.regular_polygon((x, y, radius), sides, rotation=chance.randint(0, 359), fill=fill)
    return image


def _color(chance: random.Random, low: int, high: int) -> tuple[int, int, int]:
    return chance.randint(low, high), chance.randint(low, high), chance.randint(low, high)
