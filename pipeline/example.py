"""The message `tf.train.Example`, described here: it costs nothing, where importing it from TFDS takes 0.4 s.

Source: tensorflow/core/example/example.proto and feature.proto.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto


def _field(number: int, name: str, kind: int, of: str = "", repeated: bool = False) -> Any:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    field = _Field(name=name, number=number, type=kind, label=label)
    if of:
        field.type_name = f".imageshards.{of}"
    return field


def _message(name: str, *fields: Any, **more: Any) -> Any:
    return descriptor_pb2.DescriptorProto(name=name, field=fields, **more)


def _feature() -> Any:
    kinds = ("BytesList", "FloatList", "Int64List")
    names = ("bytes_list", "float_list", "int64_list")
    fields = [
        _field(number, name, _Field.TYPE_MESSAGE, kind)
        for number, (name, kind) in enumerate(zip(names, kinds, strict=True), 1)
    ]
    for field in fields:
        field.oneof_index = 0
    return _message("Feature", *fields, oneof_decl=[descriptor_pb2.OneofDescriptorProto(name="kind")])


def _features() -> Any:
    entry = _message(
        "FeatureEntry",
        _field(1, "key", _Field.TYPE_STRING),
        _field(2, "value", _Field.TYPE_MESSAGE, "Feature"),
        options=descriptor_pb2.MessageOptions(map_entry=True),
    )
    field = _field(1, "feature", _Field.TYPE_MESSAGE, "Features.FeatureEntry", repeated=True)
    return _message("Features", field, nested_type=[entry])


def _example_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="imageshards/example.proto",
        package="imageshards",
        syntax="proto3",
        message_type=[
            _message("BytesList", _field(1, "value", _Field.TYPE_BYTES, repeated=True)),
            _message("FloatList", _field(1, "value", _Field.TYPE_FLOAT, repeated=True)),
            _message("Int64List", _field(1, "value", _Field.TYPE_INT64, repeated=True)),
            _feature(),
            _features(),
            _message("Example", _field(1, "features", _Field.TYPE_MESSAGE, "Features")),
        ],
    )
    pool = descriptor_pool.DescriptorPool()  # of its own: TensorFlow describes the same message in the common one
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("imageshards.Example"))


Example = _example_class()
"""The class of the message; equal content serializes to the bytes that TensorFlow's own class gives."""
