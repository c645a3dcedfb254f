"""The bytes of a shard: TFRecord frames around `tf.train.Example` messages, without TensorFlow.

A frame is a little-endian uint64 length, its masked CRC-32C, the message, and the message's masked CRC-32C.
Source: tensorflow/core/lib/io/record_writer.h. Equal images give equal bytes: messages serialize deterministically.
"""

import dataclasses
import struct

import google_crc32c

from imageshards.pipeline.example import Example

HEADER_BYTES = 12
FOOTER_BYTES = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One image of the dataset, as its Example holds it; `width` and `height` are the upright original's."""

    image: bytes
    label: int
    key: str
    sha256: str
    width: int
    height: int


class DamagedRecordError(Exception):
    """Bytes that are no frame, or a frame whose checksum or message is wrong."""


def encode(record: Record) -> bytes:
    """Returns the frame of `record`."""
    example = Example()
    feature = example.features.feature
    feature["image"].bytes_list.value.append(record.image)
    feature["key"].bytes_list.value.append(record.key.encode())
    feature["label"].int64_list.value.append(record.label)
    feature["original_size/height"].int64_list.value.append(record.height)
    feature["original_size/width"].int64_list.value.append(record.width)
    feature["sha256"].bytes_list.value.append(record.sha256.encode())
    message = example.SerializeToString(deterministic=True)
    length = struct.pack("<Q", len(message))
    return b"".join((length, _masked_crc(length), message, _masked_crc(message)))


def decode(frame: bytes) -> Record:
    """Returns the record of one whole frame.

    Raises:
      DamagedRecordError: the frame's length, checksums, or message are wrong.
    """
    length, header, message, footer = frame[:8], frame[8:12], frame[12:-4], frame[-4:]
    if len(frame) < HEADER_BYTES + FOOTER_BYTES or length != struct.pack("<Q", len(message)):
        raise DamagedRecordError("the frame's length is wrong")
    if header != _masked_crc(length) or footer != _masked_crc(message):
        raise DamagedRecordError("the frame's checksum is wrong")
    try:
        feature = Example.FromString(message).features.feature
        return Record(
            image=feature["image"].bytes_list.value[0],
            label=feature["label"].int64_list.value[0],
            key=feature["key"].bytes_list.value[0].decode(),
            sha256=feature["sha256"].bytes_list.value[0].decode(),
            width=feature["original_size/width"].int64_list.value[0],
            height=feature["original_size/height"].int64_list.value[0],
        )
    except Exception as error:  # protobuf raises its own kinds, a missing feature IndexError
        raise DamagedRecordError(f"the message is no image of this format: {error}") from error


def frame_length(header: bytes) -> int:
    """Returns the length of the whole frame that starts with these 12 bytes.

    Raises:
      DamagedRecordError: the header is short or its checksum is wrong.
    """
    if len(header) != HEADER_BYTES or header[8:] != _masked_crc(header[:8]):
        raise DamagedRecordError("the header's checksum is wrong")
    return int(struct.unpack("<Q", header[:8])[0]) + HEADER_BYTES + FOOTER_BYTES


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
