"""Labels that are numbers or codes get the names that another file has for them."""

import json
from pathlib import Path

import pytest

from imageshards.pipeline.errors import UserError
from imageshards.pipeline.sources import label_names

from .understood import labels_by_key, rejects, tree, understood

IMAGES = ("images/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg")
NAMES = ["cat", "cat", "dog", "dog"]
CARD = "  dtype:\n    class_label:\n      names:\n        '0': cat\n        '1': dog\n"


def numbered(root: Path, *labels: str) -> Path:
    tree(root, *IMAGES)
    rows = "".join(f"{file},{label}\n" for file, label in zip(IMAGES, labels, strict=True))
    (root / "t.csv").write_text(f"file,label\n{rows}")
    return root


@pytest.mark.parametrize(
    ("first", "name", "content"),
    [
        (0, "classes.txt", "cat\ndog\n"),
        (0, "class_names.json", '["cat", "dog"]'),
        (0, "class_indices.json", '{"cat": 0, "dog": 1}'),
        (0, "label_num_to_disease_map.json", '{"0": "cat", "1": "dog", "2": "fox"}'),
        (0, "classes.csv", "id,name\n0,cat\n1,dog\n"),
        (1, "meta/categories_pets.txt", "/cat 1\n/dog 2\n"),
        (0, "README.md", f"---\nfeatures:\n- name: label\n{CARD}---\n# Pets\n"),
        (1, "label_map.pbtxt", "item {\n  id: 1\n  name: 'cat'\n}\nitem {\n  name: 'dog'\n  id: 2\n}\n"),
    ],
)
def test_numbers_get_their_names(tmp_path: Path, first: int, name: str, content: str) -> None:
    numbered(tmp_path, *(str(first + number) for number in (0, 0, 1, 1)))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    reading = understood(tmp_path)
    assert list(labels_by_key(reading).values()) == NAMES
    assert [example.label for example in reading.examples] == ["cat", "dog"]
    assert f"the names of the labels come from {name}" in reading.notes
    assert not reading.ignored
    assert not any("not used" in note for note in reading.notes)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("LOC_synset_mapping.txt", "n01440764 tench, Tinca tinca\nn01443537 goldfish\nn01484850 great white shark\n"),
        (
            "imagenet_class_index.json",
            json.dumps({"0": ["n01440764", "tench, Tinca tinca"], "1": ["n01443537", "goldfish"]}),
        ),
    ],
)
def test_folders_called_by_wordnets_codes_get_their_names(tmp_path: Path, name: str, content: str) -> None:
    tree(tmp_path, "ILSVRC/Data/train/n01440764/1.jpg", "ILSVRC/Data/train/n01443537/2.jpg")
    (tmp_path / name).write_text(content)
    assert understood(tmp_path).labels == ["goldfish", "tench, Tinca tinca"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("classes.txt", "cat\n"),  # names too few
        ("animals.json", '{"0": "cat", "1": "cat"}'),  # the same name twice
        ("animals.json", '{"0": "a.jpg", "1": "b.jpg"}'),  # pictures
        ("README.md", f"---\n{CARD}{CARD}---\n"),  # two columns with names
        ("README.md", CARD),  # an example in a text
        ("words.txt", "cat\ndog\n"),  # a file of that name holds any lines
    ],
)
def test_other_files_give_no_names(tmp_path: Path, name: str, content: str) -> None:
    numbered(tmp_path, "0", "0", "1", "1")
    (tmp_path / name).write_text(content)
    reading = understood(tmp_path, layout="manifest", manifest=[str(tmp_path / "t.csv")])
    assert reading.labels == ["0", "1"]
    if name == "classes.txt":
        assert "classes.txt is not used: it names 0 to 0, and the labels are 0 to 1" in reading.notes


def test_files_that_disagree_are_asked_about(tmp_path: Path) -> None:
    numbered(tmp_path, "0", "0", "1", "1")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "labels.txt").write_text("hen\ndog\n")
    with pytest.raises(UserError, match=r"classes.txt and labels.txt name the labels differently: 0 is 'cat' .* 'hen'"):
        understood(tmp_path)
    assert understood(tmp_path, labels="labels.txt").labels == ["hen", "dog"]


def test_labels_that_are_told_may_name_numbers(tmp_path: Path) -> None:
    numbered(tmp_path / "src", "1", "1", "0", "7")
    (tmp_path / "mine.txt").write_text("dog\ncat\n")
    with pytest.raises(UserError, match="no image has a label"):  # 7 has no name, so that these are no names of theirs
        understood(tmp_path / "src", labels=str(tmp_path / "mine.txt"))
    numbered(tmp_path / "src", "1", "1", "0", "0")
    reading = understood(tmp_path / "src", labels=str(tmp_path / "mine.txt"))
    assert (reading.labels, list(labels_by_key(reading).values())) == (["dog", "cat"], NAMES)
    (tmp_path / "mine.txt").write_text("1\n0\n")
    assert understood(tmp_path / "src", labels=str(tmp_path / "mine.txt")).labels == ["1", "0"]
    with pytest.raises(UserError, match="neither here nor in"):
        understood(tmp_path / "src", labels="nothing.txt")


def test_names_that_no_label_needs_change_nothing(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.jpg")
    (tmp_path / "class_indices.json").write_text('{"cat": 0, "dog": 1}')
    reading = understood(tmp_path)
    assert (reading.labels, rejects(reading)) == (["cat", "dog"], {})


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("labels.csv", "a," + "x" * 200_000),
        ("classes.txt", " " * 50_000 + "0"),
        ("notes.txt", "x " * 500_000),
        ("label_map.pbtxt", "id: 1 " * 100_000),
        ("label_map.pbtxt", "item { " * 100_000),
    ],
    ids=["csv", "blanks", "words", "items", "braces"],
)
def test_a_hostile_file_names_nothing_and_ends(file: str, text: str) -> None:
    assert label_names.read(text.encode(), file) in ({}, {"0": "0"})


def test_the_items_of_a_label_map_may_have_their_fields_in_any_order() -> None:
    text = "item { id: 1 name: 'cat' }\nitem {\n  display_name: 'dog'\n  id: 2\n}"
    assert label_names.read(text.encode(), "map.pbtxt") == {"1": "cat", "2": "dog"}
