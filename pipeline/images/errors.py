"""Why an image is not read, and the limits that are checked before anything is expanded."""

import contextlib
from collections.abc import Iterator

_SLOW_BYTES = 60_000_000  # at a seventh of a second a megabyte


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


def check_coded_bytes(size: int) -> None:
    """Refuses pixels that are coded in so many bytes that codecs like VP8 and AV1 need more than some ten seconds.

    Raises:
      UnreadableError: too-slow.
    """
    if size > _SLOW_BYTES:
        words = f"{size:,} bytes of pixels are more than {_SLOW_BYTES:,}, and slow to decode; save it with less quality"
        raise UnreadableError("too-slow", words)


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
