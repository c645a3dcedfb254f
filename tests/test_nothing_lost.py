"""The law of the whole job, over random trees with random damage: found = written + rejected, each in its place."""

import io
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from imageshards.pipeline import tfrecord
from imageshards.pipeline.__main__ import main
from imageshards.pipeline.shards import read_frames
from imageshards.pipeline.verify import verify

from .conftest import encoded, gradient
from .published import index, metadata, rejected

LABELS = ("cat", "chat é", "e\u0301mu", "犬🐕", "<b>", 'it\'s "q"', "= 1+1", "Cat", "x" * 200)
NAMES = st.one_of(
    st.from_regex(r"[a-z]{1,3}[ _.-]?[0-9]{1,3}", fullmatch=True),
    st.sampled_from(["é", "e\u0301", "a b", "$HOME", "`x`", "'", '"', "A", "a", "-rf", "n" * 240, "🦄"]),
)
DAMAGE = st.sampled_from(["none", "none", "none", "none", "cut", "empty", "zeros", "words", "flip", "tail"])
FILES = st.lists(
    st.tuples(
        st.sampled_from(LABELS),
        NAMES,
        st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]),
        DAMAGE,
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=14,
)


def damaged(data: bytes, damage: str, seed: int) -> bytes:
    place = seed % len(data)
    return {
        "none": data,
        "cut": data[:place],
        "empty": b"",
        "zeros": data[:place] + bytes(len(data) - place),
        "words": b"words" * (seed % 50),
        "flip": data[:place] + bytes([data[place] ^ (1 << seed % 8)]) + data[place + 1 :],
        "tail": data + b"more",
    }[damage]


def seen(data: bytes) -> Image.Image | None:
    """What Pillow itself makes of a file, as upright RGB; None where it cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        except Exception:
            return None


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # making a failure smaller would take minutes
    suppress_health_check=list(HealthCheck),
)
@given(files=FILES, workers=st.sampled_from([1, 3]))
def test_found_is_written_and_rejected(files: list[tuple[str, str, str, str, int]], workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        src = Path(folder) / "pets"
        made: dict[str, tuple[str, str]] = {}
        for label in ("cat", "dog"):  # so that there is always a dataset, and never one image for each label
            (src / label).mkdir(parents=True)
            for number in range(2):
                picture = gradient(20, 20, seed=ord(label[0]) + number)
                (src / label / f"0{number}.png").write_bytes(encoded(picture, "PNG"))
        for label, name, encoding, damage, seed in files:
            path = src / label / f"{name}.{encoding.lower()[:4]}"
            path.parent.mkdir(exist_ok=True)
            picture = gradient(20 + seed % 60, 20 + seed % 47, seed=seed)
            path.write_bytes(damaged(encoded(picture, encoding), damage, seed))
            made[str(path)] = (label, damage)
        with pytest.raises(SystemExit) as exited:
            main([str(src), "--out", f"{folder}/data", "--size", "16", "--encoding", "png", "--workers", str(workers)])
        assert exited.value.code == 0
        version = Path(folder) / "data/pets/1.0.0"
        check(src, version)
        assert list(verify(version)) == []


def check(src: Path, version: Path) -> None:
    """Every file below SRC is a record with its picture and label, or a line with a reason; and nothing else is."""
    import unicodedata

    found = {unicodedata.normalize("NFC", path.relative_to(src).as_posix()): path for path in src.glob("*/*")}
    rows = {row["key"]: row for row in index(version)}
    refused = {file.removeprefix("./") if file.startswith("./=") else file for file, _, _ in rejected(version)}
    assert len(rows) == metadata(version)["images"]
    assert len(list(src.glob("*/*"))) == metadata(version)["found"] == len(rows) + len(rejected(version))
    assert rows.keys() | refused == found.keys()
    labels = (version / "label.labels.txt").read_text().splitlines()
    for shard in version.glob("*.tfrecord-*"):
        for frame in read_frames(shard):
            check_record(tfrecord.decode(frame), found, labels, shard.name)
    for key in refused - rows.keys():
        assert seen(found[key].read_bytes()) is None or is_silently_wrong(found[key].read_bytes()), key


def check_record(record: Any, found: dict[str, Path], labels: list[str], shard: str) -> None:
    data = found[record.key].read_bytes()
    assert labels[record.label] == record.key.split("/")[0]
    picture = seen(data)
    assert picture is not None
    assert picture.size == (record.width, record.height)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    expected = picture.resize((16, 16), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    stored = Image.open(io.BytesIO(record.image))
    assert np.abs(np.asarray(stored, int) - np.asarray(expected, int)).mean() < 3, (record.key, shard)


def is_silently_wrong(data: bytes) -> bool:
    """Says whether this is a PNG whose damage Pillow does not see, and the CRC does."""
    return data.startswith(b"\x89PNG")
