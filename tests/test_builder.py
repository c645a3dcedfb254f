"""A builder of one's own: anywhere, and obeyed or refused in a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from imageshards.datasets.builder import ImageShardsBuilder
from imageshards.pipeline import UserError

from .conftest import Command, draw_tree

CELL = """
from imageshards.datasets.builder import ImageShardsBuilder
class MySet(ImageShardsBuilder):
    '''What is in it.

    And more of it.
    '''
builder = MySet(data_dir="data")
assert builder.info.name == "my_set"
assert builder.info.description == "What is in it.\\n\\nAnd more of it.", builder.info.description
assert len(builder.as_data_source("train")) == 4
builder.download_and_prepare()
"""
# Where pandas 3 is there, Beam's data frames, which it imports beside a notebook, cannot be imported.
NOTEBOOK = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in sys.argv[1:]:
    shell.run_cell(cell, store_history=True).raise_error()
"""
MAKE = "from imageshards.pipeline import make_records; make_records('raw', dataset='made', out='made', size=8)"


class Small(ImageShardsBuilder):
    """Small ones."""

    OPTIONS = {"size": 16}  # noqa: RUF012


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return draw_tree(tmp_path / "raw", [f"{label}/{number}.png" for label in "ab" for number in range(4)])


@pytest.fixture
def data(raw: Path, tmp_path: Path, records: Command) -> Path:
    for name in ("my_set", "small"):
        assert records(raw, "--dataset", name, "--size", "224" if name == "my_set" else "32")[0] == 0
    return tmp_path / "data"


@pytest.mark.slow
@pytest.mark.parametrize("where", ["script", "module", "notebook"])
def test_a_builder_of_three_lines_works_anywhere(data: Path, where: str) -> None:
    folder = data.parent
    (folder / "mine.py").write_text(CELL)
    commands = {"script": ["mine.py"], "module": ["-c", "import mine"], "notebook": ["-c", NOTEBOOK, CELL, MAKE]}
    if where == "notebook":
        pytest.importorskip("IPython")
        pytest.importorskip("pandas")
    command = [sys.executable, *commands[where]]
    environment = {**os.environ, "PYTHONPATH": str(folder)}  # make sets PYTHONSAFEPATH, which leaves the folder out
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert where != "notebook" or (folder / "made/made/1.0.0/dataset_info.json").exists()


def test_options_that_differ_from_what_was_built_are_refused(data: Path) -> None:
    builder = Small(data_dir=data)
    for use in (builder.download_and_prepare, lambda: builder.as_data_source("train"), builder.as_dataset):
        with pytest.raises(UserError, match=r"was made with size=32, and OPTIONS of Small say 16"):
            use()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"max_examples_per_split": 2}, "max_examples_per_split=2: imageshards cannot do this"),
        ({"max_shard_size": 1 << 20}, "max_shard_size=1048576: imageshards cannot do this"),
        ({"ignore_duplicates": True}, "ignore_duplicates=True: imageshards cannot do this"),
    ],
)
def test_what_the_records_job_cannot_do_is_refused(raw: Path, tmp_path: Path, asked: dict[str, int], said: str) -> None:
    config = tfds.download.DownloadConfig(manual_dir=str(raw), **asked)
    with pytest.raises(UserError, match=said):
        Small(data_dir=tmp_path / "new").download_and_prepare(download_config=config)
    assert not (tmp_path / "new/small").exists()


def test_array_record_is_refused_where_it_would_be_written(raw: Path, tmp_path: Path) -> None:
    config = tfds.download.DownloadConfig(manual_dir=str(raw))
    with pytest.raises(UserError, match="array_record: imageshards writes tfrecord"):
        Small(data_dir=tmp_path, file_format="array_record").download_and_prepare(download_config=config)
    with pytest.raises(UserError, match="array_record: imageshards writes tfrecord"):
        Small(data_dir=tmp_path).download_and_prepare(download_config=config, file_format="array_record")
