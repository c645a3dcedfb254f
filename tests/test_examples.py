"""The programs in examples/, run on few pictures; those whose pictures or weights are not here are skipped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SHARED
from .drawings import draw_colors, draw_shapes

EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.slow


def run(folder: Path, program: str, *arguments: str) -> str:
    """Runs a program in `folder` and returns what it printed."""
    environment = os.environ | {"KERAS_HOME": str(SHARED / "weights/keras_home"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONSAFEPATH", None)  # which make sets: a program finds the modules beside it
    command = [sys.executable, str(EXAMPLES / program), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_colors(tmp_path: Path) -> None:
    draw_colors(tmp_path / "raw/colors")
    assert "validation: 100% of 2 images" in run(tmp_path, "colors.py", "raw/colors")


def test_a_builder_in_another_project(tmp_path: Path) -> None:
    draw_shapes(tmp_path / "raw/flowers", per_label=5)
    said = run(tmp_path, "builder_project/train.py", "raw/flowers")
    assert "my_flowers/1.0.0 ['circle', 'square', 'triangle'] {'train': 9, 'validation': 3, 'test': 3}" in said
