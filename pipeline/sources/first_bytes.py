"""Which files without an extension of a picture are one: known by their first bytes.

Downloaders write `1.jpg_large`, `1.jpg!d` and `1.jpg?w=300`, and stores that name files by their content, no extension.
"""

import concurrent.futures
import contextlib
from pathlib import Path

import pyarrow as pa

from imageshards.pipeline import storage
from imageshards.pipeline.originals import patiently
from imageshards.pipeline.source import File
from imageshards.pipeline.sources.files import Files

# Extensions that say what a file is, so that it need not be opened: a data set may have a million of its annotations.
OTHER_SUFFIXES = frozenset(
    [
        *(".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".xml", ".yaml", ".yml", ".lst", ".parquet", ".arrow"),
        *(".xls", ".xlsx", ".ods", ".doc", ".docx", ".pdf", ".md", ".rst", ".rtf", ".html", ".htm", ".css", ".js"),
        *(".py", ".ipynb", ".r", ".m", ".sh", ".bat", ".toml", ".ini", ".cfg", ".conf", ".log", ".bib", ".tex", ".lnk"),
        *(".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".npy", ".npz", ".mat", ".pkl", ".h5"),
        *(".hdf5", ".pt", ".pth", ".onnx", ".tflite", ".tfrecord", ".tfrecords", ".idx", ".db", ".sqlite", ".lmdb"),
        *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".wav", ".mp3", ".flac", ".dcm", ".nii", ".url", ".part", ".sha256"),
    ]
)
_ENOUGH = 32  # bytes
_ASKED_AT_ONCE = 64  # for the sake of buckets
_SIGNATURES = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"8BPS"),
    *(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x0cjP  \r\n\x87\n"),
)
_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_picture(start: bytes) -> bool:
    """Says whether a file that begins so is a picture, if perhaps of a kind that is not read."""
    if start.startswith(b"RIFF"):
        return start[8:12] == b"WEBP"
    if start.startswith(b"BM"):  # a word may begin so: the four bytes that are kept free tell
        return start[6:10] == b"\0\0\0\0" and len(start) > 18
    if start[4:8] == b"ftyp":
        return start[8:12] in _BRANDS
    return start.startswith(_SIGNATURES)


def recognize(root: Path, files: Files) -> pa.BooleanArray:
    """Returns which of the files below `root` are pictures."""

    def asked(file: File) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return file.size > 0 and is_picture(patiently(storage.first_bytes, root / file.path, _ENOUGH))
        return False

    with concurrent.futures.ThreadPoolExecutor(_ASKED_AT_ONCE) as threads:
        return pa.array(list(threads.map(asked, files)), pa.bool_())
