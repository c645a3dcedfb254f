"""Normalization against an independent reference: full decode, and Lanczos-3 in floating point with NumPy."""

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, PngImagePlugin

from imageshards.pipeline.images import Normalization, UnreadableError, normalize

from . import hostile
from .conftest import encoded, gradient
from .reference import LOSSLESS, Pixels, lanczos, psnr, reference, stored, turned


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(901, 600), (600, 901), (225, 224)])
def test_every_orientation_comes_out_upright(orientation: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(gradient(*size), "JPEG", quality=95, exif=exif)
    assert psnr(stored(data), reference(Image.open(io.BytesIO(data)))) >= 50


@pytest.mark.parametrize("encoding", ["PNG", "WEBP", "TIFF"])
def test_orientation_of_other_formats(encoding: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(gradient(301, 240), encoding, exif=exif, **({"lossless": True} if encoding == "WEBP" else {}))
    result = normalize(data, LOSSLESS)
    assert (result.width, result.height) == (240, 301)
    assert psnr(stored(data), reference(Image.open(io.BytesIO(data)))) >= 50


def png_of_16_bits(pixels: npt.NDArray[np.uint16]) -> bytes:
    """Writes RGB with 16 bits a sample, which Pillow reads and does not write."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    chunks = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def kinds() -> dict[str, tuple[bytes, Pixels]]:
    """Files by kind, each with what it should look like."""
    rgb = gradient(300, 240)
    gray = rgb.convert("L")
    alpha = Image.fromarray(np.linspace(0, 255, 300 * 240).reshape(240, 300).astype(np.uint8))
    rgba, la = rgb.copy(), Image.merge("LA", (gray, alpha))
    rgba.putalpha(alpha)
    opacity = np.asarray(alpha, np.float64)[..., None] / 255
    deep = (np.asarray(gray, np.float64) * 257 + 100).clip(0, 65535).astype(np.uint16)
    deep_image = Image.fromarray(deep)
    deep_rgb = (np.asarray(rgb, np.float64) * 257 + 100).clip(0, 65535).astype(np.uint16)
    cmyk = rgb.convert("CMYK")
    palette = rgb.quantize(64)
    bilevel = gray.convert("1", dither=Image.Dither.NONE)

    def look(pixels: npt.ArrayLike) -> Pixels:
        array = np.asarray(pixels, np.float64)
        array = array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=-1)
        return lanczos(array[:, 30:270], 224)

    other = gradient(300, 240, seed=5)
    over_white = np.asarray(rgb, np.float64) * opacity + 255 * (1 - opacity)
    gray_over_white = np.asarray(gray, np.float64)[..., None] * opacity + 255 * (1 - opacity)
    return {
        "gray JPEG": (data := encoded(gray, "JPEG", quality=95), look(Image.open(io.BytesIO(data)))),
        "gray PNG": (encoded(gray, "PNG"), look(gray)),
        "palette": (encoded(palette, "PNG"), look(palette.convert("RGB"))),
        "RGBA": (encoded(rgba, "PNG"), look(over_white)),
        "LA": (encoded(la, "PNG"), look(np.repeat(gray_over_white, 3, axis=-1))),
        "CMYK TIFF": (encoded(cmyk, "TIFF"), look(cmyk.convert("RGB"))),
        "CMYK JPEG": (data := encoded(cmyk, "JPEG", quality=95), look(Image.open(io.BytesIO(data)).convert("RGB"))),
        "16-bit PNG": (encoded(deep_image, "PNG"), look(deep / 257)),
        "16-bit TIFF": (encoded(deep_image, "TIFF"), look(deep / 257)),
        "16-bit colour PNG": (png_of_16_bits(deep_rgb), look(deep_rgb / 257)),
        "bilevel": (encoded(bilevel, "PNG"), look(bilevel.convert("L"))),
        "GIF": (
            data := encoded(rgb, "GIF", save_all=True, append_images=[other]),
            look(Image.open(io.BytesIO(data)).convert("RGB")),
        ),
        "WebP": (encoded(rgb, "WEBP", lossless=True, save_all=True, append_images=[other]), look(rgb)),
        "APNG": (encoded(rgb, "PNG", save_all=True, append_images=[other]), look(rgb)),
        "MPO": (data := encoded(rgb, "MPO", save_all=True, append_images=[other]), look(Image.open(io.BytesIO(data)))),
        "BMP": (encoded(rgb, "BMP"), look(rgb)),
    }


def test_every_kind_of_pixel_follows_the_policy() -> None:
    values = {kind: psnr(stored(data), look) for kind, (data, look) in kinds().items()}
    assert min(values.values()) >= 45, values
    assert np.mean(np.minimum(list(values.values()), 60)) >= 50, values


def test_ycck_photos_are_decoded_like_their_cmyk_twin(tmp_path: Path) -> None:
    """Pillow writes CMYK only; marking the same planes as YCCK needs libjpeg's other transform, set in the header."""
    cmyk = Image.merge("CMYK", [Image.new("L", (300, 240), value) for value in (200, 90, 160, 40)])
    data = encoded(cmyk, "JPEG", quality=100)
    adobe = data.index(b"Adobe")
    ycck = data[: adobe + 11] + b"\x02" + data[adobe + 12 :]
    assert ycck != data
    with Image.open(io.BytesIO(ycck)) as image:
        assert image.mode == "CMYK"
        expected = np.asarray(image.convert("RGB"), np.float64)[120, 150]
    assert np.abs(stored(ycck)[112, 112] - expected).max() <= 1
    assert np.abs(stored(ycck)[112, 112] - stored(data)[112, 112]).max() > 5


@pytest.mark.parametrize("color", ["rgb", "gray"])
@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_stored_bytes_are_deterministic_and_of_the_promised_kind(color: str, encoding: str) -> None:
    how = Normalization(size=64, color=color, encoding=encoding)  # type: ignore[arg-type]
    data = encoded(gradient(200, 100), "JPEG", comment=b"private", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")
    result = normalize(data, how)
    assert result == normalize(data, how)
    assert b"private" not in result.data
    with Image.open(io.BytesIO(result.data)) as image:
        assert image.format == encoding.upper()
        assert image.size == (64, 64)
        assert image.mode == ("RGB" if color == "rgb" else "L")


def test_small_images_grow() -> None:
    assert stored(encoded(gradient(1, 1), "PNG")).shape == (224, 224, 3)
    assert stored(encoded(gradient(2, 900), "PNG")).shape == (224, 224, 3)


def test_look_alikes_have_close_hashes_and_others_do_not() -> None:
    picture = gradient(500, 400)
    first = normalize(encoded(picture, "PNG"), LOSSLESS).phash
    smaller = normalize(encoded(picture.resize((250, 200)), "JPEG", quality=60), LOSSLESS).phash
    other = normalize(encoded(gradient(500, 400, seed=9), "PNG"), LOSSLESS).phash
    assert (first ^ smaller).bit_count() <= 3
    assert (first ^ other).bit_count() >= 10


JPEG = encoded(gradient(300, 200), "JPEG")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"these are words", "unsupported-format"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (encoded(gradient(50, 40), "PNG")[:-400], "truncated"),
        (encoded(Image.fromarray(np.zeros((9, 9), np.float32)), "TIFF"), "unsupported-color"),
        (encoded(Image.fromarray(np.zeros((9, 9), np.int32)), "TIFF"), "unsupported-color"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "unsupported-format"),
        (encoded(gradient(20, 20), "PPM"), "unsupported-format"),
    ],
)
def test_bad_files_have_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError) as error:
        normalize(data, LOSSLESS)
    assert error.value.reason == reason
    assert error.value.detail


