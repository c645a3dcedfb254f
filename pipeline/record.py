"""What a record holds: its features, declared once.

The bytes of a record (tfrecord.py), features.json and the FeaturesDict of the TFDS builder follow from the fields of
`Record`. A new feature is a field here, and a value where chunks.py makes a record.
"""

import dataclasses
import enum
from typing import Any

from imageshards.pipeline.images import Normalization

FORMAT = 1
"""Goes up with any change of what a record or another published file holds: nothing older is then used again."""

SUPERVISED = ("image", "label")
"""The features that tfds.load(…, as_supervised=True) gives."""

_TFDS = "tensorflow_datasets.core.features"


class Kind(enum.Enum):
    """What a feature is, for TFDS."""

    IMAGE = "image"  # encoded, JPEG or PNG
    LABEL = "label"  # the number of a class
    TEXT = "text"
    INTEGER = "integer"  # int32, a scalar


def _feature(kind: Kind, name: str = "") -> Any:
    """Returns the field of a feature; its `name` in the Example is the field's unless given, with "/" where nested."""
    return dataclasses.field(metadata={"kind": kind, "name": name})


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One image of the dataset."""

    image: bytes = _feature(Kind.IMAGE)
    label: int = _feature(Kind.LABEL)
    key: str = _feature(Kind.TEXT)
    """The file below SRC, unique in the dataset."""
    sha256: str = _feature(Kind.TEXT)
    """Of the file's bytes, in hexadecimal."""
    width: int = _feature(Kind.INTEGER, "original_size/width")
    """Pixels of the upright original."""
    height: int = _feature(Kind.INTEGER, "original_size/height")


@dataclasses.dataclass(frozen=True)
class Feature:
    """A field of Record and what it is in an Example."""

    field: str
    name: str
    kind: Kind


FEATURES = sorted(
    (
        Feature(field.name, field.metadata["name"] or field.name, field.metadata["kind"])
        for field in dataclasses.fields(Record)
    ),
    key=lambda feature: feature.name,
)


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """Returns {"a": {"b": value}} for {"a/b": value}."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        *outer, last = name.split("/")
        inside = result
        for part in outer:
            inside = inside.setdefault(part, {})
        inside[last] = value
    return result


def features_json(normalization: Normalization, labels: int) -> dict[str, Any]:
    """Returns features.json, as tfds.core.DatasetInfo would write it, for images of so many `labels`.

    TFDS's own FeaturesDict would cost a job 0.36 s of start-up.
    """
    dimensions = [str(size) for size in image_shape(normalization)]
    image = {"dtype": "uint8", "encodingFormat": normalization.encoding, "shape": {"dimensions": dimensions}}
    kinds = {
        Kind.IMAGE: _described("image_feature.Image", image=image),
        Kind.LABEL: _described("class_label_feature.ClassLabel", classLabel={"numClasses": str(labels)}),
        Kind.TEXT: _described("text_feature.Text", text={}),
        Kind.INTEGER: _described("tensor_feature.Tensor", tensor={"dtype": "int32", "encoding": "none", "shape": {}}),
    }
    return _dictionary(nested({feature.name: kinds[feature.kind] for feature in FEATURES}))


def image_shape(normalization: Normalization) -> tuple[int, int, int]:
    """Returns height, width and channels of a stored image."""
    return normalization.size, normalization.size, 3 if normalization.color == "rgb" else 1


def _described(name: str, **content: Any) -> dict[str, Any]:
    return {"pythonClassName": f"{_TFDS}.{name}", **content}


def _dictionary(nodes: dict[str, Any]) -> dict[str, Any]:
    features = {name: node if "pythonClassName" in node else _dictionary(node) for name, node in nodes.items()}
    return _described("features_dict.FeaturesDict", featuresDict={"features": features})
