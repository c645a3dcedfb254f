"""Labels from folders and from tables together, where both say the same of an image, or each says what it knows.

train/cat/1.jpg  train/dog/2.jpg  val/images/3.jpg  val/annotations.txt: 3.jpg dog
"""

import dataclasses
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline.source import Reason
from imageshards.pipeline.sources.files import Files, Sources
from imageshards.pipeline.sources.understood import EXAMPLES, Read

_TEXT = pa.large_string()


@dataclasses.dataclass(frozen=True)
class Overlap:
    """How what tables say of images fits what their folders say."""

    whole: bool
    """Whether the tables say something of every image."""

    contradiction: str
    """The first image of which they say something else, in words; "" where there is none."""

    stranger: str
    """The first label in the tables that no folder has; "" where there is none."""


def overlap(images: Files, tables: Read, label_of: Callable[[str], str | None]) -> Overlap:
    """Compares tables with folders; `label_of` says which label the images in a folder below SRC have."""
    rows = tables.sources.rows
    by_folder = _labels_by_folder(rows["key"], label_of)
    said = rows["label"].cast(_TEXT)
    contradicted = pc.fill_null(pc.not_equal(said, by_folder), False)
    place = pc.index(contradicted, pa.scalar(True)).as_py()
    key = rows["key"][place].as_py() if place >= 0 else ""
    known = set(_labels_by_folder(images.rows["key"], label_of).unique().to_pylist())
    unnamed = sum(reject.reason == Reason.NO_ROW for reject in tables.rejected)
    return Overlap(
        whole=not unnamed,
        contradiction=f"{key} is {said[place].as_py()!r} and lies in {key.rpartition('/')[0]}" if key else "",
        stranger=next((label for label in tables.sources.distinct("label") if label not in known), ""),
    )


def combine(folders: Read, tables: Read) -> Read:
    """Returns what tables say of images, and what folders say of the images that no table names."""
    settled = pc.is_in(folders.sources.rows["key"], _keys(tables))
    refused = [reject for reject in tables.rejected if reject.reason != Reason.NO_ROW]
    decided = {*tables.sources.keys(), *(reject.file for reject in refused)}
    left = [reject for reject in folders.rejected if reject.file not in decided]
    sources = Sources.joined([tables.sources, folders.sources.where(pc.invert(settled))])
    examples = [*tables.examples, *folders.examples][:EXAMPLES]
    return Read(sources, [*refused, *left], [*folders.notes, *tables.notes], examples)


def _keys(tables: Read) -> pa.Array:
    """Returns the keys of the images of which tables say something, if only that they cannot be used."""
    refused = [reject.file for reject in tables.rejected if reject.reason != Reason.NO_ROW]
    return pa.concat_arrays([tables.sources.rows["key"], pa.array(refused, _TEXT)])


def _labels_by_folder(keys: pa.Array, label_of: Callable[[str], str | None]) -> pa.Array:
    folders = pc.replace_substring_regex(keys, r"/?[^/]*$", "").dictionary_encode()
    return pa.array([label_of(folder) for folder in folders.dictionary.to_pylist()], _TEXT).take(folders.indices)
