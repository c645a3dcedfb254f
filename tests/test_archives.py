"""SRC as an archive: read as the folder that it was made of, used again, and refused in words where it is unsafe."""

import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from imageshards.pipeline.archives import Limits, members, write_below
from imageshards.pipeline.source import UserError
from imageshards.pipeline.sources import unpacked

from .conftest import Command, encoded, gradient

Contents = Mapping[str, bytes]
PICTURES = {
    f"{label}/{n}.png": encoded(gradient(40, 30, seed=n + 10 * (label == "dog")), "PNG")
    for label in ("cat", "dog")
    for n in range(4)
}


def zipped(contents: Contents, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(contents: Contents, mode: str = "w", kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size, info.type = len(content) if kind == tarfile.REGTYPE else 0, kind
            info.linkname = "../secret" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def below(folder: str, contents: Contents) -> dict[str, bytes]:
    return {folder + name: content for name, content in contents.items()}


def with_mac_names(data: bytes) -> bytes:
    """A zip file as macOS makes it: names are UTF-8, and the bit that says so is not set."""
    names = bytearray(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            names[info.header_offset + 7] &= 0xF7
    at = 0
    while (at := names.find(b"PK\1\2", at)) >= 0:
        names[at + 9] &= 0xF7
        at += 4
    return bytes(names)


TABLE = b"file,label\n" + b"".join(f"images/{n}.png,{'cat' if n < 4 else 'dog'}\n".encode() for n in range(8))
READ = {
    "pets.zip": zipped(PICTURES),
    "pets.tar": tarred(PICTURES),
    "pets.tar.gz": tarred(PICTURES, "w:gz"),
    "pets.tgz": tarred(PICTURES, "w:gz"),
    "pets.tar.xz": tarred(PICTURES, "w:xz"),
    "PETS.ZIP": zipped(PICTURES, zipfile.ZIP_STORED),
    "bzip2.zip": zipped(PICTURES, zipfile.ZIP_BZIP2),
    "lzma.zip": zipped(PICTURES, zipfile.ZIP_LZMA),
    "wrapped.zip": zipped(below("wrapped/", PICTURES)),
    "dotted.tar": tarred(below("./", PICTURES)),
    "windows.zip": zipped({name.replace("/", "\\"): content for name, content in PICTURES.items()}),
    "litter.zip": zipped({**PICTURES, "__MACOSX/cat/._1.png": b"x", ".DS_Store": b"x", "cat/Thumbs.db": b"x"}),
    "mac.zip": with_mac_names(zipped({name.replace("cat", "chât"): content for name, content in PICTURES.items()})),
    "table.zip": zipped({"labels.csv": TABLE, **{f"images/{n}.png": data for n, data in enumerate(PICTURES.values())}}),
    "kaggle.zip": zipped({"train.zip": zipped(PICTURES), "test.zip": zipped(below("test/", PICTURES))}),
    "no extensions.zip": zipped({name.removesuffix(".png"): content for name, content in PICTURES.items()}),
}


@pytest.mark.parametrize("name", READ)
def test_an_archive_is_read_as_the_folder_that_it_was_made_of(tmp_path: Path, records: Command, name: str) -> None:
    (tmp_path / name).write_bytes(READ[name])
    code, said, error = records(tmp_path / name, "--dry-run")
    assert code == 0, error
    images = 16 if name == "kaggle.zip" else 8
    assert f"{images} images, 2 labels" in said
    assert ("chât" if name == "mac.zip" else "cat") in said
    assert f"unpacked from {tmp_path / name}" in said
    splits = "below the splits test, train" in said
    assert splits == (name == "kaggle.zip")


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def encrypted(data: bytes) -> bytes:
    marked = bytearray(data)
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = 0
        while (at := marked.find(signature, at)) >= 0:
            marked[at + flags] |= 1
            at += 4
    return bytes(marked)


def zip_of_link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("cat/1.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def doubled() -> bytes:
    return zipped({"cat/1.png": b"one", "cat/2.png": b"other"}).replace(b"cat/2.png", b"cat/1.png")


def tar_with_header_of(kind: bytes, size: int) -> bytes:
    """A tar file that begins with a header, of a long name for one, that claims `size` bytes."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(2048)


STORED = zipped(PICTURES, zipfile.ZIP_STORED)
TAR = tarred(PICTURES)
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "words.zip": (lambda: b"words", "no zip file, or a damaged one"),
    "empty.zip": (lambda: b"", "no zip file, or a damaged one"),
    "nothing.zip": (lambda: zipped({}), "there is no file in it"),
    "short.zip": (lambda: STORED[:-400], "copy or download the archive again"),
    "flipped.zip": (lambda: flipped(STORED, 120), "; copy or download the archive again"),
    "deflated.zip": (lambda: flipped(zipped(PICTURES), 60), "0.png: cannot be unpacked"),
    "locked.zip": (lambda: encrypted(STORED), "cat/0.png is encrypted; unpack it with its password"),
    "link.zip": (zip_of_link, "cat/1.png: the archive holds a link"),
    "twice.zip": (doubled, "cat/1.png: cannot be unpacked: two files have this name"),
    "nested.zip": (lambda: zipped({"cat": b"x", "cat/1.png": b"x"}), "cannot be unpacked"),
    "out.zip": (lambda: zipped({"../out.png": b"x"}), "../out.png: this name leads out of its folder"),
    "root.zip": (lambda: zipped({"/tmp/out.png": b"x"}), "leads out of its folder"),
    "drive.zip": (lambda: zipped({"C:\\out.png": b"x"}), "leads out of its folder"),
    "long.zip": (lambda: zipped({"a" * 300 + ".png": b"x"}), "File name too long"),
    "inner.zip": (lambda: zipped({"train.zip": b"words"}), "train.zip: no zip file, or a damaged one"),
    "words.tar": (lambda: b"words", "no tar file, or a damaged one"),
    "empty.tar": (lambda: b"", "no tar file, or a damaged one"),
    "short.tar": (lambda: TAR[: len(TAR) // 3], "damaged"),
    "header.tar": (lambda: flipped(TAR, TAR.index(b"dog/0.png") + 4), "no tar file, or a damaged one: damaged after"),
    "zeros.tar": (lambda: TAR[:1024] + bytes(1024) + TAR[1024:], "cannot be unpacked|damaged"),
    "link.tar": (lambda: tarred({"cat/1.png": b""}, kind=tarfile.SYMTYPE), "cat/1.png: the archive holds a link"),
    "hard.tar": (lambda: tarred({"cat/1.png": b""}, kind=tarfile.LNKTYPE), "cat/1.png: the archive holds a link"),
    "pipe.tar": (lambda: tarred({"cat/1.png": b""}, kind=tarfile.FIFOTYPE), "cat/1.png is neither a file nor a folder"),
    "device.tar": (lambda: tarred({"cat/1.png": b""}, kind=tarfile.CHRTYPE), "is neither a file nor a folder"),
    "out.tar": (lambda: tarred({"cat/../../out.png": b"x"}), "leads out of its folder"),
    "root.tar": (lambda: tarred({"/tmp/out.png": b"x"}), "leads out of its folder"),
    "header bomb.tar": (lambda: tar_with_header_of(tarfile.GNUTYPE_LONGNAME, 1 << 32), "a header of"),
    "backwards.tar": (lambda: tar_with_header_of(tarfile.REGTYPE, -1024), "damaged|neither a file|cannot be unpacked"),
    "words.tar.gz": (lambda: b"words", "no tar.gz file, or a damaged one"),
    "short.tar.gz": (lambda: gzip.compress(TAR)[:-300], "cannot be unpacked|damaged"),
    "sum.tar.gz": (lambda: flipped(gzip.compress(TAR), -6), "CRC check failed"),
    "zip.tar": (lambda: STORED, "no tar file, or a damaged one"),
    "tar.zip": (lambda: TAR, "no zip file, or a damaged one"),
    "pets.rar": (lambda: b"Rar!", "neither a folder nor a .zip, .tar or .tar.gz of one; unpack it"),
    "pets.7z": (lambda: b"7z", "neither a folder nor a .zip, .tar or .tar.gz of one; unpack it"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_odd_archive_is_refused_with_a_sentence_and_leaves_nothing(
    tmp_path: Path, records: Command, name: str
) -> None:
    make, words = REFUSED[name]
    (tmp_path / name).write_bytes(make())
    code, _, error = records(tmp_path / name)
    assert code == 2, error
    assert len(error.splitlines()) == 1
    assert name in error
    assert any(part in error for part in words.split("|")), error
    assert not list(tmp_path.rglob("*.png"))
    assert not list(tmp_path.rglob("*incomplete*"))


def test_control_characters_in_a_name_are_a_line_and_not_a_colour(tmp_path: Path, records: Command) -> None:
    (tmp_path / "pets.tar").write_bytes(tarred({**PICTURES, "cat/\x1b[31m.png": PICTURES["cat/1.png"]}))
    code, said, _ = records(tmp_path / "pets.tar", "--dry-run")
    assert code == 0
    assert "1 bad-name, such as cat/\\x1b[31m.png" in said
    assert "\x1b" not in said


@pytest.mark.slow
def test_an_unpacked_archive_is_used_again_until_it_changes(tmp_path: Path, records: Command) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(READ["pets.zip"])
    assert records(archive)[0] == 0
    (folder,) = (tmp_path / "data-unpacked").glob("*/pets")
    first = folder.stat().st_ino
    assert "is up to date" in records(archive)[1]
    assert folder.stat().st_ino == first
    shutil.rmtree(folder.parent)
    assert "is up to date" in records(archive)[1]  # its files are as old as the archive
    archive.write_bytes(zipped({**PICTURES, "emu/1.png": encoded(gradient(40, 30, seed=99), "PNG")}))
    os.utime(archive, ns=(0, 0))
    assert "9 found = 9 written" in records(archive)[1]
    assert len(list((tmp_path / "data-unpacked").glob("*/pets"))) == 1


def test_a_bomb_is_stopped_by_what_it_has_written(
    tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacked, "_SMALL", 1 << 20)
    zeros = bytes(4 << 20)
    bombs = {
        "pets.zip": zipped({"cat/1.png": zeros}),
        "pets.tar.gz": tarred({"cat/1.png": zeros}, "w:gz"),
        "both.zip": zipped({f"{n}.zip": zipped({"cat/1.png": zeros[: 3 << 20]}) for n in range(9)}),
    }
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
        code, _, error = records(tmp_path / name)
        assert code == 2
        assert "MB, unpacked; if it is sound, unpack it yourself and give the folder" in error
    assert not list(tmp_path.rglob("*.png"))


def test_files_are_counted_against_the_limits(tmp_path: Path) -> None:
    stream = io.BytesIO(tarred({f"{n}.png": b"" for n in range(5)}))
    left = write_below(tmp_path / "in", members(stream, "a.tar"), Limits(5, 4000))
    assert left == Limits(0, 4000 - 5 * 512)
    stream.seek(0)
    with pytest.raises(UserError, match="more than 4 files"):
        write_below(tmp_path / "less", members(stream, "a.tar"), Limits(4, 4000))
    stream.seek(0)
    with pytest.raises(UserError, match="more than 0 MB"):
        write_below(tmp_path / "least", members(stream, "a.tar"), Limits(9, 2000))
