"""Feeds mutated image files to `normalize`: a picture or `UnreadableError`, in bounded time and memory.

    python tests/fuzz.py FOLDER [libFuzzer's options, such as -runs=20000 -seed=1 or -max_total_time=3600]

FOLDER keeps the corpus, which starts with a file of each kind. Coverage is measured in Pillow's Python and in ours. A
crash, a hang, too much memory or another exception ends the run with libFuzzer's report and leaves the input in FOLDER.
"""

import io
import os
import resource
import sys
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["PIL", "imageshards"]):
    from PIL import Image

    from imageshards.pipeline.images import Normalization, UnreadableError, normalize

_SECONDS = 20
_MEGABYTES = 600  # more than at the start
_LARGEST = 40_000  # bytes

HOW = (
    Normalization(size=16, max_pixels=2_000_000),
    Normalization(size=16, max_pixels=2_000_000, color="gray", encoding="png", keep_truncated=True),
)


def one_input(data: bytes) -> None:
    for how in HOW:
        try:
            result = normalize(data, how)
        except UnreadableError as error:
            assert error.reason  # noqa: PT017
            assert error.detail  # noqa: PT017
            continue
        with Image.open(io.BytesIO(result.data)) as image:
            assert image.size == (16, 16)
            assert image.format == how.encoding.upper()


def seeds() -> dict[str, bytes]:
    y, x = np.mgrid[0:48, 0:64]
    rgb = Image.fromarray(np.stack([x * 4, y * 5, (x + y) * 2], axis=-1).astype(np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray((x * 4).astype(np.uint8)))
    deep = Image.fromarray((x * 1000).astype(np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "words"
    more = [rgb.rotate(180)]
    files = {
        "baseline.jpg": (rgb, "JPEG", {"exif": exif, "icc_profile": bytes(200), "comment": b"words"}),
        "progressive.jpg": (rgb, "JPEG", {"progressive": True, "restart_marker_rows": 1}),
        "cmyk.jpg": (rgb.convert("CMYK"), "JPEG", {}),
        "two.jpg": (rgb, "MPO", {"save_all": True, "append_images": more}),
        "rgb.png": (rgb, "PNG", {"exif": exif, "dpi": (72, 72)}),
        "palette.png": (rgb.quantize(16), "PNG", {"transparency": 3}),
        "deep.png": (deep, "PNG", {}),
        "animated.png": (rgba, "PNG", {"save_all": True, "append_images": more}),
        "lossy.webp": (rgba, "WEBP", {"exif": exif, "xmp": b"<x/>"}),
        "lossless.webp": (rgb, "WEBP", {"lossless": True, "save_all": True, "append_images": more}),
        "animated.gif": (rgb, "GIF", {"save_all": True, "append_images": more, "comment": b"words"}),
        "rgb.bmp": (rgb, "BMP", {}),
        "bilevel.bmp": (rgb.convert("1"), "BMP", {}),
        "raw.tif": (rgb, "TIFF", {"exif": exif}),
        "deep.tif": (deep, "TIFF", {}),
        "group4.tif": (rgb.convert("1"), "TIFF", {"compression": "group4"}),
        "lzw.tif": (rgba, "TIFF", {"compression": "tiff_lzw"}),
        "deflate.tif": (rgb, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "jpeg.tif": (rgb, "TIFF", {"compression": "jpeg"}),
        "packbits.tif": (rgb.quantize(16), "TIFF", {"compression": "packbits"}),
        "rgb.avif": (rgb, "AVIF", {"speed": 10, "exif": exif}),
        "animated.avif": (rgb, "AVIF", {"speed": 10, "save_all": True, "append_images": more}),
    }
    made = {"gradient.heic": Path(__file__).with_name("gradient.heic").read_bytes()}
    for name, (image, encoding, options) in files.items():
        buffer = io.BytesIO()
        image.save(buffer, encoding, **options)
        made[name] = buffer.getvalue()
    return made


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds().items():
        (folder / name).write_bytes(data)
    # libFuzzer looks at a mark that a process takes over from the one that started it
    inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    limits = [f"-timeout={_SECONDS}", f"-rss_limit_mb={inherited + _MEGABYTES}", f"-max_len={_LARGEST}"]
    arguments = [sys.argv[0], *limits, f"-artifact_prefix={folder}{os.sep}found-", *sys.argv[2:], str(folder)]
    atheris.Setup(arguments, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
