"""Pictures as cameras, phones, browsers and editors write them: the right pixels, or the reason why there are none."""

import io
import json
import re
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import ExifTags, Image, ImageCms

from imageshards.pipeline.images import Normalization, Normalized, UnreadableError, normalize
from imageshards.pipeline.images.boxes import boxes, still_alone

from .conftest import Command, encoded, gradient, save
from .hostile import gif, jpeg_of_scans, png, png_part, tiff
from .reference import LOSSLESS, lanczos, psnr, reference, stored, turned

WIDE = np.array([[0.5151, 0.2919, 0.1572], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])  # Display P3, on D50
SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
GAMMA = 2.0

HEIC = Path(__file__).with_name("gradient.heic").read_bytes()  # gradient(64, 48), which nothing here can write
NOISE = Image.fromarray(np.random.default_rng(1).integers(60, 200, (90, 120, 3), np.uint8))
PICTURE = gradient(300, 200)
JPEG = encoded(PICTURE, "JPEG", quality=95)
PROGRESSIVE = encoded(PICTURE, "JPEG", quality=95, progressive=True)
RESTARTS = encoded(PICTURE, "JPEG", quality=95, restart_marker_rows=1)
AVIF = encoded(PICTURE, "AVIF", quality=90, speed=9)


def profile(colorants: npt.NDArray[np.float64], space: bytes = b"RGB ") -> bytes:
    """An ICC profile of three colorants and one gamma."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(GAMMA * 256)) + bytes(2)
    tags = {b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642) + fixed(1) + fixed(0.8249)}
    for name, column in zip((b"r", b"g", b"b"), colorants.T, strict=True):
        tags[name + b"XYZ"] = b"XYZ " + bytes(4) + b"".join(map(fixed, column))
        tags[name + b"TRC"] = curve
    tags |= {b"kTRC": curve} if space == b"GRAY" else {}
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    head = bytes(4) + b"\x02\x40\0\0" + b"mntr" + space + b"XYZ " + bytes(12) + b"acsp" + bytes(28)
    head += fixed(0.9642) + fixed(1) + fixed(0.8249)
    head = head.ljust(124, b"\0") + struct.pack(">I", len(tags))
    return struct.pack(">I", 4 + len(head) + len(table + body)) + head + table + body


def in_srgb(pixels: npt.NDArray[np.float64], colorants: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    linear = (pixels / 255) ** GAMMA @ (np.linalg.inv(SRGB) @ colorants).T
    linear = linear.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def reason(data: bytes, how: Normalization = LOSSLESS) -> tuple[str, str]:
    with pytest.raises(UnreadableError) as error:
        normalize(data, how)
    return error.value.reason, error.value.detail


def chunks_of(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def with_stream(data: bytes, stream: bytes) -> bytes:
    """The PNG with other compressed pixels, under a right checksum."""
    parts = [(kind, stream if kind == b"IDAT" else body) for kind, body in chunks_of(data)]
    return data[:8] + b"".join(png_part(kind, body) for kind, body in parts)


PNG = encoded(NOISE, "PNG")
STREAM = dict(chunks_of(PNG))[b"IDAT"]
TILE = {256: 16, 257: 16, 258: 8, 262: 1, 322: 16, 323: 16, 324: 122, 325: 256}
TILES = tiff({tag: (4, 1, value) for tag, value in TILE.items()})[:122] + bytes(256)
SCANS = [found.start() for found in re.finditer(b"\xff\xda", PROGRESSIVE)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            with_stream(PNG, STREAM[:9000] + bytes([STREAM[9000] ^ 4]) + STREAM[9001:]), id="png, a bit flipped"
        ),
        pytest.param(with_stream(PNG, STREAM[: len(STREAM) // 2]), id="png, the stream ends"),
        pytest.param(png(9, 9, b"".join(b"\x09" + bytes(27) for _ in range(9))), id="png, no such filter"),
        pytest.param(JPEG[: len(JPEG) // 2] + b"\xff\xd9", id="jpeg, an end marker in the middle"),
        pytest.param(PROGRESSIVE[: SCANS[3]], id="jpeg, cut between scans"),
        pytest.param(PROGRESSIVE[: SCANS[4]] + b"\xff\xd9", id="jpeg, an end marker between scans"),
        pytest.param(PROGRESSIVE[: SCANS[4]] + PROGRESSIVE[SCANS[5] :], id="jpeg, a scan in the middle is gone"),
        pytest.param(JPEG[: JPEG.index(b"\xff\xda") + 6], id="jpeg, cut in its first scan's header"),
        pytest.param(encoded(PICTURE.convert("CMYK"), "JPEG")[:5000] + b"\xff\xd9", id="jpeg, cmyk"),
        pytest.param(AVIF[: len(AVIF) // 2], id="avif"),
        pytest.param(HEIC[: len(HEIC) - 60], id="heic"),
        pytest.param(encoded(NOISE, "TIFF", compression="tiff_lzw")[:-9], id="tiff, its table of tags"),
        pytest.param(TILES[:-1], id="tiff, its last tile"),
    ],
)
def test_missing_pixels_are_found(data: bytes) -> None:
    assert reason(data)[0] in ("truncated", "corrupt")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(JPEG[:-2], id="no end marker"),
        pytest.param(JPEG[:-2] + b"stray\xff\xd9", id="before the end"),
        pytest.param(JPEG[:2] + b"stray" + JPEG[2:], id="before the first segment"),
        pytest.param(RESTARTS[: (at := RESTARTS.index(b"\xff\xd3"))] + b"stray" + RESTARTS[at:], id="before a restart"),
        pytest.param(PROGRESSIVE[:-2] + b"stray", id="progressive"),
    ],
)
def test_stray_bytes_in_a_jpeg_lose_nothing(data: bytes) -> None:
    assert psnr(stored(data), reference(PICTURE)) >= 35


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "GIF", "BMP", "TIFF"])
def test_what_is_there_of_a_cut_picture_can_be_kept(encoding: str) -> None:
    data = encoded(NOISE, encoding)
    kept = normalize(data[: len(data) * 3 // 4], Normalization(encoding="png", keep_truncated=True))
    whole = normalize(data, LOSSLESS)
    assert (kept.truncated, whole.truncated) == (True, False)
    half = np.s_[120:] if encoding == "BMP" else np.s_[:100]  # a BMP begins with its last row
    assert psnr(pixels(kept)[half], pixels(whole)[half]) >= 40


def pixels(result: Normalized) -> npt.NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(result.data)), np.float64)


def test_pngs_with_damage_beside_their_pixels_are_read() -> None:
    bad = bytearray(png_part(b"tEXt", b"a\0b"))
    bad[-1] ^= 1
    for part in (bytes(bad), png_part(b"sRGB", b""), png_part(b"pHYs", b"\0"), png_part(b"iCCP", b"a\0\0junk")):
        assert (stored(PNG[:33] + part + PNG[33:]) == stored(PNG)).all()


def test_transparency_of_few_or_many_bits_shows_white() -> None:
    rows = b"".join(b"\0" + bytes(16) + b"\x12\x34" * 8 for _ in range(16))
    deep = png(16, 16, rows, depth=16, color=0, before=png_part(b"tRNS", b"\x12\x34"))
    few = png(16, 16, b"".join(b"\0" + bytes(4) + b"\x99" * 4 for _ in range(16)), depth=4, color=0)
    few = few[:33] + png_part(b"tRNS", b"\0\x09") + few[33:]
    for data in (deep, few):
        assert stored(data, Normalization(size=16, encoding="png"))[8, ::15, 0].tolist() == [0, 255]


@pytest.mark.parametrize("masks", [(0xF00, 0xF0, 0xF), (0xFF00, 0xFF0000, 0xFF000000), (0x3FF, 0xFFC00, 0x3FF00000)])
def test_bmps_with_masks_of_their_own(masks: tuple[int, int, int]) -> None:
    bits = 16 if max(masks) < 1 << 16 else 32
    samples = np.zeros((200, 300), np.uint32)
    for channel, mask in zip(np.moveaxis(np.asarray(PICTURE, np.float64), -1, 0), masks, strict=True):
        low = mask & -mask
        samples |= np.rint(channel / 255 * (mask // low)).astype(np.uint32) * low
    rows = samples[::-1].astype(f"<u{bits // 8}").tobytes()
    head = struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 66, 40, 300, 200, 1, bits, 3, 0, 0, 0, 0, 0)
    data = b"BM" + head + struct.pack("<III", *masks) + rows
    assert psnr(stored(data), reference(PICTURE)) >= (30 if bits == 16 else 50)
    assert reason(data[:-200])[0] == "truncated"


def test_run_lengths_in_a_bmp_of_16_colors() -> None:
    """Runs, literals of odd length, an end of line, and a jump."""
    runs = b"\x03\x12\x00\x03\x34\x50\x00\x00" + b"\x00\x02\x01\x00\x05\x77\x00\x01"
    palette = b"".join(bytes([n * 17, n * 17, n * 17, 0]) for n in range(16))
    head = struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54 + 64, 40, 6, 2, 1, 4, 2, len(runs), 0, 0, 16, 0)
    image = normalize(b"BM" + head + palette + runs, Normalization(size=6, encoding="png", fit="stretch"))
    rows = np.asarray(Image.open(io.BytesIO(image.data)).resize((6, 2), Image.Resampling.BOX))[..., 0] // 17
    assert np.abs(rows.astype(int) - [[0, 7, 7, 7, 7, 7], [1, 2, 1, 3, 4, 5]]).max() <= 1


def test_a_gif_frame_lies_on_its_canvas_and_what_it_does_not_cover_is_white() -> None:
    data = bytearray(encoded(Image.new("L", (20, 20)), "GIF"))
    data[6:10] = struct.pack("<HH", 40, 40)
    frame = data.index(b"," + struct.pack("<HHHH", 0, 0, 20, 20))
    data[frame + 1 : frame + 5] = struct.pack("<HH", 20, 20)
    shown = stored(bytes(data), Normalization(size=40, encoding="png"))[..., 0]
    assert (shown[20:, 20:] == 0).all()
    assert (shown[:20] == 255).all()


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_an_embedded_profile_is_applied(encoding: str) -> None:
    lossless = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 97, "subsampling": 0},
        "AVIF": {"quality": 97, "speed": 9},
    }
    data = encoded(PICTURE, encoding, icc_profile=profile(WIDE), **lossless.get(encoding, {}))
    expected = in_srgb(lanczos(np.asarray(PICTURE, np.float64)[:, 50:250], 224).clip(0, 255), WIDE)
    assert psnr(stored(data), expected) >= 38
    assert psnr(stored(encoded(PICTURE, "PNG")), expected) < 30
    assert normalize(data, LOSSLESS).profile == "converted"


def test_profiles_that_change_nothing_or_cannot_be_used() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = normalize(encoded(PICTURE, "PNG"), LOSSLESS)
    for icc, use in ((None, "none"), (srgb, "srgb"), (b"junk" * 50, "ignored"), (profile(WIDE, b"GRAY"), "ignored")):
        result = normalize(encoded(PICTURE, "PNG", **({"icc_profile": icc} if icc else {})), LOSSLESS)
        assert (result.profile, result.data) == (use, plain.data)


def test_a_gray_profile_is_applied() -> None:
    gray = PICTURE.convert("L")
    data = encoded(gray, "PNG", icc_profile=profile(WIDE, b"GRAY"))
    level = lanczos(np.repeat(np.asarray(gray, np.float64)[:, 50:250, None], 3, axis=-1), 224).clip(0, 255)
    assert psnr(stored(data), in_srgb(level, SRGB)) >= 38


def test_xmp_does_not_turn_a_picture() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert normalize(encoded(PICTURE, "JPEG", xmp=xmp), LOSSLESS).width == 300


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned_by_its_own_properties(orientation: int) -> None:
    """Pillow writes the orientation that it is given in EXIF as the file's own properties."""
    data = encoded(PICTURE, "AVIF", quality=95, speed=9, exif=turned(orientation))
    assert psnr(stored(data), stored(encoded(PICTURE, "PNG", exif=turned(orientation)))) >= 33


