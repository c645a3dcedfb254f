"""What the project promises of itself: the direction of imports, and a README that is whole."""

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[1]
ORDER = ["pipeline", "datasets", "train"]


def test_imports_point_one_way() -> None:
    for rank, package in enumerate(ORDER):
        for path in (HERE / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                used = {name.split(".")[1] for name in names if name.startswith("imageshards.")}
                assert not used & set(ORDER[rank + 1 :]), f"{path} imports {used}"


def test_pure_modules_never_import_beam() -> None:
    pure = "source options originals tfrecord facts chunks plan shards index publish fingerprint"
    pure += " lookalikes report survey record checksums versions publication on_disk in_bucket errors verify"
    modules = [HERE / f"pipeline/{name}.py" for name in pure.split()]
    for module in [*modules, *(HERE / "pipeline/images").glob("*.py"), *(HERE / "pipeline/sources").glob("*.py")]:
        assert "apache_beam" not in module.read_text(), module


def test_the_records_job_needs_no_tensorflow() -> None:
    script = "import sys, imageshards.pipeline.job; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_page_of_options_is_made_of_the_options() -> None:
    module = runpy.run_path(str(HERE / "docs/options.py"))
    assert module["PAGE"].read_text() == module["page"](), "make it again: .venv/bin/python docs/options.py"


def test_the_locks_agree_and_name_no_host() -> None:
    pins = {path.stem: _pins(path) for path in (HERE / "requirements").glob("*.lock")}
    assert sorted(pins) == ["app", "buckets", "dev", "records", "train"]
    for pinned in pins.values():
        assert pins["records"] <= pinned <= pins["dev"]
    for path in (*(HERE / "requirements").iterdir(), HERE / "pyproject.toml", HERE / "Makefile"):
        assert not re.search(r"https?://", path.read_text()), path


def _pins(lock: Path) -> set[str]:
    return set(re.findall(r"^[\w.-]+==[^\s;]+", lock.read_text(), re.MULTILINE))


def test_all_that_is_printed_goes_through_what_shows_control_characters() -> None:
    for package in ORDER:
        for path in (HERE / package).rglob("*.py"):
            calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            prints = any(isinstance(function, ast.Name) and function.id == "print" for function in calls)
            assert not prints or path.name == "command.py", f"{path}: it is to call say()"
