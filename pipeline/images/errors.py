"""Why an image is not read, and the limits that are checked before anything is expanded."""

import contextlib
from collections.abc import Iterator


class UnreadableError(Exception):
    """An image that cannot be normalized: `reason` is a stable code, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = " ".join(detail.split())


@contextlib.contextmanager
def decoder_errors() -> Iterator[None]:
    """Turns whatever a decoder raises over hostile bytes into `UnreadableError`, with the decoder's own words."""
    try:
        yield
    except UnreadableError:
        raise
    except Exception as error:
        words = str(error) or type(error).__name__
        raise UnreadableError("truncated" if "truncated" in words.lower() else "corrupt", words) from error


def check_pixels(width: int, height: int, most: int) -> None:
    """Refuses a picture that decodes to more than `most` pixels.

    Raises:
      UnreadableError: too-large; or corrupt, where the picture has no pixels at all.
    """
    if width < 1 or height < 1:
        raise UnreadableError("corrupt", f"its header says {width} × {height} pixels")
    if width * height > most:
        raise UnreadableError(
            "too-large", f"{width} × {height} pixels are more than {most:,}; --max-pixels sets the limit"
        )
