"""What is wrong with a file is the file's own fault, and what is wrong with a machine or a store is not."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imageshards.pipeline import chunks, originals, storage
from imageshards.pipeline.images import UnreadableError
from imageshards.pipeline.originals import Originals
from imageshards.pipeline.source import JobError, Reason

from .conftest import Command, draw_tree
from .published import metadata, rejected

BYTES = b"an image, say"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Takes the pauses between two tries down, and waits for none of them."""
    import tenacity

    waited: list[float] = []
    monkeypatch.setattr(tenacity.nap.time, "sleep", waited.append)
    return waited


def failing(monkeypatch: pytest.MonkeyPatch, code: int, times: int, part: str = "") -> None:
    """Lets the first `times` calls of os.read fail, of those files whose path holds `part`."""
    read, left = os.read, [times]

    def fails(file: int, size: int) -> bytes:
        if left[0] and part in str(Path(f"/proc/self/fd/{file}").readlink()):
            left[0] -= 1
            raise OSError(code, os.strerror(code))
        return read(file, size)

    monkeypatch.setattr(originals.os, "read", fails)


def read(root: Path) -> bytes:
    stat = (root / "cat/a.png").stat()
    return read_as_listed(root, stat)


def read_as_listed(root: Path, stat: os.stat_result) -> bytes:
    return Originals(root).read("cat/a.png", stat.st_size, stat.st_mtime_ns)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "raw/cat").mkdir(parents=True)
    (tmp_path / "raw/cat/a.png").write_bytes(BYTES)
    return (tmp_path / "raw").resolve()


@pytest.mark.parametrize(
    "code", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENOMEM, errno.EMFILE]
)
def test_a_machine_is_given_time_to_recover(
    root: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float], code: int
) -> None:
    failing(monkeypatch, code, times=4)
    assert read(root) == BYTES
    assert pauses == sorted(pauses)
    assert 0 < sum(pauses) < 10
    failing(monkeypatch, code, times=5)
    with pytest.raises(JobError, match=f"a.png: {os.strerror(code)}; it was tried 5 times"):
        read(root)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.ELOOP])
def test_a_file_that_may_not_be_read_is_rejected_at_once(
    root: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float], code: int
) -> None:
    failing(monkeypatch, code, times=1)
    with pytest.raises(UnreadableError) as raised:
        read(root)
    assert raised.value.reason == Reason.UNREADABLE
    assert pauses == []


def test_a_machine_that_fails_does_not_hide_a_picture_without_an_extension(
    tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = draw_tree(tmp_path / "pets", ["cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"])
    (src / "dog/4.png").rename(src / "dog/4")
    opened, left = os.open, [4]

    def fails(path: Any, *rest: Any, **more: Any) -> int:
        if left[0] and str(path).endswith("dog/4"):
            left[0] -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", fails)
    assert records(src)[0] == 0
    assert metadata(tmp_path / "data/pets/1.0.0")["images"] == 4
    left[0] = -1
    code, _, said = records(src, "--version", "1.0.1")
    assert (code, said) == (1, f"imageshards-records: Input/output error: {src}/dog/4\n")


def vanish(path: Path) -> None:
    path.unlink()


def grow(path: Path) -> None:
    path.write_bytes(BYTES * 2)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_a_link_outside(path: Path) -> None:
    stat = path.stat()
    secret = path.parents[2] / "secret.png"
    path.rename(secret)
    path.symlink_to(secret)
    assert path.stat() == stat


def let_its_folder_become_a_link_outside(path: Path) -> None:
    outside = path.parents[2] / "outside"
    path.parent.rename(outside)
    path.parent.symlink_to(outside)


@pytest.mark.parametrize(
    "change",
    [vanish, grow, become_a_folder, become_a_pipe, become_a_link_outside, let_its_folder_become_a_link_outside],
)
def test_what_is_no_longer_the_file_that_was_listed_is_rejected(root: Path, change: Callable[[Path], None]) -> None:
    stat = (root / "cat/a.png").stat()
    change(root / "cat/a.png")
    with pytest.raises(UnreadableError) as raised:
        read_as_listed(root, stat)
    assert raised.value.reason == Reason.CHANGED


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        ([FileNotFoundError("gone")] * 4, BYTES),
        ([FileNotFoundError("gone")] * 5, Reason.CHANGED),
        ([BYTES[:3]] * 4, BYTES),
        ([BYTES[:3]] * 5, Reason.CHANGED),
        ([PermissionError("Access Denied")], "look at your credentials"),
        ([OSError(errno.EBUSY, "Please reduce your request rate.")], "Please reduce your request rate"),
        ([TimeoutError()], "TimeoutError"),
    ],
)
def test_a_store_is_asked_again_where_its_library_does_not(
    monkeypatch: pytest.MonkeyPatch, faults: list[Any], outcome: Any
) -> None:
    answers = [*faults, BYTES]

    class Store:
        def cat_file(self, *_: Any, **__: Any) -> bytes:
            answer = answers.pop(0)
            if isinstance(answer, bytes):
                return answer
            raise answer

    monkeypatch.setattr(storage, "_system", lambda _: Store())
    store = Originals(storage.place("s3://bucket/raw"))
    if outcome == BYTES:
        assert store.read("a.png", len(BYTES), 0) == BYTES
    elif isinstance(outcome, Reason):
        with pytest.raises(UnreadableError) as raised:
            store.read("a.png", len(BYTES), 0)
        assert raised.value.reason == outcome
    else:
        with pytest.raises(JobError, match=f"s3://bucket/raw/a.png: .*{outcome}"):
            store.read("a.png", len(BYTES), 0)


def test_a_disk_that_fails_rejects_no_image_and_the_next_run_has_them_all(
    tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = draw_tree(tmp_path / "pets", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(20)])
    with monkeypatch.context() as patch:
        failing(patch, errno.ESTALE, times=-1, part="/cat/")
        code, _, said = records(src)
    assert code == 1
    assert "Stale file handle; it was tried 5 times" in said
    assert "Traceback" not in said
    assert not (tmp_path / "data/pets/1.0.0").exists()
    assert records(src)[0] == 0
    assert metadata(tmp_path / "data/pets/1.0.0")["images"] == 40


def test_what_could_not_be_read_is_tried_again_by_the_next_run(
    tmp_path: Path, records: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    src = draw_tree(tmp_path / "pets", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(5)])
    with monkeypatch.context() as patch:
        failing(patch, errno.EACCES, times=-1, part="/cat/3.png")
        assert records(src)[0] == 0
    assert [reason for _, reason, _ in rejected(tmp_path / "data/pets/1.0.0")] == ["unreadable"]
    normalized: list[int] = []
    normalize = chunks.normalize
    monkeypatch.setattr(chunks, "normalize", lambda *of: normalized.append(1) or normalize(*of))
    assert records(src)[0] == 0
    assert rejected(tmp_path / "data/pets/1.0.0") == []
    assert len(normalized) == 1
    assert "up to date" in records(src)[1]
