"""The bytes of a shard: TFRecord frames around `tf.train.Example` messages, without TensorFlow.

A frame is a little-endian uint64 length, its masked CRC-32C, the message, and the message's masked CRC-32C.
Source: tensorflow/core/lib/io/record_writer.h. Equal images give equal bytes: messages serialize deterministically.
"""

import struct
from typing import Any

import google_crc32c

from imageshards.pipeline.example import Example
from imageshards.pipeline.record import FEATURES, Kind, Record

HEADER_BYTES = 12
FOOTER_BYTES = 4


class DamagedRecordError(Exception):
    """Bytes that are not a frame, or a frame whose checksum or message is wrong."""


def encode(record: Record) -> bytes:
    """Returns the frame of `record`."""
    example = Example()
    for feature in FEATURES:
        value, slot = getattr(record, feature.field), example.features.feature[feature.name]
        if isinstance(value, int):
            slot.int64_list.value.append(value)
        else:
            slot.bytes_list.value.append(value.encode() if isinstance(value, str) else value)
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
        slots = Example.FromString(message).features.feature
        return Record(**{feature.field: _value(slots[feature.name], feature.kind) for feature in FEATURES})
    except Exception as error:  # protobuf raises its own kinds, a missing feature IndexError
        raise DamagedRecordError(f"the message is not an image of this format: {error}") from error


def _value(slot: Any, kind: Kind) -> Any:
    """Returns what one Feature message holds."""
    if kind in (Kind.LABEL, Kind.INTEGER):
        return slot.int64_list.value[0]
    data = slot.bytes_list.value[0]
    return data.decode() if kind is Kind.TEXT else data


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
