"""Training from end to end on drawn pictures; no weights are downloaded, so the backbone starts from chance."""

import csv
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imageshards.pipeline.source import UserError
from imageshards.train import measure, open_run, predict_command
from imageshards.train.__main__ import main as train_main
from imageshards.train.assessment import Assessment
from imageshards.train.novelty import Novelty
from imageshards.train.options import Options
from imageshards.train.runs import new_run

from .conftest import Command, gradient, save

tf = pytest.importorskip("tensorflow")
import keras  # noqa: E402
import tensorflow_datasets as tfds  # noqa: E402

from imageshards.train import fit, models  # noqa: E402
from imageshards.train.augmentation import augmented  # noqa: E402
from imageshards.train.export import tflite_probabilities, write_readme  # noqa: E402
from imageshards.train.features import FeatureBatches, features_of  # noqa: E402
from imageshards.train.input import evaluation_batches, keys, labels, open_dataset, training_batches  # noqa: E402


@pytest.fixture(scope="module")
def data(demo_data: Path) -> Path:
    """The two demo sets as records."""
    return demo_data


@pytest.fixture
def trained_copy(trained: Path, tmp_path: Path) -> Path:
    """The folder of a trained run, to change."""
    return shutil.copytree(trained, tmp_path / "copy")


Train = Callable[..., tuple[int, Path, str]]


@pytest.fixture
def train(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Train:
    """Runs the command in this process; returns the exit code, the run's folder and the output."""

    def run(dataset: str, *arguments: str, model: str = "cnn") -> tuple[int, Path, str]:
        with pytest.raises(SystemExit) as exited:
            train_main([dataset, "--data", str(data), "--runs", str(tmp_path), "--model", model, *arguments])
        said = capsys.readouterr()
        return int(exited.value.code or 0), tmp_path / f"{dataset}-{model}", said.out + said.err

    return run


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_colors_are_learned_perfectly_and_the_run_is_whole(train: Train) -> None:
    code, folder, said = train("colors", "--epochs", "12")
    assert code == 0
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["train_accuracy"] == metrics["validation_accuracy"] == 1.0
    assert metrics["baseline_accuracy"] == 0.5
    assert metrics["fit"] == "unknown"  # of 2 validation images
    assert re.search(r"guessing +50.0%", said)
    assert (folder / "labels.txt").read_text() == "blue\nred\n"
    predictions = read_csv(folder / "predictions.csv")
    assert {row["key"] for row in predictions if row["split"] == "validation"} == {
        "validation/red/red-3.png",
        "validation/blue/blue-3.png",
    }
    assert all(row["label"] == row["predicted"] for row in predictions)
    assert len(read_csv(folder / "history.csv")) == metrics["epochs"]
    assert {row["label"] for row in read_csv(folder / "labels.csv")} == {"blue", "red"}
    assert sum(int(row["images"]) for row in read_csv(folder / "confusion.csv")) == 6


def test_the_model_and_its_exports_agree(trained: Path, tmp_path: Path, data: Path) -> None:
    folder = tmp_path
    script = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model(sys.argv[1], safe_mode=True)\n"
        "assert not any(name.startswith('imageshards') for name in sys.modules)\n"
        "np.save('plain.npy', model.predict(np.load('images.npy'), verbose=0))"
    )
    dataset = open_dataset("shapes", str(data), 10)
    images = np.concatenate([batch.numpy() for batch, _ in evaluation_batches(dataset, "train", 32)])
    np.save(folder / "images.npy", images)
    subprocess.run([sys.executable, "-c", script, str(trained / "model.keras")], check=True, cwd=folder)
    plain = np.load(folder / "plain.npy")
    rows = [row for row in read_csv(trained / "predictions.csv") if row["split"] == "train"]
    assert [dataset.labels[n] for n in plain.argmax(axis=1)] == [row["predicted"] for row in rows]
    assert np.allclose(plain.max(axis=1), [float(row["probability"]) for row in rows], atol=1e-4)
    saved = tf.saved_model.load(str(trained / "savedmodel"))
    assert np.allclose(saved.serve(images).numpy(), plain, atol=1e-5)
    light = np.stack(list(tflite_probabilities(trained / "model.tflite", images)))
    assert np.allclose(light, plain, atol=1e-3)
    small = np.stack(list(tflite_probabilities(trained / "model-int8.tflite", images)))
    assert np.mean(small.argmax(axis=1) == plain.argmax(axis=1)) >= 0.9
    assert (trained / "model-int8.tflite").stat().st_size < (trained / "model.tflite").stat().st_size / 2


