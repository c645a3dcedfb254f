"""The frame sizes that the headers of AV1 and HEVC streams announce, from which their decoders allocate."""

from collections.abc import Iterator

_SEQUENCE_HEADER, _SPS = 1, 33


class _Bits:
    """Reads numbers bit by bit. Past the end there are zeros."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = bytes(data)
        self._at = 0

    def read(self, count: int) -> int:
        value = 0
        for at in range(self._at, self._at + count):
            byte = self._data[at >> 3] if at >> 3 < len(self._data) else 0
            value = value << 1 | byte >> 7 - (at & 7) & 1
        self._at += count
        return value

    def read_golomb(self) -> int:
        """Reads an Exp-Golomb number, as both codecs have them."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > 32:
                return 0
        return (1 << zeros) - 1 + self.read(zeros)


def av1_size(stream: bytes) -> tuple[int, int]:
    """Returns the largest frame that an AV1 stream's sequence headers allow; (0, 0) where there is none."""
    sizes = [_av1_sequence_size(unit) for kind, unit in _av1_units(stream) if kind == _SEQUENCE_HEADER]
    return max((w for w, _ in sizes), default=0), max((h for _, h in sizes), default=0)


def _av1_units(stream: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(stream):
        head = stream[at]
        at += 2 if head & 4 else 1
        size = len(stream) - at
        if head & 2:
            size = shift = 0
            while at < len(stream) and shift < 56:
                size |= (stream[at] & 127) << shift
                shift, at = shift + 7, at + 1
                if stream[at - 1] < 128:
                    break
        yield head >> 3 & 15, stream[at : at + size]
        at += size


def _av1_sequence_size(unit: bytes) -> tuple[int, int]:
    bits = _Bits(unit)
    bits.read(4)  # profile, still picture
    if bits.read(1):  # reduced header
        bits.read(5)
    else:
        delay = 0
        has_model = False
        if bits.read(1):  # timing
            bits.read(64)
            if bits.read(1):
                bits.read_golomb()
            has_model = bool(bits.read(1))
            if has_model:
                delay = bits.read(5) + 1
                bits.read(42)
        has_display = bits.read(1)
        for _ in range(bits.read(5) + 1):
            bits.read(12)
            if bits.read(5) > 7:
                bits.read(1)
            if has_model and bits.read(1):
                bits.read(2 * delay + 1)
            if has_display and bits.read(1):
                bits.read(4)
    wide, high = bits.read(4) + 1, bits.read(4) + 1
    return bits.read(wide) + 1, bits.read(high) + 1


def hevc_size(configuration: bytes | memoryview, stream: bytes) -> tuple[int, int]:
    """Returns the largest frame that the parameter sets of an HEVC picture allow; (0, 0) where there is none."""
    units = [*_hevc_configured(bytes(configuration)), *_hevc_units(stream, (configuration[21] & 3) + 1)]
    sizes = [_hevc_sps_size(unit) for unit in units if len(unit) > 2 and unit[0] >> 1 & 63 == _SPS]
    return max((w for w, _ in sizes), default=0), max((h for _, h in sizes), default=0)


def _hevc_configured(configuration: bytes) -> Iterator[bytes]:
    at = 23
    for _ in range(configuration[22]):
        count = int.from_bytes(configuration[at + 1 : at + 3])
        at += 3
        for _ in range(count):
            size = int.from_bytes(configuration[at : at + 2])
            yield configuration[at + 2 : at + 2 + size]
            at += 2 + size
            if at > len(configuration):
                return


def _hevc_units(stream: bytes, width: int) -> Iterator[bytes]:
    at = 0
    while at + width <= len(stream):
        size = int.from_bytes(stream[at : at + width])
        yield stream[at + width : at + width + size]
        at += width + size


def _hevc_sps_size(unit: bytes) -> tuple[int, int]:
    bits = _Bits(unit[2:1000].replace(b"\0\0\3", b"\0\0"))  # without the bytes that keep start codes out
    bits.read(4)
    layers = bits.read(3)
    bits.read(1 + 88 + 8)  # the general profile, tier and level
    present = [(bits.read(1), bits.read(1)) for _ in range(layers)]
    bits.read(2 * (8 - layers) if layers else 0)
    for profile, level in present:
        bits.read(88 * profile + 8 * level)
    bits.read_golomb()
    if bits.read_golomb() == 3:  # chroma format
        bits.read(1)
    return bits.read_golomb(), bits.read_golomb()
