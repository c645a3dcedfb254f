"""Each form of table that other tools write, as small files that this test makes: what they say of each image."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imageshards.pipeline.sources.readers import read_table
from imageshards.pipeline.sources.table import NotReadableError, Role, Table

COCO = {
    "images": [{"id": 7, "file_name": "1.jpg"}, {"id": 8, "file_name": "2.jpg"}],
    "annotations": [{"image_id": 7, "category_id": 3}, {"image_id": 8, "category_id": 5}],
    "categories": [{"id": 3, "name": "cat"}, {"id": 5, "name": "dog"}],
}
DATUMARO = {
    "categories": {"label": {"labels": [{"name": "cat"}, {"name": "dog"}]}},
    "items": [
        {"id": "1", "image": {"path": "1.jpg"}, "annotations": [{"type": "label", "label_id": 0}]},
        {"id": "2.jpg", "annotations": [{"type": "bbox"}, {"type": "label", "label_id": 1}]},
    ],
}
LABEL_STUDIO = [
    {
        "data": {"image": f"{number}.jpg"},
        "annotations": [
            {"created_at": "2", "result": [{"value": {"choices": [label]}}]},
            {"created_at": "3", "was_cancelled": True, "result": [{"value": {"choices": ["none"]}}]},
            {"created_at": "1", "result": [{"value": {"choices": ["older"]}}]},
        ],
    }
    for number, label in ((1, "cat"), (2, "dog"))
]
VERTEX = [
    {"imageGcsUri": f"{number}.jpg", "classificationAnnotation": {"displayName": label}}
    for number, label in ((1, "cat"), (2, "dog"))
]
LABELLING = [
    {
        "imagePayload": {"imageUri": f"{number}.jpg"},
        "annotations": [
            {"annotationValue": {"imageClassificationAnnotation": {"annotationSpec": {"displayName": label}}}}
        ],
    }
    for number, label in ((1, "cat"), (2, "dog"))
]
AUGMENTED = [
    {"source-ref": f"{number}.jpg", "pets": number, "pets-metadata": {"class-name": label}}
    for number, label in ((1, "cat"), (2, "dog"))
]
ULTRALYTICS = [
    {"type": "dataset", "task": "classify", "class_names": {"0": "cat", "1": "dog"}},
    {"type": "image", "file": "1.jpg", "annotations": {"classification": [0]}},
    {"type": "image", "file": "2.jpg", "annotations": {"classification": [1]}},
]
SEVERAL_CLASSES = [
    {"source-ref": f"{number}.jpg", "pets": [number], "pets-metadata": {"class-map": {str(number): label}}}
    for number, label in ((1, "cat"), (2, "dog"))
]
PRODIGY = [
    {"image": "1.jpg", "label": "cat", "answer": "accept"},
    {"image": "2.jpg", "options": [{"id": "cat"}, {"id": "dog"}], "accept": ["dog"], "answer": "accept"},
]
CVAT = """<annotations><image name="1.jpg"><tag label="cat"/></image>
<image name="2.jpg"><tag label="dog"/><box/></image>
</annotations>"""


def lines(items: list[object]) -> str:
    return "\n".join(json.dumps(item) for item in items)


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def column(table: Table | None, role: Role) -> list[str | None]:
    assert table is not None
    place = table.roles[role] if role in table.roles else table.header.index(role)
    values: list[str | None] = table.columns[place].to_pylist()
    return values


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps(COCO)),
        ("a.json", json.dumps(DATUMARO)),
        ("a.json", json.dumps(LABEL_STUDIO)),
        ("a.json", json.dumps({"1.jpg": "cat", "2.jpg": "dog"})),
        ("a.json", json.dumps({"cat": ["1.jpg"], "dog": ["2.jpg"]})),
        ("a.json", json.dumps({"classes": ["cat", "dog"], "labels": {"1.jpg": 0, "2.jpg": 1}})),
        ("a.json", json.dumps({"labels": {"1.jpg": "cat", "2.jpg": {"label": "dog", "confidence": 0.9}}})),
        ("a.json", lines(VERTEX)),
        ("a.jsonl", lines(VERTEX)),
        ("a.jsonl", lines(LABELLING)),
        ("a.manifest", lines(AUGMENTED)),
        ("a.ndjson", lines(ULTRALYTICS)),
        ("a.manifest", lines(SEVERAL_CLASSES)),
        ("a.jsonl", lines(PRODIGY)),
        ("a.lst", "0\tcat\t1.jpg\n1\tdog\t2.jpg\n"),
        ("a.xml", CVAT),
    ],
)
def test_forms_that_say_what_their_values_mean(tmp_path: Path, name: str, content: str) -> None:
    table = read_table(write(tmp_path, name, content))
    assert column(table, "label") == ["cat", "dog"]
    files = column(table, "file")
    assert files[0] in ("1.jpg", "1")
    assert files[1] == "2.jpg"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "1.jpg,cat\n2.jpg,dog\n"),
        ("a.csv", '"1.jpg", "cat"\r\n"2.jpg", "dog"\r\n'),
        ("a.csv", "sep=;\n1.jpg;cat\n2.jpg;dog\n"),
        ("a.csv", "1.jpg;cat;0,5\n2.jpg;dog;1,5\n"),
        ("a.tsv", "1.jpg\tcat\n2.jpg\tdog\n"),
        ("a.csv", "1.jpg|cat\r2.jpg|dog\r"),
        ("a.txt", "1.jpg cat\n\n# a remark\n2.jpg dog\n"),
        ("a.csv", "\ufeff1.jpg,cat\n2.jpg,dog\n"),
        ("a.csv", "# made in May\n1.jpg,cat\n2.jpg,dog\n"),
        ("a.csv", "Pets of 2020,,\n,,\n1.jpg,cat,x\n2.jpg,dog,x\n"),
        ("a.csv", "'1.jpg','cat'\n'2.jpg','dog'\n"),
        ("a.txt", '"1.jpg" "cat"\n"2.jpg" "dog"\n'),
        ("a.txt", "2\n1.jpg cat\n2.jpg dog\n"),
        ("a.json", '[["1.jpg", "cat"], ["2.jpg", "dog"]]'),
        ("a.json", '{"file": ["1.jpg", "2.jpg"], "label": ["cat", "dog"]}'),
        ("a.json", '{"file": {"0": "1.jpg", "1": "2.jpg"}, "label": {"0": "cat", "1": "dog"}}'),
        ("a.json", '{"columns": ["file", "label"], "data": [["1.jpg", "cat"], ["2.jpg", "dog"]]}'),
        ("a.csv", "1.jpg,cat\n2.jpg,dog\n".encode("utf-16")),
    ],
)
def test_texts_as_people_write_them(tmp_path: Path, name: str, content: str | bytes) -> None:
    table = read_table(write(tmp_path, name, content))
    assert table is not None
    assert [values.to_pylist() for values in table.columns[:2]] == [["1.jpg", "2.jpg"], ["cat", "dog"]]


def test_a_list_of_names_with_blanks(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.txt", 'my cat.jpg cat\n2.jpg dog\n"my photo".jpg cat\n'))
    assert table is not None
    assert [values.to_pylist() for values in table.columns] == [
        ["my cat.jpg", "2.jpg", "my photo.jpg"],
        ["cat", "dog", "cat"],
    ]


def test_objects_in_objects_become_columns(tmp_path: Path) -> None:
    items = [{"image": {"file_name": "1.jpg"}, "label": ["cat"]}, {"image": {"file_name": "2.jpg"}, "label": None}]
    table = read_table(write(tmp_path, "a.json", json.dumps({"version": 2, "items": items})))
    assert table is not None
    assert table.header == ["image.file_name", "label"]
    assert [values.to_pylist() for values in table.columns] == [["1.jpg", "2.jpg"], ["cat", None]]


def test_several_tags_are_joined(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.jsonl", '{"file": "1.jpg", "tags": ["red", "car"]}\n'))
    assert table is not None
    assert table.columns[1].to_pylist() == ["red|car"]


def test_row_names_of_r_have_no_header(tmp_path: Path) -> None:
    for name, text in (
        ("a.csv", '"file","kind"\n"1","1.jpg","cat"\n"2","2.jpg","dog"\n'),
        ("a.txt", '"file" "kind"\n"1" "1.jpg" "cat"\n"2" "2.jpg" "dog"\n'),
    ):
        table = read_table(write(tmp_path, name, text))
        assert table is not None
        assert [values[0].as_py() for values in table.columns] == ["", "file", "kind"]
        assert table.columns[2].to_pylist() == ["kind", "cat", "dog"]


def test_cells_that_hold_objects_become_columns(tmp_path: Path) -> None:
    text = 'image,choice\n1.jpg,"{""choices"": [""cat"", ""dog""]}"\n2.jpg,\n'
    table = read_table(write(tmp_path, "a.csv", text))
    assert table is not None
    assert [values.to_pylist() for values in table.columns] == [
        ["image", "1.jpg", "2.jpg"],
        ["choice.choices", "cat|dog", None],
    ]


@pytest.mark.parametrize(
    "parts",
    [
        {"train": [{"file": "1.jpg", "label": "cat"}], "val": [{"file": "2.jpg", "label": "dog"}]},
        {"train": {"cat": ["1.jpg"]}, "val": {"dog": ["2.jpg"]}},
        {"train": {"1.jpg": "cat"}, "val": {"2.jpg": "dog"}},
        {"train": [["1.jpg", "cat"]], "val": [["2.jpg", "dog"]]},
        {"train": ["1.jpg"], "val": ["2.jpg"]},
    ],
)
def test_splits_that_are_keys(tmp_path: Path, parts: object) -> None:
    table = read_table(write(tmp_path, "a.json", json.dumps(parts)))
    assert column(table, "split") == ["train", "val"]
    assert table is not None
    assert table.columns[0].to_pylist() == ["1.jpg", "2.jpg"]


def test_an_object_an_image(tmp_path: Path) -> None:
    item = {"1.jpg77": {"filename": "1.jpg", "regions": [], "file_attributes": {"class": "cat"}}}
    table = read_table(write(tmp_path, "a.json", json.dumps(item)))
    assert table is not None
    assert table.header == ["key", "filename", "file_attributes.class"]


def test_annotators_who_disagree_have_a_row_each(tmp_path: Path) -> None:
    choices = [
        {"completed_by": by, "created_at": at, "result": [{"value": {"choices": [choice]}}]}
        for by, at, choice in ((1, "2", "cat"), (1, "1", "cow"), (2, "1", "dog"), (3, "1", "cat"))
    ]
    tasks = [{"data": {"image": "1.jpg"}, "annotations": choices}]
    table = read_table(write(tmp_path, "a.json", json.dumps(tasks)))
    assert column(table, "label") == ["cat", "dog"]


def test_what_an_annotator_did_not_accept_has_no_label(tmp_path: Path) -> None:
    rejected = {"image": "3.jpg", "label": "cat", "answer": "reject"}
    assert column(read_table(write(tmp_path, "a.jsonl", lines([*PRODIGY, rejected]))), "label") == ["cat", "dog", None]


def test_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"file_name": ["1.jpg"], "label": pa.array([3])}), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table is not None
    assert [values.to_pylist() for values in table.columns] == [["1.jpg"], ["3"]]


def test_parquet_whose_text_is_not_utf8_is_said(tmp_path: Path) -> None:
    names = pa.array([b"1.jpg", b"\xad.jpg"]).view(pa.string())
    pq.write_table(pa.table({"file_name": names, "label": ["cat", "dog"]}), tmp_path / "a.parquet")
    with pytest.raises(NotReadableError, match="Invalid UTF8"):
        read_table(tmp_path / "a.parquet")


def test_a_damaged_row_costs_that_row(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "a.csv", 'file,label\n1.jpg,"ca"t\n2.jpg,dog,,x\n3.jpg,cow,\n'))
    assert table is not None
    assert table.columns[0].to_pylist() == ["file", "3.jpg"]
    assert [line for line, _ in table.damaged] == [2, 3]
    assert table.lines.to_pylist() == [1, 4]


def test_a_legacy_encoding_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "1.jpg,café\n".encode("cp1252"))
    table = read_table(path)
    assert table is not None
    assert table.columns[1].to_pylist() == ["café"]
    assert "cp1252" in table.notes[0]
    told = read_table(path, "latin-1")
    assert told is not None
    assert not told.notes


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", 'file,label\n1.jpg,"cat\n2.jpg,dog\n', "line 2: a quotation mark"),
        ("a.csv", "1.jpg,c\x81t\n".encode("latin-1"), "line 1: its text is not UTF-8"),
        ("a.json", '{"1.jpg": ', "Expecting value"),
        ("a.json", "[" * 100_000, "nested too deeply"),
        ("a.jsonl", "not json\n", "line 1"),
        ("a.xml", '<!DOCTYPE a [<!ENTITY x "y">]><annotations>&x;</annotations>', "not XML"),
        ("a.xlsx", b"PK", "save the sheet as CSV"),
        ("a.csv.gz", b"\x1f\x8b", "compressed; unpack it"),
        ("a.yaml", "1.jpg: cat\n2.jpg: dog\n", "names pictures, and is not a table"),
        ("a.parquet", b"PAR1", "not a Parquet file"),
        (
            "a.json",
            json.dumps({**COCO, "annotations": [*COCO["annotations"], {"image_id": 7, "category_id": 5}]}),
            "several categories",
        ),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, name: str, content: str | bytes, words: str) -> None:
    with pytest.raises(NotReadableError, match=words):
        read_table(write(tmp_path, name, content))


def test_an_unknown_encoding_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotReadableError, match="no such encoding"):
        read_table(write(tmp_path, "a.csv", "1.jpg,cat\n"), "utf-99")
