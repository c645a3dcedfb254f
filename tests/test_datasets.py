"""Our datasets in other people's projects: all that docs/tfds.md promises, run."""

import importlib.util
import json
import multiprocessing
import operator
import os
import pickle
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from imageshards.datasets.builder import ImageShardsBuilder
from imageshards.datasets.data_source import TFRecordDataSource

from .conftest import draw_tree

HERE = Path(__file__).parent
RECORDS = [sys.executable, "-m", "imageshards.pipeline"]


@pytest.fixture(scope="module")
def pexels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw/, images in pexels' labels, and data/, their records in three shards."""
    folder = tmp_path_factory.mktemp("pexels")
    names = [f"{label}/{number}.png" for label in ("mobile", "notebook", "wood") for number in range(10)]
    raw = draw_tree(folder / "raw", names)
    subprocess.run([*RECORDS, str(raw), "--dataset", "pexels", "--out", str(folder / "data")], check=True)
    more = ["--dataset", "shards", "--out", str(folder / "data"), "--shards", "3"]
    subprocess.run([*RECORDS, str(raw), *more], check=True)
    return folder


def promised() -> dict[str, tuple[bool, bool]]:
    """Reads the table of docs/tfds.md: what works without imageshards, and with its builder imported."""
    table = re.findall(
        r"^\| (.+?) \| (yes|no) \| (yes|no) \|$", (HERE.parent / "docs/tfds.md").read_text(), re.MULTILINE
    )
    return {name.replace("`", ""): (plain == "yes", imported == "yes") for name, plain, imported in table}


@pytest.mark.parametrize(("column", "mode"), enumerate(["plain", "imported"]))
def test_the_table_of_uses(pexels: Path, column: int, mode: str) -> None:
    command = [sys.executable, str(HERE / "tfds_uses.py"), str(pexels / "data"), str(pexels / "raw"), mode]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    worked = json.loads(done.stdout.splitlines()[-1])
    assert len(worked) > 12
    assert worked == {name: both[column] for name, both in promised().items()}, done.stderr


