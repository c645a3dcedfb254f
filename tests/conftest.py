"""Pictures that tests draw, and the command as tests call it."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imageshards.pipeline.__main__ import main

from .drawings import draw_colors, draw_shapes

SHARED = Path(__file__).parents[2] / "shared" / "data"
# Keras makes the folder that KERAS_HOME names, and a test must make none outside its own.
WEIGHTS = {"KERAS_HOME": str(SHARED / "weights/keras_home")} if SHARED.is_dir() else {}


@pytest.fixture
def shared() -> Path:
    """The folder of real photos, for tests marked so."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder of real photos, shared/data beside the repository, and it is not there")
    return SHARED


def gradient(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth colourful picture in which every corner differs, with a little texture."""
    y, x = np.mgrid[0:height, 0:width]
    chance = np.random.default_rng(seed)
    phase = chance.uniform(0, 6, 3)
    waves = [np.sin(x / 17 + phase[0]), np.cos(y / 23 + phase[1]), np.sin((x + y) / 31 + phase[2])]
    ramps = [x / width, y / height, (x + 2 * y) / (width + 2 * height)]
    planes = [90 * ramp + 40 * wave + 80 for ramp, wave in zip(ramps, waves, strict=True)]
    return Image.fromarray(np.stack(planes, axis=-1).clip(0, 255).astype(np.uint8))


def save(image: Image.Image, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def encoded(image: Image.Image, encoding: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, encoding, **options)
    return buffer.getvalue()


def draw_tree(root: Path, names: list[str], size: tuple[int, int] = (40, 30)) -> Path:
    """Draws a different small picture under each name."""
    for number, name in enumerate(names):
        save(gradient(*size, seed=number), root / name)
    return root


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of two drawn sets, colors and shapes, 48 x 48 in two shards, which no test changes; raw/ is beside."""
    folder = tmp_path_factory.mktemp("demo")
    draw_colors(folder / "raw/colors")
    draw_shapes(folder / "raw/shapes")
    with pytest.raises(SystemExit):
        main([str(folder / "raw"), "--out", str(folder / "data"), "--size", "48", "--shards", "2"])
    return folder / "data"


@pytest.fixture(scope="session")
def trained(demo_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that tells the shapes apart, with every export, which no test changes."""
    pytest.importorskip("tensorflow")
    from imageshards.train import train

    runs = tmp_path_factory.mktemp("runs")
    exports = "savedmodel,tflite,tflite-int8,web"
    run = train("shapes", data=str(demo_data), runs=str(runs), model="cnn", epochs=3, export=exports)
    return run.path


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process, OUT in tmp_path/data; returns the exit code, the output and the errors."""

    def run(src: Path | str, *arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([str(src), "--out", str(tmp_path / "data"), *arguments])
        said = capsys.readouterr()
        return int(exited.value.code or 0), said.out, said.err

    return run
