"""What the job's work costs without the job: the floors of `make bench`.

python tests/benchmarks/floors.py pool|naive|loop SRC OUT
"""

import io
import multiprocessing
import struct
import sys
from pathlib import Path
from typing import BinaryIO

from PIL import Image

SIZE = 224


def normalized(data: bytes) -> bytes:
    """The quick way: a reduced decode, and one antialiased resize of the centre square."""
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        reduced = image.draft(None, (2 * SIZE, 2 * SIZE))
        scale = width / reduced[1][2] if reduced else 1
        box = (left / scale, top / scale, (left + side) / scale, (top + side) / scale)
        return _jpeg(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.LANCZOS, box=box))


def naively(data: bytes) -> bytes:
    """The way of most scripts: decode all, crop, resize."""
    with Image.open(io.BytesIO(data)) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.convert("RGB").crop((left, top, left + side, top + side))
        return _jpeg(square.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()


def _png(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        image.save(buffer, "PNG")
    return buffer.getvalue()


_files: list[BinaryIO] = []  # of this process


def _open(out: Path) -> None:
    _files.append((out / multiprocessing.current_process().name).open("wb"))


def _pool_task(path: str) -> None:
    _write(_files[0], normalized(Path(path).read_bytes()))


def _naive_task(path: str) -> None:
    _write(_files[0], naively(Path(path).read_bytes()))


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(struct.pack("<Q", len(data)) + data)
    file.flush()


def main() -> None:
    kind, src, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    out.mkdir(parents=True)
    paths = [str(path) for path in sorted(src.glob("*/*"))]
    if kind == "loop":
        with (out / "records").open("wb") as file:
            for path in paths:
                data = _png(Path(path).read_bytes())
                file.write(struct.pack("<Q", len(data)) + data)
        return
    with multiprocessing.Pool(2, _open, (out,)) as pool:
        task = _pool_task if kind == "pool" else _naive_task
        for _ in pool.imap_unordered(task, paths, chunksize=16 if len(paths) > 1000 else 1):
            pass


if __name__ == "__main__":
    main()
