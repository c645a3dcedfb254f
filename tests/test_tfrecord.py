"""Our frames against TensorFlow's."""

from pathlib import Path

import pytest

from imageshards.pipeline import tfrecord
from imageshards.pipeline.record import Record

RECORD = Record(b"jpeg bytes", 3, "cat/é.jpg", "ab" * 32, width=640, height=480)


def test_tensorflow_writes_the_same_bytes(tmp_path: Path) -> None:
    import tensorflow as tf

    def of_bytes(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def of_int(value: int) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    feature = {
        "image": of_bytes(RECORD.image),
        "label": of_int(RECORD.label),
        "key": of_bytes(RECORD.key.encode()),
        "sha256": of_bytes(RECORD.sha256.encode()),
        "original_size/width": of_int(RECORD.width),
        "original_size/height": of_int(RECORD.height),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    with tf.io.TFRecordWriter(str(tmp_path / "shard")) as writer:
        writer.write(example.SerializeToString(deterministic=True))
    assert (tmp_path / "shard").read_bytes() == tfrecord.encode(RECORD)


def test_the_message_is_the_one_that_tfds_reads() -> None:
    from tensorflow_datasets.proto import tf_example_pb2

    message = tfrecord.encode(RECORD)[tfrecord.HEADER_BYTES : -tfrecord.FOOTER_BYTES]
    assert tf_example_pb2.Example.FromString(message).SerializeToString(deterministic=True) == message


def test_a_record_comes_back() -> None:
    frame = tfrecord.encode(RECORD)
    assert tfrecord.decode(frame) == RECORD
    assert tfrecord.frame_length(frame[: tfrecord.HEADER_BYTES]) == len(frame)


def test_every_flipped_bit_of_a_frame_is_found() -> None:
    frame = tfrecord.encode(RECORD)
    for bit in range(len(frame) * 8):
        damaged = bytearray(frame)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(tfrecord.DamagedRecordError):
            tfrecord.decode(bytes(damaged))


@pytest.mark.parametrize("frame", [b"", b"short", tfrecord.encode(RECORD)[:-1], tfrecord.encode(RECORD) + b"x"])
def test_what_is_no_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(tfrecord.DamagedRecordError):
        tfrecord.decode(frame)
