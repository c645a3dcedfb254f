"""What is understood of a tree of files, by tables: the files are empty, for layouts look at names alone."""

import os
from pathlib import Path

import pytest

from imageshards.pipeline.options import Options
from imageshards.pipeline.source import Reason, UserError
from imageshards.pipeline.sources.layouts import read

from .understood import labels_by_key, rejects, tree, understood


def test_folders_are_labels(tmp_path: Path) -> None:
    reading = understood(tree(tmp_path, "wood/a.jpg", "wood/b.PNG", "t-shirt é/c.webp", "credits.txt"))
    assert reading.layout == "folders"
    assert labels_by_key(reading) == {"t-shirt é/c.webp": "t-shirt é", "wood/a.jpg": "wood", "wood/b.PNG": "wood"}
    assert reading.labels == ["t-shirt é", "wood"]
    assert reading.ignored == {".txt": 1}


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("val", "validation"),
        ("VALID", "validation"),
        ("validation", "validation"),
        ("test", "test"),
        ("testing", "test"),
        ("eval", "test"),
        ("evaluation", "test"),
        ("dev", "validation"),
        ("training_set", "train"),
        ("Test-images", "test"),
    ],
)
def test_split_folders_in_any_case(tmp_path: Path, folder: str, split: str) -> None:
    reading = understood(tree(tmp_path, f"{folder}/cat/1.jpg", f"{folder}/dog/2.jpg", "dev_set/cat/3.jpg"))
    assert {source.key: source.split for source in reading.sources} == {
        f"{folder}/cat/1.jpg": split,
        f"{folder}/dog/2.jpg": split,
        "dev_set/cat/3.jpg": "validation",
    }
    assert reading.labels == ["cat", "dog"]


def test_split_folders_beside_others_are_two_readings(tmp_path: Path) -> None:
    tree(tmp_path, "train/1.jpg", "test/2.jpg", "misc/3.jpg")
    with pytest.raises(UserError, match=r"'test', 'train' are named like splits and 'misc' are not.*--exclude misc"):
        understood(tmp_path)
    assert understood(tmp_path, label_depth=1).labels == ["misc", "test", "train"]


def test_nested_folders_need_a_depth(tmp_path: Path) -> None:
    tree(tmp_path, "pets/cat/1.jpg", "pets/dog/2.jpg", "cars/red/old/3.jpg")
    assert understood(tmp_path, label_depth=2).labels == ["cars/red", "pets/cat", "pets/dog"]
    assert understood(tmp_path, label_depth=1).labels == ["cars", "pets"]
    with pytest.raises(UserError, match="--label-depth 3, but some images lie higher: pets/cat/1.jpg"):
        understood(tmp_path, label_depth=3)


def test_mixed_depths_are_refused_with_examples(tmp_path: Path) -> None:
    tree(tmp_path, "a.jpg", "cat/b.jpg", "dog/more/c.jpg")
    with pytest.raises(UserError, match=r"different depths.*a\.jpg, cat/b\.jpg, dog/more/c\.jpg"):
        understood(tmp_path)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["dog-1", "cat-2"], ["cat", "dog"]),
        (["cat.0", "cat.1", "dog.0"], ["cat", "dog"]),
        (["dog (1)", "dog (2)", "cat"], ["cat", "dog"]),
        (["american_bulldog_34", "Abyssinian_1"], ["Abyssinian", "american_bulldog"]),
        (["t-shirt_12", "MP3-player-3", "hot dog 7"], ["MP3-player", "hot dog", "t-shirt"]),
        (["MP3-1", "MP4-1", "MP3"], ["MP3", "MP4"]),
        (["dog12", "dog13", "cat1"], ["cat", "dog"]),
        (["cat_1 (2)", "cat_1", "dog_5"], ["cat", "dog"]),
        (["train/cat.1", "val/dog.2"], ["cat", "dog"]),
    ],
)
def test_labels_in_file_names(tmp_path: Path, names: list[str], labels: list[str]) -> None:
    reading = understood(tree(tmp_path, *(f"{name}.jpg" for name in names)))
    assert reading.layout == "filenames"
    assert reading.labels == labels
    assert len(reading.sources) == len(names)


