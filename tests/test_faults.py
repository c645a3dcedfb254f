"""A few of the faults that tests/faults.py, run by hand, goes through one by one."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).with_name("faults.py")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler, cc, and there is none")
@pytest.mark.skipif(sys.platform != "linux", reason="needs LD_PRELOAD, which Linux has")
def test_a_call_that_fails_ends_in_the_right_version_or_in_a_sentence() -> None:
    done = subprocess.run([sys.executable, FAULTS, "--sample", "6"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^6 jobs, [3-6] of which met their fault", done.stdout, re.MULTILINE), done.stdout
