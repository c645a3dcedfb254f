"""The library leaves the process of its caller as it was."""

import concurrent.futures
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from imageshards.pipeline import host

from .conftest import draw_tree

# What other packages change when they are imported and first used is not looked at: they are used before.
SCRIPT = """
import gc, logging, os, signal, sys, warnings

import apache_beam as beam
import google_crc32c, numpy, PIL.Image, PIL.ImageFile, PIL.PngImagePlugin, pyarrow.parquet, simplejpeg
import tensorflow_datasets as tfds
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

PIL.Image.init()
with beam.Pipeline(FnApiRunner()) as pipeline:
    pairs = pipeline | beam.Create([(1, 2), (1, 3)]) | beam.GroupByKey() | beam.combiners.Count.Globally()
tfds.features.FeaturesDict({"image": tfds.features.Image(shape=(8, 8, 3)), "label": tfds.features.ClassLabel()})


def state():
    loggers = {name: logging.getLogger(name) for name in (None, "apache_beam", "absl", "PIL", "tensorflow")}
    return {
        "collector": (gc.isenabled(), gc.get_freeze_count(), gc.get_threshold(), gc.get_debug()),
        "signals": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "logging": {name: (log.level, list(log.handlers), log.disabled) for name, log in loggers.items()},
        "standard error": (os.fstat(2).st_dev, os.fstat(2).st_ino, sys.stderr),
        "warnings": list(warnings.filters),
        "pillow": (PIL.PngImagePlugin.MAX_TEXT_CHUNK, PIL.Image.MAX_IMAGE_PIXELS, PIL.ImageFile.LOAD_TRUNCATED_IMAGES),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "hooks": (sys.excepthook, sys.displayhook),
        "switch interval": sys.getswitchinterval(),
        "notebook labels": beam.pipeline.alter_label_if_ipython,
    }


before = state()
from imageshards.datasets.builder import ImageShardsBuilder
from imageshards.pipeline import make_records

made = make_records(sys.argv[1], dataset="made", out=sys.argv[2], size=8)


class Built(ImageShardsBuilder):
    '''Built here.'''

    OPTIONS = {"size": 8}


builder = Built(data_dir=sys.argv[2])
builder.download_and_prepare(
    download_dir=sys.argv[2], download_config=tfds.download.DownloadConfig(manual_dir=sys.argv[1])
)
assert len(builder.as_data_source("train")) == sum(made.counts["train"].values())
after = state()
for name in before:
    assert after[name] == before[name], (name, before[name], after[name])
"""


@pytest.mark.slow
def test_importing_and_calling_the_library_changes_nothing_of_the_process(tmp_path: Path) -> None:
    raw = draw_tree(tmp_path / "raw", [f"{label}/{number}.png" for label in "ab" for number in range(4)])
    command = [sys.executable, "-c", SCRIPT, str(raw), str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == ""


@pytest.mark.slow
def test_the_records_command_imports_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    """Arrow and Beam would import what they find: here a pandas and a boto3 that end the process."""
    for name in ("pandas", "boto3"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(9)")
    raw = draw_tree(tmp_path / "raw", [f"{label}/{number}.png" for label in "ab" for number in range(2)])
    script = "import sys; sys.path.insert(0, sys.argv.pop(1)); from imageshards.pipeline.__main__ import main; main()"
    command = [sys.executable, "-c", script, str(tmp_path), str(raw), "--out", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_other_threads_import_what_a_command_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_UNUSED", frozenset({"colorsys"}))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with host.unused_left_out(), concurrent.futures.ThreadPoolExecutor(1) as threads:
        with pytest.raises(ModuleNotFoundError, match="left out"):
            importlib.import_module("colorsys")
        assert threads.submit(importlib.import_module, "colorsys").result().rgb_to_hsv
