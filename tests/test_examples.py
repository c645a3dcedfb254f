"""The programs in examples/, run on few pictures; those whose pictures or weights are not here are skipped."""

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import WEIGHTS, Command, save
from .drawings import draw_colors, draw_shapes

EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.slow


def run(folder: Path, program: str, *arguments: str) -> str:
    """Runs a program in `folder` and returns what it printed."""
    environment = os.environ | WEIGHTS | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONSAFEPATH", None)  # which make sets: a program finds the modules beside it
    command = [sys.executable, str(EXAMPLES / program), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy_some(source: Path, folder: Path, count: int) -> Path:
    """Copies the first `count` files of each folder below `source`."""
    for label in (path for path in source.rglob("*") if path.is_dir()):
        for file in sorted(path for path in label.iterdir() if path.is_file())[:count]:
            copy = folder / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    return folder


def unpack_idx(archives: Path, folder: Path, count: int) -> Path:
    """Writes the first `count` pictures of each of MNIST's archives as PNGs, a folder a split and label."""
    for split, name in (("train", "train"), ("test", "t10k")):
        pixels = gzip.decompress((archives / f"{name}-images-idx3-ubyte.gz").read_bytes())[16:]
        labels = gzip.decompress((archives / f"{name}-labels-idx1-ubyte.gz").read_bytes())[8:]
        images = np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28)
        for number in range(count):
            save(Image.fromarray(images[number]), folder / split / str(labels[number]) / f"{number:05}.png")
    return folder


def test_colors(tmp_path: Path) -> None:
    draw_colors(tmp_path / "raw/colors")
    assert "validation: 100% of 2 images" in run(tmp_path, "colors.py", "raw/colors")


def test_a_builder_in_another_project(tmp_path: Path) -> None:
    draw_shapes(tmp_path / "raw/flowers", per_label=5)
    said = run(tmp_path, "builder_project/train.py", "raw/flowers")
    assert "my_flowers/1.0.0 ['circle', 'square', 'triangle'] {'train': 9, 'validation': 3, 'test': 3}" in said


def test_my_folder(shared: Path, tmp_path: Path) -> None:
    draw_shapes(tmp_path / "photos", per_label=10)
    said = run(tmp_path, "my_folder.py", "photos", "photos/circle/circle-000.jpg")
    assert re.search(r"\('circle', [01]\.\d+\)", said)
    assert (tmp_path / "runs/my_folder-mobilenet/report.html").exists()


def test_three_kinds_of_photos(shared: Path, tmp_path: Path) -> None:
    copy_some(shared / "pexels", tmp_path / "raw/pexels", 4)
    said = run(tmp_path, "three_kinds_of_photos.py", "raw/pexels")
    assert re.search(r"validation: \d+% of 5 photos", said)
    assert re.search(r"model\.tflite: 0\.\d MB", said)


def test_fashion_mnist(shared: Path, tmp_path: Path) -> None:
    unpack_idx(shared / "fashion_mnist", tmp_path / "raw/fashion", 300)
    assert re.search(r"test: \d+\.\d% of 300 pictures", run(tmp_path, "fashion_mnist.py", "raw/fashion"))
    assert Image.open(tmp_path / "fashion.png").size == (1000, 700)


def test_digits_with_tfds(shared: Path, tmp_path: Path, records: Command) -> None:
    raw = unpack_idx(shared / "mnist", tmp_path / "raw/digits", 300)
    assert records(raw, "--size", "28", "--color", "gray", "--encoding", "png")[0] == 0
    assert re.search(r"test: \d+\.\d%", run(tmp_path, "digits_with_tfds.py", "data"))


def test_cats_and_dogs(shared: Path, tmp_path: Path) -> None:
    copy_some(shared / "cats_and_dogs_filtered", tmp_path / "raw/cats_and_dogs", 20)
    said = run(tmp_path, "cats_and_dogs.py", "raw/cats_and_dogs")
    assert len(re.findall(r"train \d+%, validation \d+%", said)) == 3
