"""Random access to the records of TFRecord files in place, without TensorFlow."""

import bisect
import dataclasses
import functools
import itertools
import mmap
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow_datasets.core.data_sources import base

from imageshards.pipeline.tfrecord import FOOTER_BYTES, HEADER_BYTES, DamagedRecordError, frame_length


class Frames:
    """The messages of one TFRecord file, by number. Opened at first use in each process, so it pickles as its path."""

    def __init__(self, path: str, skip: int, take: int) -> None:
        self._path, self._skip, self._take = path, skip, take

    def __len__(self) -> int:
        return self._take

    def __getitem__(self, number: int) -> bytes:
        start, end = self._edges[self._skip + number]
        return self._file[start:end]

    def __reduce__(self) -> tuple[Any, ...]:
        return Frames, (self._path, self._skip, self._take)

    @functools.cached_property
    def _file(self) -> mmap.mmap:
        with open(self._path, "rb") as file:  # noqa: PTH123
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    @functools.cached_property
    def _edges(self) -> npt.NDArray[np.int64]:
        """Where each message starts and ends: found by hopping from header to header."""
        return np.array(list(_hop(self._file)), np.int64).reshape(-1, 2)


def _hop(file: mmap.mmap) -> Iterator[tuple[int, int]]:
    place = 0
    while place < len(file):
        start = place + HEADER_BYTES
        end = place + frame_length(file[place:start]) - FOOTER_BYTES
        place = end + FOOTER_BYTES
        if place > len(file):
            raise DamagedRecordError(f"the file ends within the record that starts at byte {start - HEADER_BYTES:,}")
        yield start, end


class Records:
    """The messages of several files, by one number."""

    def __init__(self, files: list[Frames]) -> None:
        self._files = files
        self._ends = list(itertools.accumulate(map(len, files)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, number: int) -> bytes:
        number = range(len(self))[number]  # as a list does: from the end where negative, IndexError where beyond
        place = bisect.bisect_right(self._ends, number)
        return self._files[place][number - (self._ends[place - 1] if place else 0)]

    def __getitems__(self, numbers: Iterable[int]) -> list[bytes]:
        return [self[number] for number in numbers]


@dataclasses.dataclass(repr=False)
class TFRecordDataSource(base.BaseDataSource):  # type: ignore[misc]
    """What tfds.data_source returns of our datasets, for any split that TFDS understands, such as train[:80%]."""

    def __post_init__(self) -> None:
        instructions = base.file_instructions(self.dataset_info, self.split)
        self.data_source = Records(
            [Frames(os.fspath(piece.filename), piece.skip, piece.take) for piece in instructions]
        )
