"""CVAT for images: annotations.xml, in which a <tag> is an image's label."""

from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from imageshards.pipeline.sources.table import NotReadableError, Role, Table, one_of, records


def read(text: str) -> Table | None:
    """Returns the table of an export; None where the document is none.

    Raises:
      NotReadableError: the text is not XML, or one that would expand without bound.
    """
    try:
        root = defusedxml.ElementTree.fromstring(text)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise NotReadableError(f"it is not XML that can be read: {error}") from error
    images = list(root.iter("image"))
    if root.tag != "annotations" or not images:
        return None
    return records((number, _row(image)) for number, image in enumerate(images, 1))


def _row(image: Element) -> dict[Role, str | None]:
    tags = [tag.get("label", "") for tag in image.iter("tag")]
    split = image.get("subset")
    return {"file": image.get("name"), "label": one_of(tags), "split": None if split == "default" else split}
