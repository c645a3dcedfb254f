"""A few of the faults and damages that tests/faults and tests/mutations.py, run by hand, go through one by one."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def check_faults(place: str, sample: int) -> str:
    command = [sys.executable, HERE / "faults", place, "--sample", str(sample)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{sample} jobs, [1-9] of which met their fault", done.stdout, re.MULTILINE), done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler, cc, and there is none")
@pytest.mark.skipif(sys.platform != "linux", reason="needs LD_PRELOAD, which Linux has")
def test_a_call_of_the_disk_that_fails_ends_in_the_right_version_or_in_a_sentence_and_all_is_synced_first() -> None:
    assert "published before it was synced: nothing" in check_faults("disk", 3)


@pytest.mark.slow
def test_a_request_to_a_bucket_that_fails_ends_in_the_right_version_or_in_a_sentence() -> None:
    for package in ("s3fs", "moto"):
        pytest.importorskip(package)
    check_faults("bucket", 2)


@pytest.mark.slow
def test_a_damaged_file_ends_in_a_sentence() -> None:
    command = [sys.executable, HERE / "mutations.py", "--zips", "40", "--files", "2", "--without-tensorflow"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "zip, uploaded" in done.stdout
    assert "WRONG" not in done.stdout