def test_a_run_says_how_often_its_tflite_models_are_right(trained: Path) -> None:
    metrics = open_run(trained).metrics
    assert metrics["exports"].keys() == {"tflite", "tflite-int8"}
    assert metrics["exports"]["tflite"]["accuracy"] == metrics["validation_accuracy"]
    assert metrics["exports"]["tflite-int8"]["images"] == metrics["validation_images"]


def test_a_tflite_model_takes_one_image(trained: Path) -> None:
    interpreter = tf.lite.Interpreter(model_path=str(trained / "model.tflite"))
    assert interpreter.get_input_details()[0]["shape_signature"].tolist() == [1, 48, 48, 3]


def test_exports_say_that_they_do_not_tell_strangers(trained: Path, tmp_path: Path) -> None:
    assert "This model cannot tell pictures that are unlike" in (trained / "README.txt").read_text()
    model = models.mnist((8, 8, 3), 2, [4])
    write_readme(tmp_path, model, ["tflite"], Novelty(np.ones((1, 4), np.float16), 0.875))
    said = " ".join((tmp_path / "README.txt").read_text().split())
    assert said.startswith("model.tflite: the model of model.keras")
    assert "(pictures, 8, 8, 3)" in said
    assert "below the threshold, 0.8750" in said


def test_a_run_says_what_was_used(trained: Path) -> None:
    settings = open_run(trained).settings
    assert settings["options"]["learning_rate"] == 0.001
    assert settings["options"]["batch_size"] == 4
    assert "hidden" not in settings["options"]
    assert settings["keras_at_least"] == "3.5"
    assert settings["versions"]["keras"] == keras.__version__
    assert settings["command"].startswith("imageshards-train shapes --data")


def test_a_model_file_has_no_setting_that_older_versions_of_keras_refuse(trained: Path) -> None:
    config = zipfile.ZipFile(trained / "model.keras").read("config.json").decode()
    assert not re.findall(r"quantization_config|renorm\w*|input_axes|output_axes", config)


@pytest.mark.index
@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.5.0", "3.10.0", "3.13.0"])
def test_older_versions_of_keras_open_the_model(trained: Path, tmp_path: Path, version: str) -> None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path), f"keras=={version}"]
    if subprocess.run(pip, capture_output=True, check=False).returncode:
        pytest.skip(f"needs the package index, and keras {version} cannot be installed from it")
    script = (
        "import keras, sys, numpy as np\n"
        f"assert keras.__version__ == '{version}'\n"
        "model = keras.saving.load_model(sys.argv[1], safe_mode=True)\n"
        "assert abs(model.predict(np.zeros((2, 48, 48, 3), np.uint8), verbose=0).sum() - 2) < 1e-4"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, "-c", script, str(trained / "model.keras")], check=True, env=environment)


def test_a_run_replaces_one_of_its_name_and_keeps_it(tmp_path: Path) -> None:
    def write(text: str) -> None:
        with new_run(tmp_path, "a") as folder:
            (folder / "run.json").write_text(text)

    for text in ("first", "second", "third"):
        write(text)
    assert (tmp_path / "a/run.json").read_text() == "third"
    assert (tmp_path / "a.previous/run.json").read_text() == "second"
    with pytest.raises(KeyboardInterrupt), new_run(tmp_path, "a"):
        raise KeyboardInterrupt
    (tmp_path / ".incomplete-b-0").mkdir()  # of a run that was killed
    write("fourth")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.previous"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "b.previous").mkdir()
    (tmp_path / "c").symlink_to("/nowhere")
    for name in ("mine", "b", "c"):
        with pytest.raises(UserError, match="not the folder of a run"), new_run(tmp_path, name):
            pass


