"""Tables that people have, as they have them."""

import csv
import json
import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from imageshards.pipeline.source import Reason, UserError

from .understood import labels_by_key, rejects, tree, understood

IMAGES = ("images/1.jpg", "images/2.jpg", "images/3.jpg")
LABELS = {"images/1.jpg": "cat", "images/2.jpg": "dog", "images/3.jpg": "cat"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "file,label\nimages/1.jpg,cat\nimages/2.jpg,dog\nimages/3.jpg,cat\n"),
        ("labels.csv", "\ufefffilename;class\r\nimages/1.jpg;cat\r\nimages/2.jpg;dog\r\nimages/3.jpg;cat\r\n"),
        ("labels.csv", "Image_ID,Breed\n1,cat\n2,dog\n3,cat"),
        ("labels.csv", "1.jpg,cat\n2.jpg,dog\n3.jpg,cat\n"),
        ("labels.csv", '"file_name","label"\n"images/1.jpg","cat"\n"images/2.jpg"," dog "\n"images/3.jpg","cat"\n'),
        ("labels.csv", "label,path\ncat,./images/1.jpg\ndog,images\\2.jpg\ncat,images//3.jpg\n"),
        ("labels.csv", "photo,kind\n1.jpg,cat\n2.jpg,dog\n3.jpg,cat\n"),
        ("labels.csv", "gs://bucket/images/1.jpg,cat\ngs://bucket/images/2.jpg,dog\ngs://bucket/images/3.jpg,cat\n"),
        ("labels.csv", "file,label\n/home/ann/images/1.jpg,cat\nC:\\x\\images\\2.jpg,dog\n/images/3.jpg,cat\n"),
        ("labels.tsv", "path\tcategory\nimages/1.jpg\tcat\nimages/2.jpg\tdog\nimages/3.jpg\tcat\n"),
        ("labels.json", json.dumps(LABELS)),
        ("labels.json", json.dumps([{"file": file, "label": label} for file, label in LABELS.items()])),
        ("labels.json", json.dumps({"info": {}, "images": [{"file": f, "label": x} for f, x in LABELS.items()]})),
        ("labels.json", json.dumps({file: {"label": label, "x": 1} for file, label in LABELS.items()})),
        ("labels.jsonl", "".join(json.dumps({"image": f, "label": x}) + "\n\n" for f, x in LABELS.items())),
        ("images/metadata.csv", "file_name,label\n1.jpg,cat\n2.jpg,dog\n3.jpg,cat\n"),
        (
            "images/metadata.jsonl",
            "".join(json.dumps({"file_name": f[7:], "label": x}) + "\n" for f, x in LABELS.items()),
        ),
    ],
)
def test_tables_are_found_and_read(tmp_path: Path, name: str, text: str) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    reading = understood(tmp_path)
    assert reading.layout == "manifest"
    assert labels_by_key(reading) == LABELS
    assert not reading.rejected


def test_vertex_tables_name_the_split_first(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / "vertex.csv").write_text(
        "TRAIN,gs://bucket/a/images/1.jpg,cat\nVALIDATION,gs://bucket/a/images/2.jpg,dog\nUNASSIGNED,gs://b/3.jpg,cat\n"
    )
    reading = understood(tmp_path)
    assert labels_by_key(reading) == LABELS
    assert [source.split for source in reading.sources] == ["train", "validation", None]


def test_files_found_by_the_end_of_a_path_are_reported_and_never_guessed_at(tmp_path: Path) -> None:
    tree(tmp_path, "cats/1.jpg", "pics/2.jpg", "pics/3.jpg")
    (tmp_path / "t.csv").write_text("file,label\ngs://b/dogs/1.jpg,dog\ngs://b/pics/2.jpg,dog\n/x/pics/3.jpg,cat\n")
    reading = understood(tmp_path, layout="manifest")
    assert labels_by_key(reading) == {"pics/2.jpg": "dog", "pics/3.jpg": "cat"}
    assert rejects(reading) == {"cats/1.jpg": "no-row", "t.csv:2": "row-no-file"}
    assert any(note.startswith("2 rows of t.csv name their files by another folder") for note in reading.notes)


