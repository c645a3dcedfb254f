"""A trained run on other labelled images: a dataset, or a folder."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from imageshards.pipeline.source import UserError

from .conftest import gradient, save

pytest.importorskip("tensorflow")

from imageshards.train import evaluate, open_run
from imageshards.train.evaluate_command import main


def test_the_dataset_of_the_run_gives_the_figures_of_the_run(trained: Path, demo_data: Path) -> None:
    found = evaluate(trained, "shapes", data=str(demo_data))
    assert found.accuracy == open_run(trained).accuracy
    assert found.warnings == [
        "the model was trained on this very dataset: its train split says nothing about new images"
    ]


def test_a_folder_gives_the_figures_of_the_records_made_from_it(trained: Path, demo_data: Path) -> None:
    found = evaluate(trained, demo_data.parent / "raw/shapes")
    run = open_run(trained)
    right = sum(estimate.value * estimate.images for estimate in run.accuracy.values())
    assert found.accuracy["images"].images == sum(estimate.images for estimate in run.accuracy.values())
    assert found.accuracy["images"].value == pytest.approx(right / found.accuracy["images"].images)


def test_labels_are_matched_by_name_and_strangers_are_counted(
    trained: Path, demo_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, label = demo_data.parent / "raw/shapes", open_run(trained).labels[-1]
    for number, file in enumerate(sorted((raw / label).iterdir())[:6]):
        (tmp_path / "mixed" / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / "mixed" / label / f"{number}.png")
        save(gradient(40, 30, number), tmp_path / f"mixed/heron/{number}.png")
    (tmp_path / "mixed/heron/broken.png").write_bytes(b"words")
    with pytest.raises(SystemExit) as exited:
        main([str(trained), str(tmp_path / "mixed"), "--out", str(tmp_path / "out")])
    assert exited.value.code == 0
    said = capsys.readouterr().out
    assert "images: 6 images of 1 label that the model does not know left out: heron" in said
    assert "broken.png was left out: unsupported-format" in said
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert (metrics["images_images"], list(metrics["images_recall"])) == (6, [label])
    assert len((tmp_path / "out/predictions.csv").read_text().splitlines()) == 7


def test_mistakes_are_said(trained: Path, demo_data: Path, tmp_path: Path) -> None:
    save(gradient(40, 30), tmp_path / "birds/heron/1.png")
    save(gradient(40, 30, 1), tmp_path / "birds/stork/1.png")
    with pytest.raises(UserError, match="none of its labels is one of the model's"):
        evaluate(trained, tmp_path / "birds")
    with pytest.raises(UserError, match="neither a dataset in .* nor a folder"):
        evaluate(trained, "nothing", data=str(demo_data))
    with pytest.raises(UserError, match="several datasets"):
        evaluate(trained, demo_data.parent / "raw")
    assert np.isfinite(evaluate(trained, "shapes", data=str(demo_data)).accuracy["train"].low)
