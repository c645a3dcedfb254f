"""The built wheel in an environment of its own, without TensorFlow, beside Hugging Face's datasets."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import draw_tree

HERE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python in a fresh environment that has the wheel, at the versions of the lock."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    shutil.copytree(HERE, tree, ignore=shutil.ignore_patterns(".*", "build", "dist", "data", "runs", "*.egg-info"))
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(tree)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    constraints = folder / "constraints.txt"
    lock = (HERE / "requirements/dev.lock").read_text()
    constraints.write_text("\n".join(re.findall(r"^[\w.-]+==\S+(?: ; [^\\\n]+)?", lock, re.MULTILINE)))
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = str(folder / "venv/bin/python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*install, "--constraint", str(constraints), str(wheel), "datasets"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"needs the package index, which cannot be had: {done.stderr.strip().splitlines()[-1]}")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [python, *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    return run


@pytest.mark.index
def test_the_wheel_alone(environment: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    assert environment("-c", "import tensorflow").returncode == 1
    raw = draw_tree(tmp_path / "pexels", [f"{label}/{n}.png" for label in ("a", "b") for n in range(10)])
    done = environment("-m", "imageshards.pipeline", str(raw), "--out", str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    script = (
        "import sys, tensorflow_datasets as tfds, imageshards.datasets.pexels\n"
        "source = tfds.data_source('pexels', data_dir=sys.argv[1], split='train')\n"
        "assert len(source) == 16 and source[3]['image'].shape == (224, 224, 3)\n"
        "assert tfds.builder('pexels').info.description.startswith('Thirty-odd')"
    )
    done = environment("-c", script, str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    done = environment("-m", "imageshards.train", "pexels")
    assert done.returncode == 2
    assert "pip install 'imageshards[train]'" in done.stderr

    both = "import {}, {}; import datasets; assert datasets.Dataset.from_dict({{'a': [1]}})[0] == {{'a': 1}}"
    for order in (("datasets", "imageshards.pipeline.job"), ("imageshards.datasets.pexels", "datasets")):
        done = environment("-c", both.format(*order))
        assert done.returncode == 0, done.stderr
    assert environment("-m", "pip", "uninstall", "--yes", "imageshards").returncode == 0
    assert environment("-c", "import imageshards.pipeline").returncode == 1
    done = environment("-c", both.format("datasets", "datasets"))
    assert done.returncode == 0, done.stderr
