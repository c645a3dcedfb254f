"""What a dataset looks like, as a value and on the page."""

import shutil
from pathlib import Path

from PIL import Image

from imageshards.pipeline.survey import survey_of

from .conftest import Command, draw_tree, save


def test_copies_plain_pictures_and_rare_labels_are_seen(tmp_path: Path, records: Command) -> None:
    src = draw_tree(tmp_path / "pets", [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(5)])
    shutil.copy(src / "cat/0.png", src / "dog/copy.png")
    save(Image.new("RGB", (40, 30)), src / "cat/black.png")
    save(Image.new("RGB", (40, 30), "white"), src / "cats/white.png")
    code, said, _ = records(src, "--size", "32")
    assert code == 0
    assert "'cats' has hardly any images: did you mean 'cat'?" in said
    version = tmp_path / "data/pets/1.0.0"
    seen = survey_of(version)
    assert [sorted(row["key"] for row in copies.rows) for copies in seen.duplicates] == [["cat/0.png", "dog/copy.png"]]
    assert seen.plain.counts == {"nearly black": 1, "nearly white": 1}
    assert sorted(row["key"] for row in seen.plain.rows) == ["cat/black.png", "cats/white.png"]
    assert "label 'cats' has 1 image; did you mean 'cat'?" in seen.remarks
    assert dict(seen.originals["megapixels"]) == {"under 0.05": 13}
    page = (version / "report.html").read_text()
    for remark in (
        "1 image is nearly black",
        "1 image is nearly white",
        "the same picture has several labels: 1 picture",
    ):
        assert remark in page