def test_label_pattern(tmp_path: Path) -> None:
    tree(tmp_path, "0001_c3s1_dog_x.jpg", "0002_c1s1_cat_y.jpg", "other.jpg")
    reading = understood(tmp_path, label_pattern=r"\d+_\w+?_(?P<label>[a-z]+)_")
    assert reading.labels == ["cat", "dog"]
    assert [(reject.file, reject.reason) for reject in reading.rejected] == [("other.jpg", Reason.NO_LABEL)]
    with pytest.raises(UserError, match="needs a named group"):
        understood(tmp_path, label_pattern="(.*)")
    with pytest.raises(UserError, match="--label-pattern '\\['"):
        understood(tmp_path, label_pattern="[")


def test_names_that_say_nothing_are_not_guessed_at(tmp_path: Path) -> None:
    tree(tmp_path, "IMG_0001.jpg", "IMG_0002.jpg")
    with pytest.raises(UserError, match=r"every image would have the label 'IMG'.*--label-pattern"):
        understood(tmp_path)
    tree(tmp_path / "x", "beach.jpg", "sunset.jpg", "rain.jpg", "me.jpg")
    with pytest.raises(UserError, match="every image has another label"):
        understood(tmp_path / "x")
    assert understood(tmp_path, layout="filenames", label_pattern="").labels == ["IMG", "beach", "me", "rain", "sunset"]


def test_numbers_alone_are_no_label(tmp_path: Path) -> None:
    reading = understood(tree(tmp_path, "dog-1.jpg", "cat-2.jpg", "0003.jpg"))
    assert [(reject.file, reject.reason) for reject in reading.rejected] == [("0003.jpg", Reason.NO_LABEL)]


def test_labels_sort_as_numbers_where_all_are(tmp_path: Path) -> None:
    tree(tmp_path, *(f"{label}/{name}.jpg" for label in (0, 10, 9, 2) for name in "ab"))
    assert understood(tmp_path).labels == ["0", "2", "9", "10"]
    assert understood(tree(tmp_path, "x/a.jpg")).labels == ["0", "10", "2", "9", "x"]


def test_labels_can_be_pinned(tmp_path: Path) -> None:
    tree(tmp_path / "raw", "cat/1.jpg", "dog/2.jpg", "emu/3.jpg")
    names = tmp_path / "labels.txt"
    names.write_text("dog\ncat\nfish\n")
    reading = understood(tmp_path / "raw", labels=str(names))
    assert reading.labels == ["dog", "cat", "fish"]
    assert [(reject.file, reject.reason) for reject in reading.rejected] == [("emu/3.jpg", Reason.UNKNOWN_LABEL)]
    names.write_text("dog\n\ncat\n")
    with pytest.raises(UserError, match="line 2 is blank"):
        understood(tmp_path / "raw", labels=str(names))
    names.write_text("dog\ndog\n")
    with pytest.raises(UserError, match="line 2 is a repetition of dog"):
        understood(tmp_path / "raw", labels=str(names))


def test_a_folder_of_datasets(tmp_path: Path) -> None:
    tree(tmp_path, "pets/cat/1.jpg", "pets/dog/2.jpg", "colors/train/red/1.png", "colors/val/blue/2.png")
    readings = read(Options(src=str(tmp_path)))
    assert [reading.options.dataset_name() for reading in readings] == ["colors", "pets"]
    assert [reading.labels for reading in readings] == [["blue", "red"], ["cat", "dog"]]
    with pytest.raises(UserError, match="a folder of datasets.*or nested labels"):
        read(Options(src=str(tmp_path), dataset="mine"))


def test_a_folder_of_datasets_with_one_label_could_be_nested_labels(tmp_path: Path) -> None:
    tree(tmp_path, "pets/cat/1.jpg", "pets/dog/2.jpg", "vehicles/car/1.png")
    with pytest.raises(UserError, match=r"two readings.*--label-depth 2.*'vehicles'"):
        read(Options(src=str(tmp_path)))


