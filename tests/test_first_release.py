"""A version that imageshards 0.1.0 wrote is read, verified, reported and trained on, and a build keeps its splits."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from imageshards.pipeline import make_records, report_command, verify_command
from imageshards.pipeline.checksums import file_checksum
from imageshards.pipeline.survey import survey_of

from .conftest import Command, draw_tree

NEWER = ("bytes", "color_profiles", "command")  # of what metadata.json says


def as_first_released(version: Path) -> None:
    """Writes a version as 0.1.0 did: no report, no `profile` in the index, no checksum of metadata.json itself."""
    (version / "report.html").unlink()
    index = pq.read_table(version / "index.parquet")
    pq.write_table(index.drop_columns(["profile"]), version / "index.parquet", compression="zstd")
    metadata = json.loads((version / "metadata.json").read_text())
    metadata = {name: value for name, value in metadata.items() if name not in NEWER}
    for name in ("fit", "pad_color"):
        del metadata["normalization"][name], metadata["parameters"][name]
    metadata["normalization"]["version"] = 1
    names = [path.name for path in version.iterdir() if path.name != "metadata.json"]
    metadata["sha256"] = {name: file_checksum(version / name) for name in names}
    (version / "metadata.json").write_text(json.dumps(metadata, indent=2, sort_keys=True))


def splits(version: Path) -> dict[str, str]:
    index = pq.read_table(version / "index.parquet")
    return dict(zip(index["key"].to_pylist(), index["split"].to_pylist(), strict=True))


def test_a_version_of_the_first_release_is_one_of_ours(
    tmp_path: Path, records: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    src = draw_tree(tmp_path / "pets", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(8)])
    version = make_records(str(src), out=str(tmp_path / "data"), size=32, split="40/30/30").path
    as_first_released(version)
    before = splits(version)
    for main in (verify_command.main, report_command.main, verify_command.main):
        with pytest.raises(SystemExit) as exited:
            main([str(version)])
        assert exited.value.code == 0, capsys.readouterr().err
    assert dict(survey_of(version).originals["megapixels"]) == {"under 0.05": 16}
    draw_tree(src, ["cat/8.png"], size=(44, 33))
    code, _, said = records(src, "--size", "32")
    assert code == 0, said
    assert before.items() < splits(version).items()
    with pytest.raises(SystemExit) as exited:
        verify_command.main([str(version)])
    assert exited.value.code == 0
    shard = next(version.glob("*-train.tfrecord-*"))
    as_first_released(version)
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    with pytest.raises(SystemExit) as exited:
        verify_command.main([str(version)])
    assert exited.value.code == 1