def test_hugging_face_metadata_in_split_folders(tmp_path: Path) -> None:
    tree(tmp_path, "train/a.png", "train/b.png", "test/c.png")
    (tmp_path / "train/metadata.csv").write_text("file_name,label\na.png,cat\nb.png,dog\n")
    (tmp_path / "test/metadata.csv").write_text("file_name,label\nc.png,cat\n")
    reading = understood(tmp_path)
    assert [(source.key, source.split) for source in reading.sources] == [
        ("test/c.png", "test"),
        ("train/a.png", "train"),
        ("train/b.png", "train"),
    ]


def test_a_manifest_elsewhere_and_columns_by_name(tmp_path: Path) -> None:
    tree(tmp_path / "raw", *IMAGES)
    table = tmp_path / "table.csv"
    table.write_text("n,what,where,when,who\n0,cat,1.jpg,test,ann\n1,dog,2.jpg,,bob\n2,cat,3.jpg,train,ann\n")
    columns = {"file_column": "where", "label_column": "what", "split_column": "4", "group_column": "who"}
    reading = understood(tmp_path / "raw", manifest=[str(table)], **columns)
    assert labels_by_key(reading) == LABELS
    assert [source.split for source in reading.sources] == ["test", None, "train"]
    assert [source.group for source in reading.sources] == ["ann", "bob", "ann"]
    with pytest.raises(UserError, match="--label-column 'x': table.csv has the columns 'n', 'what'"):
        understood(tmp_path / "raw", manifest=[str(table)], label_column="x")
    with pytest.raises(UserError, match="columns 'what', 'who' could each be the label.*--label-column what"):
        understood(tmp_path / "raw", manifest=[str(table)], file_column="where")


def test_rows_and_files_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES, "images/4.jpg", "images/5.jpg", "images/6.jpg", "a/7.jpg", "b/7.jpg")
    rows = [
        ("file", "label"),
        ("images/1.jpg", "cat"),
        ("images/1.jpg", "cat"),
        ("images/2.jpg", "dog"),
        ("images/2.jpg", "cat"),
        ("images/3.jpg", " "),
        ("gone.jpg", "cat"),
        ("../outside.jpg", "cat"),
        ("/etc/passwd", "cat"),
        ("7.jpg", "cat"),
        ("", "cat"),
        ("images/5.jpg", "do\u2028g"),
        ("images/6.jpg", "dog"),
        ("x\0y", "cat"),
    ]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    reading = understood(tmp_path, layout="manifest")
    assert labels_by_key(reading) == {"images/1.jpg": "cat", "images/6.jpg": "dog"}
    assert rejects(reading) == {
        "a/7.jpg": "no-row",
        "b/7.jpg": "no-row",
        "images/2.jpg": "conflicting-rows",
        "images/3.jpg": "no-label",
        "images/4.jpg": "no-row",
        "images/5.jpg": "bad-label",
        "labels.csv:3": "row-duplicate",
        "labels.csv:7": "row-no-file",
        "labels.csv:8": "row-outside",
        "labels.csv:9": "row-no-file",
        "labels.csv:10": "row-ambiguous",
        "labels.csv:11": "row-no-file",
        "labels.csv:14": "row-no-file",
    }
    assert reading.found == 8
    with pytest.raises(UserError, match="--strict allows nothing to be rejected, and 13 would be"):
        understood(tmp_path, layout="manifest", strict=True)


def test_an_unknown_split_rejects_its_file(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / "t.csv").write_text("file,label,split\n1.jpg,cat,holdout\n2.jpg,dog,TEST\n3.jpg,cat,\n")
    reading = understood(tmp_path)
    assert rejects(reading) == {"images/1.jpg": "bad-split"}