@pytest.mark.parametrize("renames", [1, 2])
def test_a_run_that_was_killed_between_two_renames_is_there_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    def write(name: str, text: str) -> None:
        with new_run(tmp_path, name) as folder:
            (folder / "run.json").write_text(text)

    done, rename = 0, Path.rename

    def killed(path: Path, target: Path) -> Path:
        nonlocal done
        done += 1
        if done > renames:
            raise KeyboardInterrupt
        return rename(path, target)

    write("a", "first")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            write("a", "second")
    assert (tmp_path / "a").exists() == (renames == 1)
    write("b", "other")
    assert (tmp_path / "a/run.json").read_text() == "second"
    assert (tmp_path / "a.previous/run.json").read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.previous", "b"]


def test_a_photo_is_seen_as_its_record_was(trained: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same file, upright or turned by EXIF, through `predict` and through the records."""
    folder = trained
    raw = data.parent / "raw/shapes"
    rows = read_csv(folder / "predictions.csv")[:20]
    with pytest.raises(SystemExit):
        predict_command.main([str(folder), *(str(raw / row["key"]) for row in rows), "--top", "1", "--csv"])
    for row, said in zip(rows, csv.DictReader(io.StringIO(capsys.readouterr().out)), strict=True):
        assert said["file"].endswith(row["key"])
        assert said["label"] == row["predicted"]
        assert abs(float(said["probability"]) - float(row["probability"])) < 1e-4


def test_what_transfer_learning_leaves_can_be_asked(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder, _ = train("colors", "--weights", "none", "--epochs", "2", model="mobilenet")
    said = json.loads((folder / "metrics.json").read_text())
    photo = save(gradient(60, 40), tmp_path / "photo.png")
    with pytest.raises(SystemExit) as exited:
        predict_command.main([str(folder), str(photo), "--json"])
    assert exited.value.code == 0
    names = dict(json.loads(capsys.readouterr().out)["predictions"])
    assert sum(names.values()) == pytest.approx(1, abs=1e-5)
    assert said["epochs"] == 0
    assert any(warning.startswith("--epochs decides nothing") for warning in said["warnings"])
    assert said["cross_validation_images"] == 6
    assert not (folder / "history.csv").exists()


def test_a_turned_photo_is_predicted_as_the_upright_one(trained: Path, tmp_path: Path) -> None:
    folder = trained
    upright = gradient(160, 120)
    exif = Image.Exif()
    exif[0x0112] = 6
    save(upright, tmp_path / "upright.png")
    save(upright.transpose(Image.Transpose.ROTATE_90), tmp_path / "turned.png", exif=exif)
    one, other = open_run(folder).predict([tmp_path / "upright.png", tmp_path / "turned.png"], 2)
    assert dict(one.names) == pytest.approx(dict(other.names), abs=1e-5)


def test_predict_reports_what_it_cannot_read_and_predicts_the_rest(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained
    photos = tmp_path / "été photos"
    for name in ("good.png", "web.avif"):
        save(gradient(50, 40), photos / name)
    shutil.copy(Path(__file__).with_name("gradient.heic"), photos / "phone.heic")
    (photos / "bad.jpg").write_text("words")
    with pytest.raises(SystemExit) as exited:
        predict_command.main([str(folder), str(photos), "--json"])
    assert exited.value.code == 1
    bad, *good = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert bad["error"].startswith("unsupported-format")
    assert len(good) == 3
    for line in good:
        assert {name for name, _ in line["predictions"]} <= set(open_run(trained).labels)
        assert sum(probability for _, probability in line["predictions"]) == pytest.approx(1, abs=1e-5)


def test_predict_names_every_file_of_a_folder_that_the_listing_rejected(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    for name in ("good.png", "\x1b[31m.png", "line\nend.png", "=1+1/\x07.png"):
        save(gradient(50, 40), photos / name)
    outside = save(gradient(50, 40), tmp_path / "outside/secret.png")
    (photos / "dangling.png").symlink_to(tmp_path / "nowhere")
    (photos / "outside.png").symlink_to(outside)
    (photos / "folder").symlink_to(outside.parent)
    os.mkfifo(photos / "pipe.png")
    expected = {
        "good.png": "",
        r"\x1b[31m.png": "bad-name",
        r"line\nend.png": "bad-name",
        r"=1+1/\x07.png": "bad-name",
        "dangling.png": "dangling-link",
        "outside.png": "link-outside",
        "folder": "link-outside",
        "pipe.png": "unreadable",
    }
    for form in ("--csv", "--json", "--top=3"):
        with pytest.raises(SystemExit) as exited:
            predict_command.main([str(trained), str(photos), form])
        assert exited.value.code == 1
        said, complained = capsys.readouterr()
        assert not {"\x1b", "\x07"} & set(said + complained)
        if form == "--csv":
            rows = [(row["file"], row["error"]) for row in csv.DictReader(io.StringIO(said))]
        elif form == "--json":
            rows = [(row["file"], row.get("error", "")) for row in map(json.loads, said.splitlines())]
        else:
            rows = [
                (name, f"{reason}: ") for name, reason in expected.items() if f"{photos}/{name}: {reason}" in complained
            ]
            rows.append(("good.png", ""))
            assert len(said.splitlines()) == len(expected)
        found = {file.removeprefix(f"{photos}/"): error.partition(": ")[0] for file, error in rows}
        assert found == expected


def with_lambda() -> Any:
    return keras.layers.Lambda(lambda x: x)


def with_initializer() -> Any:
    return keras.layers.Dense(2, kernel_initializer=keras.initializers.Orthogonal())


def with_random_layer() -> Any:
    return keras.layers.RandomFlip()


@pytest.mark.parametrize("layer", [with_lambda, with_initializer, with_random_layer])
def test_predict_refuses_models_with_parts_it_does_not_know(
    trained_copy: Path, tmp_path: Path, layer: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained_copy
    image = save(gradient(50, 40), tmp_path / "good.png")
    model = keras.Sequential([keras.Input((224, 224, 3)), layer()])
    keras.Model(model.inputs, model.outputs).save(folder / "model.keras")
    with pytest.raises(SystemExit) as exited:
        predict_command.main([str(folder), str(image)])
    assert exited.value.code == 2
    assert "none that this command loads" in capsys.readouterr().err
    (folder / "model.keras").write_bytes(pickle.dumps(print))
    with pytest.raises(SystemExit) as exited:
        predict_command.main([str(folder), str(image)])
    assert exited.value.code == 2
    assert "model.keras: damaged or missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("run.json", '"size": 48', '"size": -1', "normalization: size is -1"),
        ("run.json", '"size": 48', '"size": 64', "pictures of 64 × 64 × 3, and model.keras takes 48 × 48 × 3"),
        ("run.json", '"color": "rgb"', '"color": "gray"', "pictures of 48 × 48 × 1, and model.keras takes 48 × 48 × 3"),
        ("run.json", '"fingerprint"', '"print"', "fingerprint is missing"),
        ("metrics.json", '"warnings"', '"warning"', "warnings is missing"),
        ("metrics.json", '"train_images": ', '"train_images": -', "train_images is -"),
        ("labels.txt", "\n", "\noval\n", "labels, and model.keras tells"),
        ("labels.txt", "\n", "", "its end is 'cut off'"),
    ],
)
def test_a_damaged_file_of_a_run_is_named_with_what_mends_it(
    trained: Path, tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    text = (run / file).read_text()
    assert old in text
    (run / file).write_text(text.replace(old, new, 1) if "oval" in new else text.replace(old, new))
    with pytest.raises(UserError) as raised:
        _ = open_run(run).classifier
    assert str(raised.value).startswith(f"{run / file}: damaged or missing: ")
    assert said in str(raised.value)
    assert "train again" in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere", "x.jpg"], "x.jpg: no such file"),
        (["{run}", "{tmp}/empty"], "no images in this folder"),
        (["{tmp}/empty", "{tmp}/1.png"], "not the folder of a run"),
        (["{run}", "{tmp}/1.png", "--top", "0"], "--top 0"),
    ],
)
def test_mistakes_of_predict(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    save(gradient(9, 9), tmp_path / "1.png")
    names = {"{tmp}": str(tmp_path), "{run}": str(tmp_path)}
    for short, long in names.items():
        arguments = [argument.replace(short, long) for argument in arguments]
    with pytest.raises(SystemExit) as exited:
        predict_command.main(arguments)
    assert exited.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no such dataset in"),
        (["colors:9.9.9"], "no version 9.9.9, only 1.0.0"),
        (["colors", "--epochs", "0"], "--epochs 0"),
        (["colors", "--seed", str(1 << 32)], "--seed 4294967296: give a whole number from 0 to 4294967295"),
        (["colors", "--model", "cnn", "--runs", __file__], "a file is in its place; give a folder"),
        (["colors", "--hidden", "a"], "--hidden 'a'"),
        (["colors", "--export", "onnx"], "one or more of savedmodel, tflite, tflite-int8"),
        (["colors", "--weights", "/no/file.h5"], "--weights /no/file.h5: no such file"),
    ],
)
def test_mistakes_of_train(
    data: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        train_main(["--data", str(data), "--runs", str(tmp_path), *arguments])
    assert exited.value.code == 2
    assert message in capsys.readouterr().err


def test_one_label_is_refused(tmp_path: Path, records: Command, train: Train) -> None:
    for number in range(4):
        save(gradient(40, 40, seed=number), tmp_path / f"raw/only/{number}.png")
    records(tmp_path / "raw", "--size", "32", "--layout", "folders")
    code, folder, said = train("raw", "--data", str(tmp_path / "data"), model="mnist")
    assert code == 2
    assert "have the label only, and there is nothing to tell apart; add images of another label" in said
    assert not folder.exists()


@pytest.mark.parametrize("file_format", ["array_record", "tfrecord"])
def test_a_dataset_that_tfds_made_may_name_splits_in_its_way_and_labels_not_at_all(
    tmp_path: Path, file_format: str
) -> None:
    features = {"image": tfds.features.Image(shape=(8, 8, 3)), "label": tfds.features.ClassLabel(num_classes=3)}

    def images(count: int) -> list[tuple[int, dict[str, Any]]]:
        return [(n, {"image": np.full((8, 8, 3), n, np.uint8), "label": n % 3}) for n in range(count)]

    splits = {"training": images(12), "val": images(6)}
    with tfds.core.registered.skip_registration():
        builder = tfds.dataset_builders.AdhocBuilder(
            name="made_by_tfds",
            version="1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets=splits,
            file_format=file_format,
            data_dir=str(tmp_path),
        )
    builder.download_and_prepare()
    dataset = open_dataset("made_by_tfds", str(tmp_path), 10)
    assert dataset.splits == {"train": "training", "validation": "val"}
    assert dataset.labels == ["0", "1", "2"]
    for split, count in (("train", 12), ("validation", 6)):
        (pixels, truth), *_ = evaluation_batches(dataset, split, 20)
        assert sorted(pixels.numpy()[:, 0, 0, 0].tolist()) == list(range(count))
        assert truth.numpy().tolist() == (pixels.numpy()[:, 0, 0, 0] % 3).tolist() == labels(dataset, split).tolist()
        assert len(set(keys(dataset, split))) == count


def test_evaluation_sees_every_image_once_and_in_order(data: Path) -> None:
    dataset = open_dataset("shapes", str(data), 10)
    seen = np.concatenate([batch.numpy() for _, batch in evaluation_batches(dataset, "train", 7)])
    assert len(seen) == 96
    assert seen.tolist() == labels(dataset, "train").tolist()
    names = keys(dataset, "train")
    assert len(set(names)) == 96
    assert [name.split("/")[0] for name in names] == [dataset.labels[n] for n in seen]


def test_training_sees_every_image_in_an_order_that_the_seed_decides(data: Path) -> None:
    dataset = open_dataset("shapes", str(data), 10)

    def epochs(seed: int) -> list[list[float]]:
        batches = training_batches(dataset, 16, 0, seed)
        return [[float(image.numpy().mean()) for images, _ in batches for image in images] for _ in range(2)]

    first, again, other = epochs(1), epochs(1), epochs(2)
    assert first == again
    assert first[0] != first[1]
    assert first != other
    assert sorted(first[0]) == sorted(first[1]) == sorted(other[0])


def test_augmentation_keeps_the_kind_of_image(data: Path) -> None:
    dataset = open_dataset("shapes", str(data), 10)
    plain = next(iter(evaluation_batches(dataset, "train", 8)))[0]
    images, _ = next(iter(training_batches(dataset, 8, 1, 0, augmented)))
    assert images.dtype == tf.uint8
    assert images.shape == plain.shape
    assert not np.array_equal(images.numpy(), plain.numpy())


def test_the_seed_decides_the_augmentation_too(data: Path) -> None:
    dataset = open_dataset("shapes", str(data), 10)

    def epochs(seed: int) -> list[int]:
        batches = training_batches(dataset, 16, 0, seed, augmented)
        return [int(images.numpy().astype(np.int64).sum()) for _ in range(2) for images, _ in batches]

    assert epochs(1) == epochs(1) != epochs(2)
    assert epochs(1)[:6] != epochs(1)[6:]


def test_kept_features_are_what_the_backbone_says_and_are_kept(data: Path, tmp_path: Path) -> None:
    dataset = open_dataset("shapes", str(data), 10)
    keras.utils.set_random_seed(0)
    backbone = models.backbone(dataset.image_shape, "mobilenet", 0.25, "none", pooled=True)
    computed: list[object] = []
    kept = features_of(dataset, ["validation"], backbone, tmp_path, computed.append)["validation"]
    now = backbone.predict(evaluation_batches(dataset, "validation", 5), verbose=0)
    assert np.allclose(kept, now, atol=1e-5)
    first = len(computed)
    again = features_of(dataset, ["validation"], backbone, tmp_path, computed.append)["validation"]
    assert np.array_equal(again, kept)
    assert len(computed) == first > 0
    backbone.set_weights([weights + 1 for weights in backbone.get_weights()])
    features_of(dataset, ["validation"], backbone, tmp_path, computed.append)
    assert len(computed) == 2 * first


def test_feature_batches_cover_everything_once_an_epoch() -> None:
    features = np.arange(20, dtype=np.float32).reshape(10, 2)
    batches = FeatureBatches(features, np.arange(10), 4, seed=3)
    orders = []
    for _ in range(2):
        rows = [batches[n] for n in range(len(batches))]
        assert all((x[:, 0] == 2 * y).all() for x, y in rows)
        orders.append(np.concatenate([y for _, y in rows]).tolist())
        batches.on_epoch_end()
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))
    assert orders[0] != orders[1]


@pytest.mark.parametrize("head", ["pooled", "dense100"])
@pytest.mark.parametrize("channels", [1, 3])
def test_heads_on_a_frozen_backbone(head: Any, channels: int) -> None:
    bottom = models.backbone((64, 64, channels), "mobilenet_v2", 0.35, "none", pooled=head == "pooled")
    top = models.head(bottom.output_shape[-1], 3, head, 0)
    model = models.stack(bottom, top)
    images = np.zeros((2, 64, 64, channels), np.uint8)
    assert np.allclose(model.predict(images, verbose=0).sum(axis=1), 1, atol=1e-5)
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == sum(
        np.prod(w.shape) for w in top.trainable_weights
    )


def test_transfer_with_fine_tuning_trains_the_backbone(train: Train) -> None:
    arguments = ["--weights", "none", "--epochs", "2", "--fine-tune", "1", "--batch-size", "32"]
    code, folder, _ = train("shapes", *arguments, model="mobilenet")
    assert code == 0
    assert json.loads((folder / "metrics.json").read_text())["epochs"] == 1


def test_catalogue_style_datasets_without_validation_are_cut(data: Path, train: Train, tmp_path: Path) -> None:
    raw = data.parent / "raw/shapes"
    command = [sys.executable, "-m", "imageshards.pipeline", str(raw), "--dataset", "whole", "--split", "100"]
    out = ["--out", str(tmp_path / "data"), "--size", "28", "--color", "gray", "--encoding", "png"]
    subprocess.run([*command, *out], check=True, capture_output=True)
    dataset = open_dataset("whole", str(tmp_path / "data"), 25)
    assert dataset.splits == {"train": "train[:75%]", "validation": "train[75%:]"}
    assert (dataset.count("train"), dataset.count("validation")) == (90, 30)
    with pytest.raises(SystemExit) as exited:
        train_main(
            ["whole", "--data", str(tmp_path / "data"), "--runs", str(tmp_path), "--model", "mnist", "--hidden", "9,8"]
        )
    assert exited.value.code == 0


def test_a_dataset_may_be_given_by_its_path(data: Path) -> None:
    for path in (data / "shapes", data / "shapes/1.0.0"):
        assert open_dataset(str(path), "elsewhere", 10).count("train") == open_dataset("shapes", str(data), 10).count(
            "train"
        )
    assert Options(dataset=str(data / "shapes"), model="cnn").run_name() == "shapes-cnn"
    assert Options(dataset=str(data / "shapes/1.0.0"), model="cnn").run_name() == "shapes-1.0.0-cnn"


def test_unbalanced_labels_get_weights(data: Path) -> None:
    dataset = open_dataset("shapes", str(data), 10)
    truth = np.array([0] * 9 + [1] * 3)
    dataset._columns["train"] = [str(n) for n in range(12)], truth
    weights = fit.class_weights(Options(dataset="shapes"), dataset)
    assert weights is not None
    assert np.allclose(weights[:2], [12 / 18, 2.0])
    assert fit.class_weights(Options(dataset="shapes", prior="training"), dataset) is None
    dataset._columns["train"] = ["a", "b"], np.array([0, 1])
    assert fit.class_weights(Options(dataset="shapes"), dataset) is None


def evaluation(truth: list[int], predicted: list[int], split: str = "validation") -> measure.Evaluation:
    probabilities = np.eye(3, dtype=np.float32)[predicted] * 0.7 + 0.1
    names = [f"{n}.jpg" for n in range(len(truth))]
    return measure.Evaluation(split, names, np.array(truth), probabilities, ["a", "b", "c"])


def test_metrics_by_hand() -> None:
    result = evaluation([0, 0, 1, 1, 1], [0, 1, 1, 1, 0])
    assert (result.accuracy.value, result.accuracy.images) == (0.6, 5)
    assert result.balanced_accuracy.value == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert result.loss == pytest.approx(-(3 * np.log(0.8) + 2 * np.log(0.1)) / 5, rel=1e-5)
    assert result.confusion().tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    a, b, c = result.per_label()
    assert (a["precision"], a["recall"]) == (0.5, 0.5)
    assert (b["precision"], b["recall"]) == (0.6667, 0.6667)
    assert c["recall"] is None
    assert Assessment([evaluation([1, 1, 0], [0, 0, 0], "train"), result]).guessing.value == 0.6


def test_options_are_checked() -> None:
    with pytest.raises(UserError, match="--fine-tune"):
        Options(dataset="x", model="cnn", fine_tune=2)
    assert Options(dataset="x").images_a_step(27) == 1
    assert Options(dataset="x").images_a_step(2000) == 32


def test_ctrl_c_keeps_the_best_so_far(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    end_of_epoch = fit._History.on_epoch_end

    def interrupt(self: Any, epoch: int, logs: Any = None) -> None:
        end_of_epoch(self, epoch, logs)
        if epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit._History, "on_epoch_end", interrupt)
    code, folder, _ = train("shapes", "--epochs", "9")
    assert code == 130
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["epochs"], metrics["interrupted"]) == (3, True)
    assert (folder / "model.keras").exists()


@pytest.mark.shared
def test_the_drum_is_in_the_top_five(
    shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = shared / "weights/keras_home/models/mobilenet_2_5_224_tf.h5"
    with pytest.raises(SystemExit):
        predict_command.main(["imagenet", str(shared / "drum.jpg"), "--top", "5", "--weights", str(weights)])
    assert "drum, membranophone, tympan" in capsys.readouterr().out


@pytest.mark.shared
def test_thirty_photos_are_enough_with_a_pretrained_backbone(
    shared: Path, tmp_path: Path, records: Command, train: Train
) -> None:
    records(shared / "pexels")
    weights = shared / "weights/keras_home/models/mobilenet_2_5_224_tf_no_top.h5"
    arguments = ["--data", str(tmp_path / "data"), "--weights", str(weights)]
    _, folder, _ = train("pexels", *arguments, model="mobilenet")
    assert json.loads((folder / "metrics.json").read_text())["validation_accuracy"] == 1.0
