"""The examples of docs/formats.md, made and read as the page says."""

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imageshards.pipeline.sources.listing import list_files
from imageshards.pipeline.sources.selection import Selection

from .understood import labels_by_key, rejects, tree, understood

PAGE = Path(__file__).parents[1] / "docs/formats.md"
LABELS = {"images/0a1b.jpg": "cat", "images/7f3c.jpg": "dog"}
PAIRS = [(file.removeprefix("images/"), label) for file, label in LABELS.items()]
NUMBERED = [(number, *pair) for number, pair in enumerate(PAIRS)]
_CATEGORIES = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]


def lines(text: str) -> str:
    """Returns a line for each image; `{n}`, `{file}` and `{label}` stand for its own."""
    return "".join(f"{text.format(n=number, file=file, label=label)}\n" for number, file, label in NUMBERED)


def objects(*items: object) -> str:
    return "".join(f"{json.dumps(item)}\n" for item in items)


# By what the page calls the form: files that are this form each.
FORMS: dict[str, dict[str, str]] = {
    "CSV, TSV, with `;` or a bar, `sep=` line, a title above, R's row names, UTF-16, Windows-1252 (said)": {
        "a.csv": "file,label\n" + lines("{file},{label}"),
        "a.tsv": "file\tlabel\n" + lines("{file}\t{label}"),
        "b.csv": "sep=;\nfile;label\n" + lines("{file};{label}"),
        "c.csv": "file|label\n" + lines("{file}|{label}"),
        "d.csv": "Pets of 2020,,\n,,\nfile,label,note\n" + lines("{file},{label},"),
        "a.txt": '"file" "label"\n' + lines('"{n}" "{file}" "{label}"'),
    },
    "list of path and label": {"a.txt": lines("images/{file} {label}")},
    "one column per class, 1 in one of them; Roboflow's `_classes.csv`": {
        "a.csv": "image,cat,dog\n0a1b,1,0\n7f3c,0,1\n",
        "images/_classes.csv": "filename, cat, dog\n0a1b.jpg, 1, 0\n7f3c.jpg, 0, 1\n",
    },
    "JSON or JSON lines, objects": {
        "a.json": json.dumps([{"file_name": file, "label": label} for file, label in PAIRS]),
        "a.jsonl": objects(*({"file_name": file, "label": label} for file, label in PAIRS)),
    },
    "JSON, label by file, or files by label": {
        "a.json": json.dumps(dict(PAIRS)),
        "b.json": json.dumps({label: [file] for file, label in PAIRS}),
    },
    "JSON, any of these by split; pandas' columns": {
        "a.json": json.dumps({"train": {"0a1b.jpg": "cat"}, "val": {"7f3c.jpg": "dog"}}),
        "b.json": json.dumps({"file": {"0": "0a1b.jpg", "1": "7f3c.jpg"}, "label": {"0": "cat", "1": "dog"}}),
    },
    "COCO (one category per image), Datumaro, CVAT (`<tag>`)": {
        "instances.json": json.dumps(
            {
                "images": [{"id": number, "file_name": file} for number, file, _ in NUMBERED],
                "annotations": [{"image_id": number, "category_id": number} for number, *_ in NUMBERED],
                "categories": _CATEGORIES,
            }
        ),
        "annotations/default.json": json.dumps(
            {
                "categories": {"label": {"labels": _CATEGORIES}},
                "items": [
                    {"id": file, "image": {"path": file}, "annotations": [{"type": "label", "label_id": number}]}
                    for number, file, _ in NUMBERED
                ],
            }
        ),
        "annotations.xml": "<annotations>"
        + lines('<image name="{file}"><tag label="{label}"/></image>')
        + "</annotations>",
    },
    "Prodigy's lines (what was not accepted has no label)": {
        "a.jsonl": objects(*({"image": file, "label": label, "answer": "accept"} for file, label in PAIRS)),
    },
    "VGG Image Annotator, JSON and CSV": {
        "a.json": json.dumps(
            {f"{file}77": {"filename": file, "file_attributes": {"class": label}} for file, label in PAIRS}
        ),
        "a.csv": "filename,file_size,file_attributes\n" + lines('{file},77,"{{""class"": ""{label}""}}"'),
    },
    "Label Studio JSON, JSON-MIN, CSV": {
        "a.json": json.dumps(
            [
                {"data": {"image": file}, "annotations": [{"result": [{"value": {"choices": [label]}}]}]}
                for file, label in PAIRS
            ]
        ),
        "b.json": json.dumps([{"image": file, "id": 1, "choice": label} for file, label in PAIRS]),
        "a.csv": "annotation_id,choice,id,image\n" + lines("{n},{label},{n},/data/upload/1/ab12cd34-{file}"),
    },
    "FiftyOne": {"labels.json": json.dumps({"classes": ["cat", "dog"], "labels": {"0a1b": 0, "7f3c": 1}})},
    "Vertex AI and AutoML, CSV and JSON lines": {
        "a.csv": lines("TRAIN,gs://bucket/{file},{label}"),
        "a.jsonl": objects(
            *(
                {"imageGcsUri": f"gs://bucket/{file}", "classificationAnnotation": {"displayName": label}}
                for file, label in PAIRS
            )
        ),
    },
    "SageMaker `.lst`, augmented manifest": {
        "a.lst": lines("{n}\t{label}\timages/{file}"),
        "a.manifest": objects(
            *(
                {"source-ref": f"s3://b/{file}", "pets": number, "pets-metadata": {"class-name": label}}
                for number, file, label in NUMBERED
            )
        ),
    },
    "Hugging Face `metadata.csv`, `.jsonl`, `.parquet`": {
        "images/metadata.csv": "file_name,label\n" + lines("{file},{label}"),
        "images/metadata.jsonl": objects(*({"file_name": file, "label": label} for file, label in PAIRS)),
    },
    "ImageNet lists, numbers with `synsets.txt`, `classes.txt` or a dataset card's `README.md`": {
        "train.txt": lines("{file} {n}")
    },
}
_EXAMPLES = [(form, name) for form, files in FORMS.items() for name in files]