def test_a_table_beside_label_folders_is_two_readings(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg", "dog/2.jpg")
    (tmp_path / "t.csv").write_text("file,label\ncat/1.jpg,a\ndog/2.jpg,b\n")
    with pytest.raises(UserError, match="two readings.*--layout manifest or --layout folders"):
        understood(tmp_path)
    assert understood(tmp_path, layout="folders").labels == ["cat", "dog"]
    assert understood(tmp_path, layout="manifest").labels == ["a", "b"]


def test_two_tables_are_two_readings(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("file,label\n1.jpg,cat\n")
    with pytest.raises(UserError, match="a.csv and b.csv each name images; say which with --manifest"):
        understood(tmp_path)


def test_tables_about_something_else_are_ignored(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg", "dog/2.jpg")
    (tmp_path / "prices.csv").write_text("city,price\nrome,3\n")
    (tmp_path / "broken.json").write_text("{")
    assert understood(tmp_path).layout == "folders"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("m.csv", b"", "the manifest is empty"),
        ("m.csv", b"file,label\n1.jpg,\x81\x8d\n", "line 2: its text is not UTF-8; name its encoding"),
        ("m.csv", b'file,label\n1.jpg,"cat\n', "line 2: a quotation mark is opened and never closed"),
        ("m.csv", b"file,label\n1.jpg," + b"x" * 200_000, "m.csv: no column names a picture"),
        ("m.jsonl", b'{"file": "1.jpg", "label": "' + b"x" * 200_000 + b'"}', "no image has a label"),
        ("m.json", b"{", "line 1 column 2"),
        ("m.json", b"[" * 100_000, "nested too deeply"),
        ("m.json", b'["1.jpg"]', "it is not a table"),
        ("m.jsonl", b'{"file": "1.jpg"}\nnonsense\n', "no column says a label"),
        ("m.xlsx", b"PK", "it is a spreadsheet; save the sheet as CSV"),
    ],
)
def test_broken_tables_are_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message):
        understood(tmp_path, manifest=[name])


def test_bytes_that_are_no_text_are_counted_or_named(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / "m.csv").write_bytes(b"file,label\n1.jpg,c\0at\n2.jpg,dog\n3.jpg,cat\n4\0.jpg,dog\n")
    reading = understood(tmp_path)
    assert rejects(reading) == {"images/1.jpg": "bad-label", "m.csv:5": "row-no-file"}


