"""The features of a record are declared once: what is written of them is what TFDS would write."""

import dataclasses

import pytest
import tensorflow_datasets as tfds
from google.protobuf import json_format

from imageshards.datasets.builder import features_dict
from imageshards.pipeline import facts
from imageshards.pipeline.facts import FactRow, Known, SourceRow
from imageshards.pipeline.images import Normalization
from imageshards.pipeline.record import FEATURES, SUPERVISED, Record, features_json


@pytest.mark.parametrize(
    "normalization", [Normalization(size=224, encoding="jpeg"), Normalization(size=28, color="gray", encoding="png")]
)
def test_features_json_is_what_tfds_would_write(normalization: Normalization) -> None:
    features = features_dict(normalization)
    features["label"].names = ["cat", "dog", "horse"]
    assert features_json(normalization, 3) == json_format.MessageToDict(features.to_proto()) | {
        "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict"
    }


def test_tfds_reads_it_again() -> None:
    normalization = Normalization(size=32)
    read = tfds.features.FeaturesDict.from_json(features_json(normalization, 2))
    assert read["image"].shape == (32, 32, 3)
    assert set(SUPERVISED) < set(read)


def test_every_field_of_a_record_is_a_feature() -> None:
    assert {feature.field for feature in FEATURES} == {field.name for field in dataclasses.fields(Record)}
    assert [feature.name for feature in FEATURES] == sorted({feature.name for feature in FEATURES})


def test_rows_have_the_columns_of_their_schemas() -> None:
    own = [*SourceRow._fields[:-1], *Known._fields]
    assert own == facts.SOURCES.names
    assert list(FactRow._fields) == facts.FACTS.names