def test_a_picture_with_too_many_pixels_is_refused_by_its_header() -> None:
    how = Normalization(max_pixels=9_999)
    with pytest.raises(UnreadableError, match="100 × 100"):
        normalize(encoded(gradient(100, 100), "PNG"), how)


def test_a_truncated_jpeg_can_be_kept() -> None:
    cut = JPEG[: len(JPEG) * 3 // 4]
    result = normalize(cut, Normalization(encoding="png", keep_truncated=True))
    whole = normalize(JPEG, LOSSLESS)
    assert result.truncated
    assert not whole.truncated
    top = np.s_[:80]
    kept, all_ = (np.asarray(Image.open(io.BytesIO(r.data)), float)[top] for r in (result, whole))
    assert psnr(kept, all_) > 45


def test_malformed_exif_is_ignored() -> None:
    data = encoded(gradient(300, 200), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert normalize(data, LOSSLESS).width == 300


@pytest.mark.parametrize(
    ("data", "reason"), [pytest.param(data, reason, id=name) for name, data, reason in hostile.all_files()]
)
def test_hostile_files_are_read_or_have_their_reason(data: bytes, reason: str | None) -> None:
    try:
        result = normalize(data, LOSSLESS)
    except UnreadableError as error:
        assert error.reason == reason  # noqa: PT017
        assert error.detail  # noqa: PT017
    else:
        assert reason is None
        assert Image.open(io.BytesIO(result.data)).size == (224, 224)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux, which says how much memory was taken")
def test_bombs_take_no_memory_and_no_other_program() -> None:
    """In a process of its own, for memory is counted by process, and its highest mark never falls."""
    script = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from imageshards.pipeline.images import Normalization, UnreadableError, normalize\n"
        "from tests import hostile\n"
        "files = [*hostile.bombs(), *hostile.exotic()]\n"
        "forbid = lambda event, _: event in ('subprocess.Popen', 'os.system', 'os.exec') and sys.exit(event)\n"
        "sys.addaudithook(forbid)\n"
        "normalize(hostile.encoded(hostile.gradient(2000, 1500), 'PNG'), Normalization())\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])\n"
        "before = peak()\n"
        "for name, data, reason in files:\n"
        "    try:\n"
        "        normalize(data, Normalization())\n"
        "    except UnreadableError as error:\n"
        "        assert error.reason == reason, name\n"
        "print(len(files), peak() - before)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    files, kilobytes = map(int, done.stdout.split())
    assert files >= 30
    assert kilobytes < 20_000


@pytest.mark.slow
def test_mutated_files_are_read_or_have_a_reason(tmp_path: Path) -> None:
    """A short run of `make fuzz`, the same every time."""
    pytest.importorskip("atheris", reason="needs atheris, which is there for Linux on x86-64")
    command = [sys.executable, str(Path(__file__).with_name("fuzz.py")), str(tmp_path), "-runs=4000", "-seed=1"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 4000 runs" in done.stderr


@pytest.mark.shared
@pytest.mark.parametrize(("pattern", "most"), [("pexels/*/*/*.jpg", 8), ("cats_and_dogs_filtered/*/*/*1.jpg", 60)])
def test_real_photos_lose_nothing_that_shows(shared: Path, pattern: str, most: int) -> None:
    values = []
    for path in sorted(shared.glob(pattern), key=lambda path: path.name)[:most]:
        data = path.read_bytes()
        values.append(psnr(stored(data), reference(Image.open(io.BytesIO(data)))))
    assert np.mean(values) >= 50
    assert min(values) >= 45


def test_a_png_that_is_what_would_be_written_is_stored_as_it_is() -> None:
    how = Normalization(size=40, encoding="png", color="gray")
    picture = gradient(40, 40).convert("L")
    plain = encoded(picture, "PNG", compress_level=1)
    assert normalize(plain, how).data == plain
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a name that is nobody's business")
    others = {
        "text": encoded(picture, "PNG", pnginfo=text),
        "two bits": encoded(picture.quantize(4), "PNG", bits=2),
        "16 bits": png_of_16_bits(np.tile(np.arange(40, dtype=np.uint16)[:, None] * 1000, (40, 1, 3))),
        "colour": encoded(gradient(40, 40), "PNG"),
        "turned": encoded(picture, "PNG", exif=turned(6)),
        "something behind it": plain + b"<script>",
        "an end cut off": plain[:-1],
    }
    for name, data in others.items():
        stored = normalize(data, how).data
        assert stored != data, name
        assert b"business" not in stored
        with Image.open(io.BytesIO(stored)) as image:
            assert (image.size, image.mode) == ((40, 40), "L"), name
    assert normalize(plain, Normalization(size=40, encoding="png")).data != plain
    assert normalize(plain, Normalization(size=39, encoding="png", color="gray")).data != plain
    with pytest.raises(UnreadableError):
        normalize(plain[:60] + bytes([plain[60] ^ 1]) + plain[61:], how)