def test_a_hundred_thousand_rows_that_name_nothing_are_counted(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    rows = "".join(f"other/{number}.jpg,cat\n" for number in range(10, 100_010))
    (tmp_path / "m.csv").write_text("file,label\n1.jpg,cat\n2.jpg,dog\n3.jpg,dog\n" + rows)
    reading = understood(tmp_path)
    assert len(reading.sources) == 3
    assert len(reading.rejected) == 100_000


def test_other_encodings(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    text = "file,label\n1.jpg,été\n2.jpg,chien\n3.jpg,été\n"
    (tmp_path / "m.csv").write_bytes(text.encode("cp1252"))
    assert understood(tmp_path, manifest=["m.csv"], manifest_encoding="cp1252").labels == ["chien", "été"]
    (tmp_path / "m.csv").write_bytes(text.encode("utf-16"))
    assert understood(tmp_path, manifest=["m.csv"]).labels == ["chien", "été"]
    (tmp_path / "m.csv").write_bytes(text.encode("utf-8"))
    with pytest.raises(UserError, match="klingon: there is no such encoding"):
        understood(tmp_path, manifest=["m.csv"], manifest_encoding="klingon")


def test_formulas_are_only_text(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / "m.csv").write_text("file,label\n1.jpg,=cmd()\n2.jpg,<b>dog</b>\n3.jpg,=cmd()\n")
    assert understood(tmp_path).labels == ["<b>dog</b>", "=cmd()"]
    assert Reason("no-row") is Reason.NO_ROW


def test_a_table_that_agrees_with_label_folders_is_not_asked_about(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg", "dog/2.jpg", "dog/3.jpg")
    (tmp_path / "labels.csv").write_text("file,label,is_valid\ncat/1.jpg,cat,0\ndog/2.jpg,dog,1\ndog/3.jpg,dog,0\n")
    reading = understood(tmp_path)
    assert "as their folders do" in reading.why
    assert [source.split for source in reading.sources] == ["train", "validation", "train"]


def test_a_table_for_one_split_and_folders_for_another(tmp_path: Path) -> None:
    tree(tmp_path, "train/n1/images/1.JPEG", "train/n2/images/2.JPEG", "val/images/3.JPEG", "test/images/4.JPEG")
    (tmp_path / "val/val_annotations.txt").write_text("3.JPEG\tn2\t0\t0\t62\t57\n")
    (tmp_path / "train/n1/n1_boxes.txt").write_text("1.JPEG\t0\t10\t63\t58\n")
    (tmp_path / "train/n2/n2_boxes.txt").write_text("2.JPEG\t0\t10\t63\t58\n")
    reading = understood(tmp_path)
    assert [(source.key, source.label, source.split) for source in reading.sources] == [
        ("train/n1/images/1.JPEG", "n1", "train"),
        ("train/n2/images/2.JPEG", "n2", "train"),
        ("val/images/3.JPEG", "n2", "validation"),
    ]
    assert rejects(reading) == {"test/images/4.JPEG": "no-label"}
    assert any(note.startswith("2 tables such as train/n1/n1_boxes.txt name images, but") for note in reading.notes)
    (tmp_path / "val/val_annotations.txt").write_text("3.JPEG\tn9\t0\t0\t62\t57\n")
    with pytest.raises(UserError, match=r"two readings.*no folder is called 'n9'"):
        understood(tmp_path)


def test_several_tables_of_a_split_each_and_one_about_other_pictures(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / "instances_train2017.csv").write_text("file,label\n1.jpg,cat\n2.jpg,dog\n")
    (tmp_path / "instances_val2017.csv").write_text("file,label\n3.jpg,cat\n")
    (tmp_path / "meta.csv").write_text("file,label\nicons/a.png,cat\n")
    reading = understood(tmp_path)
    assert [source.split for source in reading.sources] == ["train", "train", "validation"]
    assert "meta.csv names no picture in SRC; it is not used" in reading.notes


def test_several_manifests_are_told(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / "a.csv").write_text("file,label\n1.jpg,cat\n2.jpg,dog\n")
    (tmp_path / "b.csv").write_text("file,label\n3.jpg,cat\n")
    assert labels_by_key(understood(tmp_path, manifest=["a.csv", "b.csv"])) == LABELS


def test_tables_that_call_images_by_number(tmp_path: Path) -> None:
    tree(tmp_path, "images/001.cat/a.jpg", "images/002.dog/b.jpg", "images/002.dog/c.jpg")
    for name, text in {
        "images.txt": "1 001.cat/a.jpg\n2 002.dog/b.jpg\n3 002.dog/c.jpg\n",
        "image_class_labels.txt": "1 1\n2 2\n3 2\n",
        "classes.txt": "1 001.cat\n2 002.dog\n",
        "train_test_split.txt": "1 1\n2 0\n3 1\n",
        "bounding_boxes.txt": "1 0.0 1.0 2.0 3.5\n2 0.0 1.0 2.0 3.5\n3 0.0 1.0 2.0 3.5\n",
    }.items():
        (tmp_path / name).write_text(text)
    reading = understood(tmp_path)
    assert [(source.label, source.split) for source in reading.sources] == [
        ("001.cat", "train"),
        ("002.dog", "test"),
        ("002.dog", "train"),
    ]


def test_numbers_of_splits(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / "labels.csv").write_text("file,label,partition\n1.jpg,cat,0\n2.jpg,dog,1\n3.jpg,cat,2\n")
    reading = understood(tmp_path)
    assert [source.split for source in reading.sources] == ["train", "validation", "test"]
    assert any("taken as 0 train, 1 validation, 2 test" in note for note in reading.notes)
    (tmp_path / "labels.csv").write_text("file,label,partition\n1.jpg,cat,0\n2.jpg,dog,1\n3.jpg,cat,1\n")
    reading = understood(tmp_path)
    assert {source.split for source in reading.sources} == {None}
    assert any("'partition' is not used" in note for note in reading.notes)


def test_a_table_of_pairs_is_asked_about(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / "pairs.csv").write_text("left,right,same\n1.jpg,2.jpg,0\n2.jpg,3.jpg,0\n3.jpg,1.jpg,1\n")
    with pytest.raises(UserError, match=r"'left' and 'right' each name another picture.*--file-column left"):
        understood(tmp_path)
    assert understood(tmp_path, manifest=["pairs.csv"], file_column="left", layout="manifest").labels == ["0", "1"]


def test_files_about_a_picture_each_are_named(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / "images/1.json").write_text('{"label": "cat"}')
    (tmp_path / "images/2.json").write_text('{"label": "dog"}')
    with pytest.raises(UserError, match=r"2 files such as images/1.json are each about a picture"):
        understood(tmp_path)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_in_any_script_and_unicode_form_find_their_files(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    names = ("bär 1.jpg", "été/2.jpg", "写真/３.jpg", "4.jpg")
    tree(tmp_path, *names)
    rows = "".join(f"{unicodedata.normalize(form, name)},{label}\n" for name, label in zip(names, "aabb", strict=True))
    (tmp_path / "t.csv").write_text(f"file,label\n{rows}", encoding="utf-8")
    reading = understood(tmp_path, layout="manifest")
    assert labels_by_key(reading) == dict(zip(names, "aabb", strict=True))
    assert not any("name their files" in note for note in reading.notes)


def test_numbers_that_lost_their_zeros_find_their_files(tmp_path: Path) -> None:
    tree(tmp_path, "0001.jpg", "0002.jpg", "010.jpg", "10.jpg")
    (tmp_path / "t.csv").write_text("id,label\n1,cat\n2,dog\n10,cat\n010,dog\n")
    reading = understood(tmp_path)
    assert labels_by_key(reading) == {"0001.jpg": "cat", "0002.jpg": "dog", "010.jpg": "dog", "10.jpg": "cat"}
    assert "2 rows of t.csv name their files with more or fewer leading zeros" in reading.notes


TAGS = {
    "a.xml": "<annotations>{}</annotations>",
    "a.jsonl": "{}",
    "a.json": '{{"classes": ["cat", "dog"], "labels": {{{}}}}}',
}


@pytest.mark.parametrize("name", TAGS)
def test_several_labels_in_a_form_that_can_hold_them_are_rejected(tmp_path: Path, name: str) -> None:
    tree(tmp_path, *IMAGES)
    tags = {"images/1.jpg": ["cat"], "images/2.jpg": ["dog"], "images/3.jpg": ["cat", "dog"]}
    if name == "a.xml":
        inside = "".join(
            f'<image name="{file}">{"".join(f"<tag label={chr(34)}{tag}{chr(34)}/>" for tag in given)}</image>'
            for file, given in tags.items()
        )
    elif name == "a.jsonl":
        inside = "\n".join(
            json.dumps(
                {"imageGcsUri": f"gs://b/{file}", "classificationAnnotations": [{"displayName": t} for t in given]}
            )
            for file, given in tags.items()
        )
    else:
        inside = json.dumps({file: [["cat", "dog"].index(tag) for tag in given] for file, given in tags.items()})[1:-1]
    (tmp_path / name).write_text(TAGS[name].format(inside))
    reading = understood(tmp_path)
    assert labels_by_key(reading) == {"images/1.jpg": "cat", "images/2.jpg": "dog"}
    assert [(reject.file, str(reject.reason)) for reject in reading.rejected] == [("images/3.jpg", "several-labels")]
    assert "cat, dog" in reading.rejected[0].detail


def test_a_cell_of_tags_that_stand_alone_elsewhere_is_asked_about(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(40)]
    tree(tmp_path, *names)
    labels = ["cat", "dog", *"ab" * 18, "b", "cat,dog"]
    rows = "".join(f'{name},"{label}"\n' for name, label in zip(names, labels, strict=True))
    (tmp_path / "t.csv").write_text(f"file,label\n{rows}")
    with pytest.raises(UserError, match="several tags .* such as 'cat,dog'"):
        understood(tmp_path)


def test_a_yes_or_no_beside_columns_of_classes_is_no_class(tmp_path: Path) -> None:
    tree(tmp_path, "1.jpg", "2.jpg", "3.jpg", "4.jpg")
    (tmp_path / "t.csv").write_text("file,male,cat,dog\n1,1,1,0\n2,0,0,1\n3,0,1,0\n4,1,0,1\n")
    reading = understood(tmp_path)
    assert list(labels_by_key(reading).values()) == ["cat", "dog", "cat", "dog"]
    assert any("'male' is not a class" in note for note in reading.notes)


def test_pictures_and_classes_may_both_be_numbers(tmp_path: Path) -> None:
    tree(tmp_path, *(f"{number}.jpg" for number in range(6)))
    (tmp_path / "t.csv").write_text("id,row,label\n" + "".join(f"{n},{9 - n},{n % 2}\n" for n in range(6)))
    assert list(labels_by_key(understood(tmp_path)).values()) == ["0", "1"] * 3


def test_lists_of_names_with_blanks(tmp_path: Path) -> None:
    tree(tmp_path, "my pets/1.jpg", "my pets/2.jpg", "my pets/3.jpg")
    (tmp_path / "list.txt").write_text("my pets/1.jpg cat\nmy pets/2.jpg dog\nmy pets/3.jpg cat\n")
    assert list(labels_by_key(understood(tmp_path)).values()) == ["cat", "dog", "cat"]


def test_tables_called_alike_but_for_a_split(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / "pets_train.lst").write_text("0\t0.0\timages/1.jpg\n1\t1.0\timages/2.jpg\n")
    (tmp_path / "pets_val.lst").write_text("0\t0.0\timages/3.jpg\n")
    assert [source.split for source in understood(tmp_path).sources] == ["train", "train", "validation"]


def test_a_fold_or_another_column_may_say_what_is_test(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / "t.csv").write_text("file,label,fold\n1,cat,0\n2,dog,1\n3,cat,2\n")
    assert any("--test-from fold:0 makes one fold" in note for note in understood(tmp_path).notes)
    reading = understood(tmp_path, test_from="fold:1")
    assert [source.split for source in reading.sources] == ["train", "test", "train"]
    assert not any("is not used" in note for note in reading.notes)
    with pytest.raises(UserError, match=r"--test-from 'site': t.csv has the columns 'file', 'label', 'fold'"):
        understood(tmp_path, test_from="site:A")
    with pytest.raises(UserError, match=r"--test-from fold:7: no image has '7' in the column 'fold'"):
        understood(tmp_path, test_from="fold:7")
    with pytest.raises(UserError, match="--test-from fold:1: --layout filenames reads no table"):
        understood(tmp_path, test_from="fold:1", layout="filenames")


def test_a_fold_is_not_proposed_as_test_where_folders_give_splits(tmp_path: Path) -> None:
    tree(tmp_path, "train/1.jpg", "train/2.jpg", "test/3.jpg")
    (tmp_path / "t.csv").write_text("file,label,fold\n1,cat,0\n2,dog,1\n3,cat,2\n")
    (note,) = (note for note in understood(tmp_path).notes if "'fold'" in note)
    assert note.endswith("--group-column fold keeps each fold in one split")  # a row may not contradict its folder


def test_a_column_that_one_table_has_need_not_be_in_others(tmp_path: Path) -> None:
    tree(tmp_path, *IMAGES)
    (tmp_path / "pets.csv").write_text("file,kind,colour\n1,cat,red\n2,dog,red\n3,cat,blue\n")
    (tmp_path / "prices.csv").write_text("kind,price\ncat,3\ndog,4\n")
    assert labels_by_key(understood(tmp_path, label_column="kind")) == LABELS
    with pytest.raises(UserError, match="--label-column 'breed': pets.csv has the columns"):
        understood(tmp_path, label_column="breed")


def test_a_table_whose_quotation_mark_is_never_closed_stops_the_job(tmp_path: Path) -> None:
    tree(tmp_path, "cat-1.jpg", "dog-2.jpg", "cat-3.jpg")
    (tmp_path / "pets.csv").write_text('file,kind\ncat-1.jpg,cat\n"dog-2.jpg,dog\ncat-3.jpg,cat\n')
    with pytest.raises(UserError, match=r"pets.csv: line 3: a quotation mark"):
        understood(tmp_path)
