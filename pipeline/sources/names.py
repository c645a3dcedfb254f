"""What names of folders and files say of themselves: a split, or that they only hold pictures or tables."""

import re

from imageshards.pipeline.source import SPLIT_NAMES

_SUFFIX = re.compile(r"[-_ ](set|images?|imgs?|pics|pictures|photos|data)\Z", re.IGNORECASE)
_TABLE = re.compile(
    r"[-_ ](labels?|list|annotations?|metadata|meta|split|images?|data|files?|info|gt|ground_?truth|set|classes)\Z",
    re.IGNORECASE,
)
_YEAR = re.compile(r"[-_ ]?(19|20)\d\d\Z")  # train2017
_PART = re.compile(r"(?:^|[-_ ])(?:images?|imgs?)(?:[-_ ]|$)|^(?:part|batch)[-_ ]?\d+$")  # images_part_1, part2
_ENDS_WITH_SPLIT = re.compile(rf"(.+)[-_ .]({'|'.join(SPLIT_NAMES)})")
_UNLABELLED = frozenset(("_unlabeled", "_unlabelled", "unlabeled", "unlabelled", "no_label", "nolabel"))
_CONTAINERS = frozenset(
    [
        *("image", "images", "img", "imgs", "jpg", "jpgs", "jpeg", "jpegs", "jpegimages", "png", "pngs", "pic", "pics"),
        *("picture", "pictures", "photo", "photos", "raw", "data", "dataset", "datasets", "annotation", "annotations"),
        *("label", "labels", "files", "upload", "uploads", "media", "default", "export", "content", "input"),
        *("bilder", "fotos", "imagenes", "imágenes", "immagini", "obrazy"),
    ]
)


def split_named(name: str) -> str | None:
    """Returns the split that a folder is named after, such as train, Val or test_set."""
    low = name.lower()
    return SPLIT_NAMES.get(low) or SPLIT_NAMES.get(_SUFFIX.sub("", low))


def split_of_table(stem: str) -> str | None:
    """Returns the split that a table's name without extension says: val_labels, Train_list, test."""
    low, before = _YEAR.sub("", stem.lower()), ""
    while low != before:
        if low in SPLIT_NAMES:
            return SPLIT_NAMES[low]
        before, low = low, _TABLE.sub("", low)
    for first, last in ((low.partition(mark)[2], low.partition(mark)[0]) for mark in "_- "):
        if last in ("labels", "annotations", "metadata", "list", "instances", "data") and first in SPLIT_NAMES:
            return SPLIT_NAMES[first]
    return None


def split_in_name(stem: str) -> tuple[str, str] | None:
    """Returns the parts of a table's name that ends in a split, such as birds_train; None where it does not."""
    low, before = _YEAR.sub("", stem.lower()), ""
    while low != before:
        before, low = low, _TABLE.sub("", low)
    found = _ENDS_WITH_SPLIT.fullmatch(low)
    return (found[1], SPLIT_NAMES[found[2]]) if found else None


def is_unlabelled(name: str) -> bool:
    """Says whether a folder is named so that its pictures have no label, as FiftyOne and Datumaro name it."""
    return name.lower() in _UNLABELLED


def folder_split(key: str) -> str | None:
    """Returns the split of a file by its folders: train/1.jpg, images/train/1.jpg, train/images/1.jpg."""
    for folder in key.split("/")[:-1]:
        if (split := split_named(folder)) is not None:
            return split
        if not is_container(folder):
            return None
    return None


def is_container(name: str) -> bool:
    """Says whether a folder is named after what it holds, as images/ is, and not after a class of pictures."""
    low = name.lower()
    return low in _CONTAINERS or (split_named(name) is None and _PART.search(low) is not None)
