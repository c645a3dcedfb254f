"""README, docs/ and examples/: links lead somewhere, commands run, and what is said to be printed is printed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SHARED, WEIGHTS
from .drawings import draw_colors, draw_shapes

HERE = Path(__file__).parents[1]
PAGES = [HERE / "README.md", *sorted((HERE / "docs").glob("*.md")), HERE / "examples/README.md"]
LINKED = [*PAGES, HERE / "CONTRIBUTING.md"]
NOT_RUN = "not run by the tests"
SERVES = ("make serve", "make app")  # tried in a browser by tests of their own
CAPTURED = {"capture_output": True, "text": True}
STEPS = ("python", "records", "buckets", "train", "app", "dev", "editable")


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(HERE).as_posix())
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
    draw_shapes(folder / "raw/digits", per_label=3)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_commands_and_programs_of_all_pages(clone: Path) -> None:
    """Each once, in their order, in one folder, but for those that need ImageNet weights where there are none."""
    ran: list[str] = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for command in _commands(text):
            if command in ran or (_needs_weights(command) and not SHARED.is_dir()):
                continue
            printed = _run(clone, command)
            ran.append(command)
            if command == "make records":
                _assert_printed(text, printed)
        program = _program(text)
        if program and (SHARED.is_dir() or "mobilenet" not in program):
            python = clone / ".venv/bin/python"
            done = subprocess.run([python, "-c", program], cwd=clone, check=False, env=_environment(), **CAPTURED)
            assert done.returncode == 0, f"{page}\n{done.stdout}\n{done.stderr}"
    assert "make train DATASET=demo_fruit MODEL=cnn" in ran
    assert (clone / "runs/demo_fruit-cnn/report.html").exists()


def _commands(page: str) -> list[str]:
    """Returns what a page gives to type, without what it says is not run, and what serves until it is stopped."""
    lines = re.findall(r"^    ((?:make|npm|pip|tfds|imageshards-)\b.*)$", page, re.MULTILINE)
    commands = [line.partition(" #")[0].strip() for line in lines if NOT_RUN not in line]
    return [command for command in commands if not command.startswith(SERVES)]


def _program(page: str) -> str:
    """Returns a page's Python, one program after the other, without those that it says are not run."""
    parts = re.split(r"^```(python\n.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    pairs = zip(parts[::2], parts[1::2], strict=False)
    return "\n".join(part.removeprefix("python\n") for before, part in pairs if NOT_RUN not in before.splitlines()[-2])


def _needs_weights(command: str) -> bool:
    """Says whether a command trains the default model, or asks it."""
    return "DATASET=photos" in command or "photos-mobilenet" in command


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
    return environment | WEIGHTS


def _assert_printed(page: str, printed: str) -> None:
    """Fails unless the first block of terminal text is what was printed, but for the seconds at the end."""
    block = re.search(r"^```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert block is not None
    seconds = re.compile(r"[\d.]+ s\n$")
    assert seconds.sub("", printed) == seconds.sub("", block[1])


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
