"""A few of the faults and damages that tests/faults.py and tests/mutations.py, run by hand, go through one by one."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler, cc, and there is none")
@pytest.mark.skipif(sys.platform != "linux", reason="needs LD_PRELOAD, which Linux has")
def test_a_call_that_fails_ends_in_the_right_version_or_in_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, HERE / "faults.py", "--sample", "3"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^3 jobs, [1-3] of which met their fault", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.slow
def test_a_damaged_file_ends_in_a_sentence() -> None:
    command = [sys.executable, HERE / "mutations.py", "--zips", "40", "--files", "2", "--without-runs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "zip, uploaded" in done.stdout
    assert "WRONG" not in done.stdout
