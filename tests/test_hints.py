"""Every option that a message proposes with its value is followed: it leads to a dataset, or to another question."""

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imageshards.pipeline.errors import UserError
from imageshards.pipeline.options import Options
from imageshards.pipeline.sources.layouts import read

from .understood import tree

_VERBS = "carves|follows|keeps|leaves|makes|names|takes"  # "--label-column names another column" is no hint
_HINT = re.compile(rf"--[a-z-]+ (?!(?:{_VERBS})\b)(?:'[^']*'|[\w./:*-]*\w)")
_STEPS = 4  # questions after one another

TREES = {
    "numbers": ("1.jpg", "2.jpg", "3.jpg", "4.jpg"),
    "names": ("cat-1.jpg", "cat-2.jpg", "dog-3.jpg", "dog-4.jpg"),
    "images": ("images/1.jpg", "images/2.jpg", "images/3.jpg", "images/4.jpg"),
    "folders": ("cat/1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.jpg"),
    "one folder": ("cat/1.jpg", "cat/2.jpg", "cat/3.jpg", "cat/4.jpg"),
    "nested": ("pets/cat/1.jpg", "pets/dog/2.jpg", "farm/cow/3.jpg", "farm/pig/4.jpg"),
    "one below": ("pets/cat/1.jpg", "pets/dog/2.jpg", "farm/cow/3.jpg", "farm/cow/4.jpg"),
    "depths": ("cat/1.jpg", "cat/a/2.jpg", "dog/3.jpg", "dog/b/4.jpg"),
    "loose": ("1.jpg", "cat/2.jpg", "dog/3.jpg", "dog/4.jpg"),
    "splits": ("train/1.jpg", "train/2.jpg", "test/3.jpg", "test/4.jpg"),
    "splits of labels": ("train/cat/1.jpg", "train/dog/2.jpg", "val/cat/3.jpg", "val/dog/4.jpg"),
    "splits of depths": ("train/cat/1.jpg", "train/cat/a/2.jpg", "test/dog/3.jpg", "test/dog/4.jpg"),
    "a split without labels": ("train/cat/1.jpg", "train/dog/2.jpg", "test/3.jpg", "test/4.jpg"),
    "an odd folder": ("train/cat/1.jpg", "train/dog/2.jpg", "my extra/cat/3.jpg", "my extra/dog/4.jpg"),
}
ROWS = {
    "no table": "",
    "labels": "file,label\n1,cat\n2,cat\n3,dog\n4,dog\n",
    "other labels": "file,label\n1,x\n2,x\n3,y\n4,y\n",
    "two columns": "file,kind,my color\n1,cat,red\n2,cat,green\n3,dog,red\n4,dog,green\n",
    "measures": "file,age\n1,20.5\n2,3.25\n3,7.75\n4,8.5\n",
    "tags": "file,tags\n1,a|b\n2,a|c\n3,b|c\n4,a|b\n",
    "pairs": "left,right,same\n1,2,0\n2,3,1\n3,4,0\n4,1,1\n",
    "folds": "file,label,fold\n1,cat,0\n2,cat,1\n3,dog,0\n4,dog,1\n",
    "a split": "file,label,split\n1,cat,train\n2,cat,val\n3,dog,train\n4,dog,val\n",
}


def hints(words: str) -> list[tuple[str, ...]]:
    """Returns the options in a text that have a value; those with only a blank between them belong together."""
    found: list[tuple[str, ...]] = []
    end = -1
    for match in _HINT.finditer(words):
        option = tuple(shlex.split(match[0]))
        found = [*found[:-1], found[-1] + option] if match.start() == end + 1 and found else [*found, option]
        end = match.end()
    return list(dict.fromkeys(found))


def understood(root: Path, arguments: tuple[str, ...]) -> tuple[str, str]:
    """Returns the question that is asked, or "" and what else is said."""
    told: dict[str, Any] = {"exclude": [], "manifest": []}
    for flag, value in zip(arguments[::2], arguments[1::2], strict=True):
        name = flag.removeprefix("--").replace("-", "_")
        told[name] = [*told[name], value] if name in told else int(value) if name == "label_depth" else value
    try:
        options = Options(src=str(root), **told)
        return "", "\n".join(note for dataset in read(options) for note in dataset.notes)
    except UserError as error:
        return str(error), ""


def wrong(root: Path, arguments: tuple[str, ...], asked: tuple[str, ...] = ()) -> Iterator[str]:
    """Yields the hints that lead nowhere."""
    question, notes = understood(root, arguments)
    told = zip(arguments[::2], arguments[1::2], strict=True)
    if question in asked or any(f"{flag} {value}{mark}" in question for flag, value in told for mark in (":", ", but")):
        yield f"{' '.join(arguments)} is refused: {question}"
    elif len(asked) < _STEPS:
        for hint in hints(f"{question}\n{notes}"):
            if question or not {*hint} & {*arguments}:  # a note may stay when it is followed
                yield from wrong(root, (*arguments, *hint), (*asked, question or notes))


@pytest.mark.parametrize("rows", ROWS)
def test_each_hint_leads_on(tmp_path: Path, rows: str) -> None:
    for number, files in enumerate(TREES.values()):
        root = tmp_path / f"src{number}"
        tree(root, *files)
        if ROWS[rows]:
            (root / "labels.csv").write_text(ROWS[rows])
        found = list(itertools.islice(wrong(root, ()), 3))
        assert not found, found
