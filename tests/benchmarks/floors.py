"""What the job's work costs without the job: the floors of `make bench`.

python tests/benchmarks/floors.py pool|quickest|naive|loop SRC OUT

`quickest` wants cykooz-resizer, which is in the environment of the peers alone.
"""

import functools
import io
import multiprocessing
import struct
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
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


def quickly(data: bytes) -> bytes:
    """The quickest decode, resize and encode that wheels offer; its pixels differ a little from Pillow's."""
    import cykooz_resizer as cykooz
    import simplejpeg

    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    scale = next((scale for scale in (8, 4, 2) if min(width, height) >= 2 * SIZE * scale), 1)
    pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=-(-height // scale), min_width=-(-width // scale))
    height, width, _ = pixels.shape
    side = min(width, height)
    options = cykooz.ResizeOptions(
        cykooz.ResizeAlg.convolution(cykooz.FilterType.lanczos3),
        crop_box=cykooz.CropBox((width - side) / 2, (height - side) / 2, side, side),
    )
    whole = cykooz.ImageData(width, height, cykooz.PixelType.U8x3, pixels.tobytes())
    small = cykooz.ImageData(SIZE, SIZE, cykooz.PixelType.U8x3)
    cykooz.Resizer().resize(whole, small, options)
    resized = np.frombuffer(small.get_buffer(), np.uint8).reshape(SIZE, SIZE, 3)
    return simplejpeg.encode_jpeg(resized, 90, "RGB", "444")


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


_WAYS = {"pool": normalized, "quickest": quickly, "naive": naively}


def _task(kind: str, path: str) -> None:
    _write(_files[0], _WAYS[kind](Path(path).read_bytes()))


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
        task = functools.partial(_task, kind)
        for _ in pool.imap_unordered(task, paths, chunksize=16 if len(paths) > 1000 else 1):
            pass


if __name__ == "__main__":
    main()
