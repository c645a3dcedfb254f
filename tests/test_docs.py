"""README, docs/ and examples/: links lead somewhere, commands run, and what is said to be printed is printed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SHARED
from .drawings import draw_colors, draw_shapes

HERE = Path(__file__).parents[1]
PAGES = [
    HERE / "README.md",
    HERE / "CONTRIBUTING.md",
    *sorted((HERE / "docs").glob("*.md")),
    HERE / "examples/README.md",
]
STEPS = ("python", "records", "buckets", "train", "app", "dev", "editable")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(HERE).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        assert not anchor or anchor in _anchors(linked), target


def test_every_page_is_listed() -> None:
    index = (HERE / "docs/index.md").read_text("utf-8")
    for page in (HERE / "docs").glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in index, page.name
    listed = (HERE / "examples/README.md").read_text("utf-8")
    for program in (HERE / "examples").glob("*.py"):
        assert f"]({program.name})" in listed, program.name


def test_the_readme_fits_a_screen_and_a_half() -> None:
    assert len((HERE / "README.md").read_text("utf-8").splitlines()) <= 150


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as after `git clone` and the set-up, with the folders of pictures that the pages speak of."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copy(HERE / "Makefile", folder)
    (folder / ".venv").symlink_to(sys.prefix)
    draw_shapes(folder / "photos", per_label=10)
    draw_shapes(folder / "new_photos", per_label=1, seed=1)
    draw_colors(folder / "raw/colors")
    return folder


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_commands_of_the_readme(clone: Path) -> None:
    """In their order, in one folder, but for those that need ImageNet weights where there are none."""
    readme = (HERE / "README.md").read_text("utf-8")
    ran = []
    for command in re.findall(r"^    (make .*)$", readme, re.MULTILINE):
        if "photos" in command.replace("SRC=photos", "") and not SHARED.is_dir():
            continue
        ran.append(command)
        printed = _run(clone, command)
        if command == "make records":
            _assert_printed(readme, printed)
    assert "make train DATASET=demo_fruit MODEL=cnn" in ran
    assert (clone / "runs/demo_fruit-cnn/report.html").exists()
    for program in re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL):
        if SHARED.is_dir():
            subprocess.run([clone / ".venv/bin/python", "-c", program], cwd=clone, check=True, env=_environment())


def _run(folder: Path, command: str) -> str:
    """Runs a make command as the page has it, in an environment that is set up already."""
    old = [part for step in STEPS for part in ("-o", f".venv/.{step}")]
    words = command.replace("make ", " ".join(["make", *old, ""]), 1)
    done = subprocess.run(
        words, shell=True, cwd=folder, capture_output=True, text=True, check=False, env=_environment()
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _environment() -> dict[str, str]:
    made_by_make = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")
    environment = {name: value for name, value in os.environ.items() if name not in made_by_make}
    return environment | {"KERAS_HOME": str(SHARED / "weights/keras_home")}


def _assert_printed(page: str, printed: str) -> None:
    """Fails unless the first block of terminal text stands in what was printed, line after line."""
    block = re.search(r"^```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert block is not None
    lines = iter(line.rstrip() for line in printed.splitlines())
    for line in block[1].splitlines():
        assert line.rstrip() in lines, f"not printed, or not in this order: {line}\n{printed}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