@pytest.mark.parametrize(("form", "name"), _EXAMPLES)
def test_each_form_is_read(tmp_path: Path, form: str, name: str) -> None:
    path = tree(tmp_path, *LABELS) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(FORMS[form][name], "utf-8")
    if form.startswith("ImageNet"):
        (tmp_path / "synsets.txt").write_text("cat\ndog\n")
    dataset = understood(tmp_path)
    assert (labels_by_key(dataset), dataset.rejected) == (LABELS, [])


def test_parquet_is_read(tmp_path: Path) -> None:
    files, labels = zip(*PAIRS, strict=True)
    tree(tmp_path, *LABELS)
    pq.write_table(pa.table({"file_name": files, "label": labels}), tmp_path / "images/metadata.parquet")
    assert labels_by_key(understood(tmp_path)) == LABELS


def test_the_page_lists_these_forms() -> None:
    rows = re.findall(r"^\| ([^|]+?) \| .+ \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [row for row in rows if row not in ("form", "---")] == list(FORMS)


@pytest.mark.parametrize(
    ("first", "column", "labels", "splits"),
    [
        ("wood/board.jpg", 0, ["mobile", "wood"], {None}),
        ("train/wood/board.jpg", 1, ["mobile", "wood"], {"train", "validation"}),
        ("dog-1.jpg", None, ["american_bulldog", "cat", "dog"], {None}),
    ],
)
def test_trees_of_the_page(
    tmp_path: Path, first: str, column: int | None, labels: list[str], splits: set[str | None]
) -> None:
    block = next(block for block in PAGE.read_text("utf-8").split("\n\n") if f"raw/{first}" in block)
    rows = [re.split(r"\s{2,}", line.strip()) for line in block.splitlines()]
    paths = [path for row in rows for path in (row if column is None else [row[column]])]
    dataset = understood(tree(tmp_path, *(path.removeprefix("raw/") for path in paths)), split="50/50")
    assert dataset.labels == labels
    assert {source.split for source in dataset.sources} == splits


def section(name: str) -> str:
    return re.split(r"^## ", PAGE.read_text("utf-8").split(f"\n## {name}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize(("suffix", "kind"), [(".zip", "zip"), (".tar", "tar"), (".tar.gz", "gztar")])
def test_archives_of_the_page(tmp_path: Path, suffix: str, kind: str) -> None:
    assert f"`{suffix}`" in section("Archives")
    for split in ("train", "test"):  # an archive of archives, as the page says
        tree(tmp_path / split, "cat/1.jpg", "dog/2.jpg")
        shutil.make_archive(str(tmp_path / "pets" / split), kind, tmp_path / split)
    shutil.make_archive(str(tmp_path / "pets"), kind, tmp_path / "pets")
    dataset = understood(tmp_path / f"pets{suffix}", out=str(tmp_path / "data"))
    assert {(source.label, source.split) for source in dataset.sources} == {
        (label, split) for label in ("cat", "dog") for split in ("train", "test")
    }
    assert list((tmp_path / "data-unpacked").glob("*/pets/train/cat/1.jpg"))


def test_corrections_of_the_page(tmp_path: Path) -> None:
    rows = re.findall(r"^    (.+)$", section("Wrong labels"), re.MULTILINE)
    (tree(tmp_path, "cat/17.jpg", "cat/18.jpg", "cat/19.jpg", "dog/1.jpg") / "corrections.csv").write_text(
        "\n".join(rows)
    )
    dataset = understood(tmp_path)
    assert labels_by_key(dataset) == {"cat/17.jpg": "dog", "cat/19.jpg": "cat", "dog/1.jpg": "dog"}
    assert rejects(dataset) == {"cat/18.jpg": "left-out"}


@pytest.mark.parametrize(
    ("glob", "left_out"),
    [
        ("thumbs", {"cat/thumbs/a.gif", "thumbs/b.gif"}),
        ("*.gif", {"cat/thumbs/a.gif", "thumbs/b.gif", "train/c.gif"}),
        ("train/*.gif", {"train/c.gif"}),
        ("/thumbs", {"thumbs/b.gif"}),
    ],
)
def test_globs_of_the_page(tmp_path: Path, glob: str, left_out: set[str]) -> None:
    assert f"`{glob}`" in section("Parts of SRC")
    names = {"cat/thumbs/a.gif", "thumbs/b.gif", "train/c.gif", "cat/d.jpg"}
    root = tree(tmp_path, *names)
    excluded = list_files(str(root), selection=Selection(exclude=[glob])).images
    included = list_files(str(root), selection=Selection(include=[glob])).images
    assert ({file.key for file in excluded}, {file.key for file in included}) == (names - left_out, left_out)
