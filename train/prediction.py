"""From raw photos to names and probabilities.

A photo goes through the very normalization that made the run's records, encoding included, and is decoded as training
decodes them.
"""

import collections
import concurrent.futures
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imageshards.pipeline import storage
from imageshards.pipeline.host import available_cpus
from imageshards.pipeline.images import Normalization, UnreadableError, normalize
from imageshards.pipeline.source import UserError
from imageshards.pipeline.sources.listing import list_files
from imageshards.train.novelty import Novelty

UNLIKE = "unlike anything it was trained on"

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The most probable names of one file; or, where it cannot be read, why.

    `unlike_training` says that it is unlike every training picture, so that its names mean little; None: not known.
    """

    file: str
    names: list[tuple[str, float]]
    error: str = ""
    unlike_training: bool | None = None


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A Keras model (uint8 images → probabilities), its labels by number, and how photos become its input.

    With `novelty` it knows which pictures are unlike those of training.
    """

    model: Any
    labels: Sequence[str]
    normalization: Normalization
    novelty: Novelty | None = None

    def predict(self, files: Sequence[Path], top: int) -> Iterator[Prediction]:
        """Yields the `top` most probable names of each file, in the order of the files."""
        for path, answer in zip(files, self._answers(files), strict=True):
            if isinstance(answer, str):
                yield Prediction(str(path), [], answer)
            else:
                probabilities, unlike = answer
                yield Prediction(str(path), self.most_probable(probabilities, top), unlike_training=unlike)

    def probabilities(self, files: Sequence[Path]) -> Iterator[npt.NDArray[np.float32] | str]:
        """Yields the probabilities (labels,) of each file, or why it cannot be read, in the order of the files."""
        for answer in self._answers(files):
            yield answer if isinstance(answer, str) else answer[0]

    def ask(self, images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], list[bool | None]]:
        """Returns the probabilities (N, labels) of images (N, H, W, C), and which are unlike those of training."""
        if self.novelty is None:
            return self.model.predict_on_batch(images), [None] * len(images)
        probabilities, similarity = self._with_similarity.predict_on_batch(images)
        return probabilities, (similarity < self.novelty.threshold).tolist()

    @functools.cached_property
    def _with_similarity(self) -> Any:
        from imageshards.train.models import with_similarity

        assert self.novelty is not None
        return with_similarity(self.model, self.novelty.vectors)

    def _answers(self, files: Sequence[Path]) -> Iterator[tuple[npt.NDArray[np.float32], bool | None] | str]:
        """Yields what `ask` says of each file, or why it cannot be read."""
        for read in self._read(files):
            pixels = [image for image in read if not isinstance(image, str)]
            rows = iter(zip(*self.ask(np.stack(pixels)), strict=True) if pixels else ())
            yield from (image if isinstance(image, str) else next(rows) for image in read)

    def _read(self, files: Sequence[Path]) -> Iterator[list[npt.NDArray[np.uint8] | str]]:
        """Yields the pixels of one batch of files after the other; meanwhile threads read the next."""
        threads = concurrent.futures.ThreadPoolExecutor(available_cpus())
        batches = collections.deque[list[concurrent.futures.Future[npt.NDArray[np.uint8] | str]]]()
        try:
            for start in range(0, len(files), _BATCH):
                batch = files[start : start + _BATCH]
                batches.append([threads.submit(read_pixels, path, self.normalization) for path in batch])
                if len(batches) > 1:
                    yield [image.result() for image in batches.popleft()]
            for last in batches:
                yield [image.result() for image in last]
        finally:
            threads.shutdown(cancel_futures=True)

    def most_probable(self, probabilities: npt.NDArray[np.float32], top: int) -> list[tuple[str, float]]:
        """Returns the names of the `top` highest of a picture's probabilities, the highest first."""
        best = np.argsort(-probabilities, kind="stable")[:top].tolist()
        return [(self.labels[n], float(probabilities[n])) for n in best]


def find_images(names: Iterable[str | Path]) -> tuple[list[Path], list[Prediction]]:
    """Returns the files that are named and the images in the folders that are named, and what cannot be read there.

    Raises:
      UserError: something does not exist, or a folder has no images.
    """
    files, unreadable = list[Path](), list[Prediction]()
    for name in names:
        path = Path(name)
        if path.is_dir():
            listing = list_files(str(name))
            if not listing.images and not listing.rejected:
                raise UserError(f"{name}: no images in this folder")
            files += [path / file.path for file in listing.images]
            unreadable += [
                Prediction(str(path / each.file), [], f"{each.reason}: {each.detail}") for each in listing.rejected
            ]
        elif path.exists():
            files.append(path)
        else:
            raise UserError(f"{name}: no such file or folder")
    return files, unreadable


def read_pixels(path: Path, normalization: Normalization) -> npt.NDArray[np.uint8] | str:
    """Returns the pixels that a record of this file would give to training; or what is wrong with it."""
    import tensorflow as tf

    try:
        stored = normalize(storage.read(path), normalization).data
    except OSError as error:
        return error.strerror or str(error)
    except UnreadableError as error:
        return f"{error.reason}: {error.detail}"
    pixels: npt.NDArray[np.uint8] = tf.io.decode_image(stored, 3 if normalization.color == "rgb" else 1).numpy()
    return pixels
