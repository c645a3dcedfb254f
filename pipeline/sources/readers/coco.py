"""COCO: images, annotations and categories; an image's label is the one category that its annotations name."""

import collections
from typing import Any

from imageshards.pipeline.sources.readers.entries import text_of
from imageshards.pipeline.sources.table import NotReadableError, Table, one_of, records


def read(item: Any) -> Table | None:
    """Returns the table of a COCO document; None where it is none.

    Raises:
      NotReadableError: many images have annotations of several categories, as for object detection.
    """
    if not isinstance(item, dict) or not all(
        isinstance(item.get(name), list) for name in ("images", "annotations", "categories")
    ):
        return None
    names = {
        str(category.get("id")): text_of(category.get("name"))
        for category in item["categories"]
        if isinstance(category, dict)
    }
    labels: dict[str, set[str | None]] = collections.defaultdict(set)
    for annotation in item["annotations"]:
        if isinstance(annotation, dict):
            labels[str(annotation.get("image_id"))].add(names.get(str(annotation.get("category_id"))))
    several = [image for image, found in labels.items() if len(found) > 1]
    if len(several) * 10 > len(item["images"]):
        raise NotReadableError(
            f"{len(several)} of its {len(item['images'])} images have annotations of several categories, as for object"
            " detection; one label per image is needed"
        )
    return records(
        (
            number,
            {
                "file": text_of(image.get("file_name")),
                "label": one_of(sorted(filter(None, labels[str(image.get("id"))]))),
            },
        )
        for number, image in enumerate(item["images"], 1)
        if isinstance(image, dict)
    )
