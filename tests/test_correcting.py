"""A wrong label from end to end: it is listed, corrected by hand, and gone after the records are built again."""

from pathlib import Path

import pytest
from PIL import Image

from .conftest import Command, gradient, save

pytest.importorskip("tensorflow")


@pytest.mark.slow
def test_a_label_that_is_listed_and_corrected_is_listed_no_more(tmp_path: Path, records: Command) -> None:
    from imageshards.train import train

    for label, color in (("blue", (40, 90, 220)), ("red", (220, 60, 40))):
        for number in range(12):
            picture = Image.blend(gradient(40, 40, seed=number), Image.new("RGB", (40, 40), color), 0.8)
            save(picture, tmp_path / f"raw/{label}/{number}.png")
    wrong = "blue/wrong.png"
    (tmp_path / "raw/red/3.png").rename(tmp_path / "raw" / wrong)

    def listed() -> list[str]:
        assert records(tmp_path / "raw", "--size", "32")[0] == 0
        run = train("raw", data=str(tmp_path / "data"), runs=str(tmp_path / "runs"), weights="none")
        likely.update({row["file"]: row["likely_label"] for row in run.label_issues()})
        return [row["file"] for row in run.label_issues()]

    likely: dict[str, str] = {}
    assert listed()[0] == wrong
    (tmp_path / "raw/corrections.csv").write_text(f"file,label\n{wrong},{likely[wrong]}\n")
    assert wrong not in listed()
