"""Draws a small set of labelled pictures for a first look: `python -m imageshards.pipeline.demo FOLDER`.

A folder a label: apples, bananas and cherries, 60 JPEGs of 320 × 240 each, in any colour, size and place. One more is
a copy of another, and one is cut off, as happens: the report shows what becomes of them.
"""

import argparse
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw

_SIZE = 320, 240
_BROWN, _GREEN = (96, 64, 32), (70, 130, 50)

_Color = tuple[int, int, int]
_Drawing = Callable[[ImageDraw.ImageDraw, random.Random, float], None]


def draw_fruit(folder: Path, per_label: int = 60, seed: int = 0) -> None:
    """Draws `per_label` pictures per label and two odd ones, unless the folder is there; whole or not at all."""
    if folder.exists():
        return
    chance = random.Random(seed)  # noqa: S311
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for label, draw in _FRUITS.items():
        (unfinished / label).mkdir(parents=True)
        for number in range(per_label):
            _picture(draw, chance).save(unfinished / label / f"{label}-{number:03d}.jpg", quality=90)
    shutil.copy(unfinished / "apple/apple-000.jpg", unfinished / "apple/apple-000-copy.jpg")
    whole = (unfinished / "banana/banana-000.jpg").read_bytes()
    (unfinished / "banana/banana-cut-off.jpg").write_bytes(whole[: len(whole) // 2])
    unfinished.rename(folder)


def _picture(draw: _Drawing, chance: random.Random) -> Image.Image:
    """Returns one fruit, turned a little, on a table before a pale wall."""
    wall, table = (_between(chance, (150, 150, 150), (250, 250, 250)) for _ in range(2))
    picture = Image.new("RGB", _SIZE, wall)
    edge = [(x, chance.randint(90, 200)) for x in (0, _SIZE[0])]
    ImageDraw.Draw(picture).polygon([*edge, _SIZE, (0, _SIZE[1])], table)
    fruit = Image.new("RGBA", _SIZE)
    draw(ImageDraw.Draw(fruit), chance, chance.uniform(35, 65))
    shift = chance.randint(-60, 60), chance.randint(-25, 25)
    fruit = fruit.rotate(chance.uniform(-40, 40), Image.Resampling.BICUBIC, translate=shift)
    picture.paste(fruit, mask=fruit)
    return picture


def _apple(draw: ImageDraw.ImageDraw, chance: random.Random, radius: float) -> None:
    red, green = _between(chance, (150, 10, 20), (220, 60, 50)), _between(chance, (110, 150, 30), (160, 200, 70))
    skin = chance.choice([red, green])
    for side in (-0.35, 0.35):
        _circle(draw, 160 + side * radius, 125, radius, skin)
    draw.line((160, 125 - 0.8 * radius, 168, 125 - 1.5 * radius), _BROWN, 6)
    draw.ellipse((168, 125 - 1.5 * radius, 168 + 0.7 * radius, 125 - 1.1 * radius), _GREEN)


def _banana(draw: ImageDraw.ImageDraw, chance: random.Random, radius: float) -> None:
    skin = _between(chance, (210, 170, 20), (250, 220, 80))
    reach, bend = 1.7 * radius, chance.uniform(0.55, 0.8)
    angles = [math.pi * step / 30 for step in range(31)]
    outer = [(160 - reach * math.cos(angle), 95 + reach * math.sin(angle)) for angle in angles]
    inner = [(160 + reach * math.cos(angle), 95 + bend * reach * math.sin(angle)) for angle in angles]
    draw.polygon([*outer, *inner], skin)
    for side in (-reach, reach):
        _circle(draw, 160 + side, 95, 6, _BROWN)


def _cherry(draw: ImageDraw.ImageDraw, chance: random.Random, radius: float) -> None:
    skin = _between(chance, (90, 0, 20), (190, 20, 50))
    for side in (-1, 1):
        x, y = 160 + side * radius, 150 + chance.uniform(-10, 10)
        draw.line((x, y, 170, 150 - 2 * radius), _GREEN, 4)
        _circle(draw, x, y, 0.6 * radius, skin)


_FRUITS: dict[str, _Drawing] = {"apple": _apple, "banana": _banana, "cherry": _cherry}


def _circle(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, color: _Color) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), color)


def _between(chance: random.Random, low: _Color, high: _Color) -> _Color:
    return chance.randint(low[0], high[0]), chance.randint(low[1], high[1]), chance.randint(low[2], high[2])


def main() -> None:
    """Draws the set into a folder."""
    parser = argparse.ArgumentParser(description="Draws a small set of labelled pictures.")
    parser.add_argument("folder", type=Path)
    draw_fruit(parser.parse_args().folder)


if __name__ == "__main__":
    main()
