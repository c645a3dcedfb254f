"""index.parquet: whole however it is cut up, and never silent about an image that is in no record."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from imageshards.pipeline import facts, index, shards
from imageshards.pipeline.survey import survey_of
from imageshards.pipeline.verify import verify

from .conftest import Command, draw_tree

FILES = [f"{label}/{number:02}.png" for label in ("cat", "dog") for number in range(12)]


def test_an_index_of_several_row_groups(tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "CHUNK_IMAGES", 4)
    monkeypatch.setattr(index, "PIECE_CHUNKS", 2)
    src = draw_tree(tmp_path / "pets", FILES)
    assert records(src, "--size", "32", "--shards", "2")[0] == 0
    version = tmp_path / "data/pets/1.0.0"
    published = pq.ParquetFile(version / "index.parquet")
    assert published.num_row_groups >= 3
    assert published.read()["key"].to_pylist() == FILES
    assert list(verify(version)) == []
    seen = survey_of(version)
    assert dict(seen.originals["megapixels"]) == {"under 0.05": len(FILES)}
    draw_tree(tmp_path / "pets", [*FILES, "cat/99.png"])
    assert records(src, "--size", "32", "--shards", "2")[0] == 0
    before = dict(zip(FILES, published.read()["split"].to_pylist(), strict=True))
    after = pq.read_table(version / "index.parquet").to_pylist()
    assert {row["key"]: row["split"] for row in after if row["key"] in before} == before


def test_an_image_that_is_in_no_shard_fails_the_job(
    tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = draw_tree(tmp_path / "pets", FILES)
    write_shard = shards.write_shard
    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_shard", lambda *of: write_shard(*of)[:-1])
        code, _, said = records(src, "--size", "32")
    assert code == 1
    assert "images staged" in said
    assert "Traceback" not in said
    assert not (tmp_path / "data/pets/1.0.0").exists()
    assert records(src, "--size", "32")[0] == 0