def test_hidden_files_and_litter_are_not_listed(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg", "dog/2.jpg", "cat/._1.jpg", ".git/x.jpg", "__MACOSX/cat/1.jpg", "Thumbs.db")
    assert len(understood(tmp_path).sources) == 2


def test_links_are_followed_inside_and_refused_outside(tmp_path: Path) -> None:
    outside = tree(tmp_path / "outside", "secret/1.jpg")
    root = tree(tmp_path / "raw", "cat/1.jpg", "dog/2.jpg")
    (root / "cat/again.jpg").symlink_to(root / "cat/1.jpg")
    (root / "dog/gone.jpg").symlink_to(root / "nothing.jpg")
    (root / "dog/leak.jpg").symlink_to(outside / "secret/1.jpg")
    (root / "emu").symlink_to(outside / "secret")
    (root / "cat/loop").symlink_to(root)
    (root / "dog/self.jpg").symlink_to("self.jpg")
    reading = understood(root)
    assert [source.key for source in reading.sources] == ["cat/1.jpg", "cat/again.jpg", "dog/2.jpg"]
    assert {reject.file: reject.reason for reject in reading.rejected} == {
        "cat/loop": Reason.DANGLING_LINK,
        "dog/gone.jpg": Reason.DANGLING_LINK,
        "dog/self.jpg": Reason.DANGLING_LINK,
        "dog/leak.jpg": Reason.LINK_OUTSIDE,
        "emu": Reason.LINK_OUTSIDE,
    }
    followed = understood(root, follow_outside=True)
    assert {"emu/1.jpg", "dog/leak.jpg"} <= {source.key for source in followed.sources}


def test_names_that_are_no_names(tmp_path: Path) -> None:
    root = tree(tmp_path, "cat/1.jpg", "dog/2.jpg", "dog/new\nline.jpg", "cat/\u00e9.jpg", "cat/e\u0301.jpg")
    with open(bytes(root) + b"/dog/\xff.jpg", "wb"):  # noqa: PTH123
        pass
    reading = understood(root)
    assert {reject.file: reject.reason for reject in reading.rejected} == {
        "cat/é.jpg": Reason.SAME_KEY,
        r"dog/new\nline.jpg": Reason.BAD_NAME,
        r"dog/\udcff.jpg": Reason.BAD_NAME,
    }
    assert reading.found == 6


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    root = tree(tmp_path, "cat/1.jpg", "dog/2.jpg")
    os.mkfifo(root / "cat/pipe.jpg")
    (root / "dog/folder.jpg").mkdir()
    reading = understood(root)
    assert [source.key for source in reading.sources] == ["cat/1.jpg", "dog/2.jpg"]
    assert {reject.file: reject.reason for reject in reading.rejected} == {"cat/pipe.jpg": Reason.UNREADABLE}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no images below this folder; give the folder with your images .JPEG, PNG, .* HEIC"),
        (
            ["a.txt", "b.txt", "c.csv"],
            "no images below this folder, only 2 .txt, 1 .csv; give the folder with your images",
        ),
    ],
)
def test_nothing_to_read(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        understood(tree(tmp_path, *names))


def test_wrong_places(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        understood(tmp_path / "nowhere")
    with pytest.raises(UserError, match="a single picture; SRC is the folder"):
        understood(tree(tmp_path, "x.jpg") / "x.jpg")
    with pytest.raises(UserError, match="neither a folder nor"):
        understood(tree(tmp_path, "x.txt") / "x.txt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "80/30"}, "sum to 100"),
        ({"split": "a/b"}, "sum to 100"),
        ({"split": "40/30/20/10"}, "one to three"),
        ({"test_from": "validation:0"}, "validation:20"),
        ({"test_from": "test:20"}, "validation:20"),
        ({"version": "1.0"}, "1.0.0"),
        ({"version": "1.0.01"}, "1.0.0"),
        ({"size": 0}, "--size 0"),
        ({"quality": 101}, "--quality 101"),
        ({"max_pixels": 10**9}, "--max-pixels"),
    ],
)
def test_options_are_checked_by_value(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Options(src="x", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["1", "cat-1"])
def test_splits_below_folders_without_labels_are_asked_about(tmp_path: Path, name: str) -> None:
    root = tree(tmp_path, *(f"{label}/{split}/{name}.jpg" for label in ("cat", "dog") for split in ("train", "val")))
    with pytest.raises(UserError, match=r"'cat', 'dog' hold splits and no labels.*as in train/cat;.*SRC=.*/cat$"):
        understood(root)


@pytest.mark.parametrize(
    ("folder", "name"), [("My Photos", "my_photos"), ("2024 trip!", "d2024_trip"), ("été", "ete"), ("a__b", "a_b")]
)
def test_a_dataset_is_named_after_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    assert Options(src=str(tmp_path / folder)).dataset_name() == name


@pytest.mark.parametrize("folder", ["猫", "Кошки 2024", "!"])
def test_a_folder_whose_letters_would_be_lost_gives_no_name(tmp_path: Path, folder: str) -> None:
    with pytest.raises(UserError, match=f"{folder}.*give --dataset NAME"):
        Options(src=str(tmp_path / folder)).dataset_name()


def test_a_bad_dataset_name_comes_with_a_better_one() -> None:
    with pytest.raises(UserError, match="'my_photos' would do"):
        Options(src="x", dataset="My Photos").dataset_name()


def test_where_only_train_is_given_the_rest_is_drawn_from_it(tmp_path: Path) -> None:
    reading = understood(tree(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg"))
    assert [source.split for source in reading.sources] == [None, None]
    assert any("--split 100 keeps all in train" in note for note in reading.notes)


def test_a_split_without_folders_has_no_labels(tmp_path: Path) -> None:
    tree(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg", "test/3.jpg", "test/4.jpg")
    for options in ({}, {"label_depth": 1}):
        reading = understood(tmp_path, **options)
        assert labels_by_key(reading) == {"train/cat/1.jpg": "cat", "train/dog/2.jpg": "dog"}
        assert {(reject.file, str(reject.reason)) for reject in reading.rejected} == {
            ("test/3.jpg", "no-label"),
            ("test/4.jpg", "no-label"),
        }


def test_folders_that_only_hold_pictures_are_no_labels(tmp_path: Path) -> None:
    tree(tmp_path, "images/p1.jpg", "images/p2.jpg", "images/p3.jpg")
    with pytest.raises(UserError, match="every image would have the label 'p'"):
        understood(tmp_path)
    tree(tmp_path / "named", "images/dog_1.jpg", "images/dog_2.jpg", "images/cat_1.jpg")
    assert understood(tmp_path / "named").labels == ["cat", "dog"]


def test_lists_of_the_files_of_a_split_are_followed(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.jpg")
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/train.txt").write_text("cat/1.jpg\ndog/3.jpg\ndog/4.jpg\n")
    (tmp_path / "splits/val.txt").write_text("cat/2.jpg\ndog/4.jpg\n")
    reading = understood(tmp_path)
    assert {source.key: source.split for source in reading.sources} == {
        "cat/1.jpg": "train",
        "cat/2.jpg": "validation",
        "dog/3.jpg": "train",
    }
    assert [(reject.file, reject.reason) for reject in reading.rejected] == [("dog/4.jpg", Reason.BAD_SPLIT)]


def test_folders_around_all_others_are_passed_over(tmp_path: Path) -> None:
    tree(tmp_path, "pets-v2/pets/train/cat/1.jpg", "pets-v2/pets/train/dog/2.jpg", "pets-v2/pets/val/cat/3.jpg")
    assert [(source.label, source.split) for source in understood(tmp_path).sources] == [
        ("cat", "train"),
        ("dog", "train"),
        ("cat", "validation"),
    ]


@pytest.mark.parametrize("name", ["_unlabeled", "no_label"])
def test_folders_of_pictures_without_a_label_are_no_labels(tmp_path: Path, name: str) -> None:
    tree(tmp_path, "cat/1.jpg", "dog/2.jpg", f"{name}/3.jpg")
    assert rejects(understood(tmp_path)) == {f"{name}/3.jpg": "no-label"}
    assert understood(tmp_path, layout="folders").labels == sorted([name, "cat", "dog"])


def test_labels_whose_folders_hold_a_folder_of_pictures(tmp_path: Path) -> None:
    tree(tmp_path / "a", "cat/images/p1.jpg", "cat/images/p2.jpg", "dog/images/p3.jpg")
    assert understood(tmp_path / "a").labels == ["cat", "dog"]
    tree(tmp_path / "b", *(f"{top}/images/{label}-{n}.jpg" for top in ("pets", "farm") for label in "xy" for n in "12"))
    assert [dataset.options.dataset_name() for dataset in read(Options(src=str(tmp_path / "b")))] == ["farm", "pets"]


def test_labels_that_look_alike_are_noted(tmp_path: Path) -> None:
    tree(tmp_path, "Cat/1.jpg", "cat/2.jpg", "\u0441at/3.jpg", "great dane/4.jpg", "great_dane/5.jpg")
    notes = understood(tmp_path, layout="folders").notes
    assert "the labels 'great dane', 'great_dane' look alike: one of them may be meant for the other" in notes
    assert any(note.startswith("the labels 'Cat', 'cat', '\u0441at' look alike") for note in notes)