def test_reading_at_random_needs_no_tensorflow_and_agrees_with_tf_data(pexels: Path) -> None:
    script = (
        "import sys, numpy as np, tensorflow_datasets as tfds, imageshards.datasets.builder\n"
        "from imageshards.datasets.pexels import Builder\n"
        "source = Builder(data_dir=sys.argv[1]).as_data_source('train')\n"
        "np.savez(sys.argv[2], **{e['key'].decode().replace('/', ':'): e['image'] for e in source})\n"
        "assert not {'tensorflow', 'apache_beam'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(pexels / "data"), str(pexels / "pixels.npz")], check=True)
    pixels = np.load(pexels / "pixels.npz")
    records = list(tfds.load("pexels", data_dir=pexels / "data", split="train").as_numpy_iterator())
    assert len(records) == len(pixels) == 24
    for record in records:
        difference = record["image"].astype(int) - pixels[record["key"].decode().replace("/", ":")]
        assert np.abs(difference).max() <= 5  # TensorFlow's quick JPEG decoder against libjpeg's exact one


class Shards(ImageShardsBuilder):
    """Three shards a split."""


@pytest.mark.parametrize("split", ["train", "train[5:13]", "train[70%:]+validation", "test"])
def test_random_access_over_shards_is_the_order_of_tf_data(pexels: Path, split: str) -> None:
    source = Shards(data_dir=pexels / "data").as_data_source(split)
    config = tfds.ReadConfig(interleave_cycle_length=1)
    expected = tfds.load("shards", data_dir=pexels / "data", split=split, read_config=config)
    keys = [example["key"] for example in expected.as_numpy_iterator()]
    assert [example["key"] for example in source] == keys
    assert [source[n]["key"] for n in range(-len(keys), 0)] == keys
    assert [example["key"] for example in source.__getitems__([len(keys) - 1, 0])] == [keys[-1], keys[0]]
    with pytest.raises(IndexError):
        source[len(keys)]


def test_a_folder_without_a_builder_is_indexed_too(pexels: Path) -> None:
    info = tfds.builder_from_directory(str(pexels / "data/shards/1.0.0")).info
    source = TFRecordDataSource(info, "train")
    assert [example["key"] for example in source] == [
        e["key"] for e in Shards(data_dir=pexels / "data").as_data_source("train")
    ]


def test_sources_travel_to_other_processes(pexels: Path) -> None:
    from imageshards.datasets.pexels import Builder

    source = Builder(data_dir=pexels / "data").as_data_source("train")
    first = source[0]["key"]  # opened here, and still picklable
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        elsewhere = processes.map(operator.itemgetter(0), [source, pickle.loads(pickle.dumps(source))], timeout=120)
        assert [example["key"] for example in elsewhere] == [first, first]


def test_a_dataset_of_ones_own_takes_three_lines(pexels: Path, tmp_path: Path) -> None:
    package = tmp_path / "project/my_set"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    recipe = re.search(r"^# my_set/my_set_dataset_builder\.py\n(.*?)^```", the_page(), re.DOTALL | re.MULTILINE)
    assert recipe is not None
    (package / "my_set_dataset_builder.py").write_text(recipe[1])
    script = (
        "import sys, tensorflow_datasets as tfds\n"
        "import my_set.my_set_dataset_builder\n"
        "config = tfds.download.DownloadConfig(manual_dir=sys.argv[1])\n"
        "kwargs = {'download_config': config}\n"
        "data, info = tfds.load('my_set', data_dir=sys.argv[2], with_info=True, download_and_prepare_kwargs=kwargs)\n"
        "assert info.features['label'].names == ['mobile', 'notebook', 'wood']\n"
        "assert len(list(data['train'])) == 24"
    )
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    command = [sys.executable, "-c", script, str(pexels / "raw"), str(tmp_path / "data")]
    subprocess.run(command, check=True, env=environment)


def the_page() -> str:
    return (HERE.parent / "docs/tfds.md").read_text()


@pytest.mark.parametrize("by", ["name", "path"])
def test_tfds_build(pexels: Path, tmp_path: Path, by: str) -> None:
    tfds_command = Path(sys.executable).with_name("tfds")
    where = ["--data_dir", str(tmp_path), "--manual_dir", str(pexels / "raw")]
    if by == "name":
        arguments = ["build", "pexels", "--imports=imageshards.datasets.pexels", *where]
    else:
        arguments = ["build", str(HERE.parent / "datasets/pexels"), *where]
    done = subprocess.run([tfds_command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for path in (pexels / "data/pexels/1.0.0").iterdir():
        assert (tmp_path / "pexels/1.0.0" / path.name).read_bytes() == path.read_bytes()


def test_what_is_there_is_used_and_a_missing_folder_is_explained(pexels: Path, tmp_path: Path) -> None:
    from imageshards.datasets.pexels import Builder

    builder = Builder(data_dir=pexels / "data")
    builder.download_and_prepare()
    with pytest.raises(AssertionError, match="Give the folder with the images"):
        Builder(data_dir=tmp_path).download_and_prepare(download_dir=tmp_path / "downloads")
    with pytest.raises(ValueError, match="imageshards writes tfrecord"):
        Builder(data_dir=tmp_path, file_format="riegeli")


@pytest.mark.parametrize("name", ["pexels", "colors", "cats_and_dogs_filtered"])
def test_each_dataset_describes_itself(name: str, tmp_path: Path) -> None:
    __import__(f"imageshards.datasets.{name}")
    builder = tfds.builder(name, data_dir=tmp_path)
    assert builder.info.description
    assert builder.info.supervised_keys == ("image", "label")


def test_hugging_faces_datasets_is_not_in_the_way() -> None:
    """From the root of this repository `import datasets` must not find ours."""
    script = "import datasets; print(getattr(datasets, '__file__', None))"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=HERE.parent, capture_output=True, text=True, check=False, env=environment
    )
    hugging_face = importlib.util.find_spec("datasets")
    assert hugging_face is None or hugging_face.origin is None or str(HERE.parent / "datasets") not in done.stdout
    assert "builder" not in done.stdout
