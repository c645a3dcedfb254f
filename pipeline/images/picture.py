"""A decoded picture, still as its file stores it: not turned, in its own colours."""

import dataclasses
import io

from PIL import Image, ImageFile

from imageshards.pipeline.images.errors import UnreadableError


@dataclasses.dataclass(slots=True)
class Picture:
    """Pixels, and what the file says of them.

    `image` has the mode that the decoder gives. It may be smaller than `size`, the stored width and height, by the
    factor `scale`. `orientation` is EXIF's, 1 to 8. `profile` is the embedded ICC profile: None where there is none,
    empty where there is one that cannot be read. `as_it_is` says that the file holds its pixels and nothing besides.
    """

    image: Image.Image
    size: tuple[int, int]
    orientation: int = 1
    profile: bytes | None = None
    truncated: bool = False
    scale: int = 1
    as_it_is: bool = False


def load(image: ImageFile.ImageFile, *, keep_truncated: bool) -> bool:
    """Decodes with Pillow; returns whether pixels were missing, which then are black.

    Raises:
      UnreadableError: truncated, unless `keep_truncated`.
      Exception: whatever the decoder raises over other damage.
    """
    try:
        image.load()
    except OSError as error:
        if "truncated" not in str(error):
            raise
        if not keep_truncated:
            raise UnreadableError("truncated", str(error)) from error
        image.tile = []  # nothing is left to decode: what came before the end is there
        image.load()
        return True
    return False


def stream(*parts: bytes | bytearray | memoryview) -> io.BytesIO:
    """Returns the parts as one file, as Pillow's decoders want it."""
    return io.BytesIO(parts[0] if len(parts) == 1 else b"".join(parts))