def test_heic_is_read_with_the_extra_and_named_without(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pi_heif", reason="needs the extra [heic]")
    assert psnr(stored(HEIC), reference(gradient(64, 48))) >= 25
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    why, words = reason(HEIC)
    assert why == "unsupported-format"
    assert "imageshards[heic]" in words


def with_property(data: bytes, item: int, name: bytes, body: bytes) -> bytes:
    """The HEIF file whose item has one more property."""
    box = struct.pack(">I4s", 8 + len(body), name) + body
    number = sum(1 for _ in boxes(memoryview(data)[data.index(b"ipco") + 4 : data.index(b"ipma") - 4])) + 1
    links, at = data.index(b"ipma") - 4, data.index(b"ipma") + 12
    while data[at : at + 2] != item.to_bytes(2):
        at += 3 + data[at + 2]
    end = at + 3 + data[at + 2]
    longer = data[:links] + box + data[links : at + 2] + bytes([data[at + 2] + 1]) + data[at + 3 : end]
    longer += bytes([0x80 | number]) + data[end:]
    for kind, more in ((b"meta", len(box) + 1), (b"iprp", len(box) + 1), (b"ipco", len(box)), (b"ipma", 1)):
        start = longer.index(kind) - 4
        longer = longer[:start] + (int.from_bytes(longer[start : start + 4]) + more).to_bytes(4) + longer[start + 4 :]
    pixels = [struct.pack(">I", file.index(b"mdat") + 4) for file in (data, longer)]
    return longer.replace(*pixels, 1)


HEIF_FILES = ((HEIC, 2), (encoded(gradient(64, 48), "AVIF", quality=95, speed=9), 1))  # and their primary item


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
def test_heic_and_avif_are_turned_and_mirrored_alike(turns: int, mirror: int | None) -> None:
    """`irot` counts quarter turns against the clock; `imir` names the axis: 0 horizontal, 1 vertical."""
    pytest.importorskip("pi_heif", reason="needs the extra [heic]")
    expected = np.rot90(np.asarray(gradient(64, 48)), turns)
    expected = expected if mirror is None else np.flip(expected, mirror)
    for data, item in HEIF_FILES:
        turned_file = with_property(data, item, b"irot", bytes([turns]))
        seen = turned_file if mirror is None else with_property(turned_file, item, b"imir", bytes([mirror]))
        assert psnr(stored(seen), reference(Image.fromarray(expected))) >= 25


@pytest.mark.parametrize("turns", [0, 1])
def test_the_clean_aperture_is_cut_out_before_the_turn(turns: int) -> None:
    """`clap` has the size, and how far its centre lies from the picture's: here 40 × 20 pixels from (4, 6)."""
    pytest.importorskip("pi_heif", reason="needs the extra [heic]")
    aperture = struct.pack(">IIIIiIiI", 40, 1, 20, 1, 4 + 20 - 32, 1, 6 + 10 - 24, 1)
    expected = Image.fromarray(np.rot90(np.asarray(gradient(64, 48))[6:26, 4:44], turns))
    for data, item in HEIF_FILES:
        seen = with_property(with_property(data, item, b"clap", aperture), item, b"irot", bytes([turns]))
        assert psnr(stored(seen), reference(expected)) >= 25
        result = normalize(seen, LOSSLESS)
        assert (result.width, result.height) == expected.size


def announcing(data: bytes, width: int, height: int) -> bytes:
    """The file with another size in its `ispe` box, which its codec knows nothing of."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


@pytest.mark.parametrize("data", [AVIF, HEIC], ids=["avif", "heic"])
def test_the_size_of_a_heif_file_is_checked_in_its_box_and_in_its_codec(data: bytes) -> None:
    assert reason(announcing(data, 60_000, 60_000))[0] == "too-large"
    assert reason(announcing(data, 9, 9), Normalization(max_pixels=1000))[0] == "too-large"
    assert reason(data[:4] + b"ftypavif" + bytes(20))[0] in ("truncated", "corrupt", "unsupported-format")


def test_a_sequence_of_frames_announces_in_vain() -> None:
    frames = [gradient(64, 48, seed) for seed in range(3)]
    data = bytearray(encoded(frames[0], "AVIF", speed=9, save_all=True, append_images=frames[1:]))
    at = data.index(b"stsz") + 8
    data[at : at + 8] = struct.pack(">II", 1, 2**31)
    assert psnr(stored(bytes(data)), reference(frames[0])) >= 30
    at = data.index(b"meta")
    data[at : at + 4] = b"free"
    assert "sequence" in reason(bytes(data))[1]


def test_tables_of_tags_that_overlap_take_no_memory() -> None:
    entries = b"".join(struct.pack("<HHII", 0x9000 + n, 7, 60_000, 8) for n in range(5000))
    table = b"II*\0" + struct.pack("<IH", 8, 5000) + entries + bytes(4)
    assert normalize(encoded(PICTURE, "WEBP", exif=b"Exif\0\0" + table), LOSSLESS).width == 300
    assert normalize(PNG[:33] + png_part(b"eXIf", table) + PNG[33:], LOSSLESS).width == 120
    tags = {256: (4, 1, 9), 257: (4, 1, 9)} | {40_000 + n: (7, 60_000, 8) for n in range(500)}
    assert reason(tiff(tags) + bytes(60_000))[0] == "corrupt"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(gif(9, 9, b"!\xfe" + b"\x01a" * 1_000_001 + b"\0"), id="comments in a gif"),
        pytest.param(gif(9, 9, b"!\xfe\0" * 1_000_001), id="extensions in a gif"),
        pytest.param(b"\xff\xd8" + b"\xff\xfe\0\2" * 100_001 + JPEG[2:], id="segments in a jpeg"),
        pytest.param(PNG[:33] + png_part(b"teXt", b"") * 100_001 + PNG[33:], id="chunks in a png"),
        pytest.param(b"RIFF\xff\xff\xff\0WEBP" + (b"abcd" + bytes(4)) * 100_001, id="chunks in a webp"),
        pytest.param(jpeg_of_scans(4000, 3000, 2000), id="scans in a jpeg"),
    ],
)
def test_floods_are_too_slow(data: bytes) -> None:
    assert reason(data)[0] == "too-slow"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\x0a" + bytes(40), "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "JPEG 2000"),
        (JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"), "12 bits"),
        (JPEG.replace(b"\xff\xc0", b"\xff\xc3"), "lossless"),
        (encoded(Image.fromarray(np.zeros((9, 9), np.float32)), "TIFF"), "floating"),
        (tiff({256: (4, 1, 9), 257: (4, 1, 9), 50706: (1, 4, 1), 273: (4, 1, 8)}), "raw"),
    ],
)
def test_what_is_not_read_is_named(data: bytes, words: str) -> None:
    assert words in reason(data)[1]


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (224, 224), (3000, 40)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_padding_keeps_the_whole_picture_between_borders(size: tuple[int, int], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.new("RGB", size, "blue"), "PNG", exif=exif)
    shown = stored(data, Normalization(size=60, encoding="png", fit="pad", pad_color="#ff0000"))
    width, height = size if orientation == 1 else size[::-1]
    blue = shown[..., 2] > 128
    assert abs(int(blue.any(axis=0).sum()) - max(1, round(60 * width / max(size)))) <= 1
    assert abs(int(blue.any(axis=1).sum()) - max(1, round(60 * height / max(size)))) <= 1
    assert (shown[~blue] == [255, 0, 0]).all()


def test_stretching_keeps_the_whole_picture() -> None:
    data = encoded(PICTURE, "PNG")
    whole = lanczos(np.asarray(PICTURE, np.float64), 224)
    assert psnr(stored(data, Normalization(encoding="png", fit="stretch")), whole) >= 50


def test_metadata_counts_profiles(tmp_path: Path, records: Command) -> None:
    root = tmp_path / "pets"
    for number, icc in enumerate((profile(WIDE), b"junk" * 50, None)):
        save(gradient(40, 30, number), root / f"cat-{number}.png", **({"icc_profile": icc} if icc else {}))
    save(gradient(40, 30, 9), root / "dog-1.png")
    code, said, _ = records(root, "--fit", "pad")
    assert code == 0
    assert "1 image converted to sRGB" in said
    metadata = json.loads((tmp_path / "data/pets/1.0.0/metadata.json").read_text())
    assert metadata["color_profiles"] == {"srgb": 0, "converted": 1, "ignored": 1}
    code, _, error = records(root, "--pad-color", "tomato soup")
    assert code == 2
    assert "--pad-color" in error


def test_the_checksum_of_a_png_stream_is_held_against_its_pixels() -> None:
    raw = bytearray(zlib.compress(bytes(28 * 9), 0))
    raw[20] ^= 1  # stored, not packed: any byte is a valid one
    assert reason(with_stream(png(9, 9, b""), bytes(raw)))[0] == "corrupt"


def test_what_describes_a_heif_picture_is_hidden_from_its_decoder() -> None:
    """pi-heif ends the whole process over metadata whose type is not text."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "words"
    data = encoded(PICTURE, "AVIF", speed=9, exif=exif)
    assert b"cdsc" in data
    assert b"cdsc" not in still_alone(data)
    assert (stored(data) == stored(data.replace(b"Exif", b"E\xeaif"))).all()
