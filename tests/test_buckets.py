"""SRC and OUT in buckets: S3 and Google Cloud Storage, each served on this machine by an emulator."""

import collections
import contextlib
import json
import logging
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import tensorflow_datasets as tfds

from imageshards.pipeline import awaited, facts, job, storage
from imageshards.pipeline.__main__ import main
from imageshards.pipeline.checksums import file_checksum, read_checksums
from imageshards.pipeline.errors import JobError
from imageshards.pipeline.originals import Originals
from imageshards.pipeline.sources.listing import list_files

from .conftest import draw_tree

fsspec = pytest.importorskip("fsspec")
IMAGES = 120
Requests = collections.Counter[str]


class Counting:
    """A WSGI application that counts what is asked of it, by method and by what part of a dataset it is about."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.requests: Requests = collections.Counter()

    def __call__(self, environment: dict[str, Any], start: Any) -> Any:
        kind = next(
            (part for part in ("/raw/", "/staged/", "/1.0.0/", "/awaited") if part in environment["PATH_INFO"]), ""
        )
        self.requests[f"{environment['REQUEST_METHOD']} {kind or 'other'}"] += 1
        return self._application(environment, start)


@contextlib.contextmanager
def served_s3(patch: pytest.MonkeyPatch) -> Iterator[tuple[str, Requests]]:
    server_of = pytest.importorskip("moto.server")
    from werkzeug.serving import make_server

    counting = Counting(server_of.DomainDispatcherApplication(server_of.create_backend_app))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, counting, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        patch.setenv(name, value)
    urllib.request.urlopen(f"http://127.0.0.1:{server.port}/moto-api/reset", data=b"").close()
    yield "s3", counting.requests
    server.shutdown()


@contextlib.contextmanager
def served_gs(patch: pytest.MonkeyPatch) -> Iterator[tuple[str, Requests]]:
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    logging.getLogger("gcp_storage_emulator").setLevel(logging.ERROR)
    server = emulator.create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    port = server._api._httpd.socket.getsockname()[1]
    patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    patch.setenv("GOOGLE_CLOUD_PROJECT", "test")
    yield "gs", collections.Counter()
    server.stop()


@pytest.fixture(params=[served_s3, served_gs], ids=["s3", "gs"])
def bucket(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Requests]]:
    """The URL of an empty bucket, and what was asked of the server."""
    storage._system.cache_clear()
    with request.param(monkeypatch) as (protocol, requests):
        fsspec.get_filesystem_class(protocol).clear_instance_cache()
        storage._system(protocol).mkdir("pets")
        yield f"{protocol}://pets", requests
    storage._system.cache_clear()


def upload(folder: Path, url: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            storage.write(storage.place(url) / path.relative_to(folder).as_posix(), path.read_bytes())


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    return int(exited.value.code or 0)


def download(version: Path, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in storage.names(version):
        (folder / name).write_bytes(storage.read(version / name))
    return folder


Bucket = tuple[str, Requests]


def test_a_bucket_in_and_out_gives_what_folders_give(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    url, requests = bucket
    monkeypatch.setattr(awaited, "_SECONDS", 3600)
    root = draw_tree(tmp_path / "raw", [f"{label}/é {n}.png" for label in ("cat", "dog") for n in range(IMAGES // 2)])
    (root / "cat/bad.png").write_text("words")
    upload(root, f"{url}/raw")
    requests.clear()
    assert run(f"{url}/raw", "--out", f"{url}/data", "--dataset", "pets", "--shards", "2") == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert f"{IMAGES + 1} found = {IMAGES} written + 1 rejected (1 unsupported-format)" in said
    if requests:
        assert requests["GET /raw/"] == IMAGES + 2  # one for each image, and one to show what was rejected
        assert requests["HEAD /raw/"] == 0
        assert sum(count for what, count in requests.items() if "staged" in what) <= 12, requests  # of 1 chunk
        assert requests["GET /awaited"] == 3  # before the first chunk, shard and piece of the index, of 6 shards

    assert run(str(root), "--out", str(tmp_path / "here"), "--dataset", "pets", "--shards", "2") == 0
    version = storage.place(f"{url}/data/pets/1.0.0")
    there, here = download(version, tmp_path / "there/pets/1.0.0"), tmp_path / "here/pets/1.0.0"
    for name in sorted(path.name for path in here.iterdir()):
        if name not in ("index.parquet", "metadata.json", "report.html"):  # these know when the sources changed
            assert (there / name).read_bytes() == (here / name).read_bytes(), name
    columns = ["key", "label", "split", "sha256", "shard", "offset"]
    assert pq.read_table(there / "index.parquet", columns=columns) == pq.read_table(
        here / "index.parquet", columns=columns
    )
    assert all(
        file_checksum(version / name) == digest
        for name, digest in read_checksums(version).items()
        if name != "metadata.json"
    )
    assert tfds.builder_from_directory(str(there)).info.splits.total_num_examples == IMAGES
    assert storage.names(storage.place(f"{url}/data/pets")) == ["1.0.0"]


def test_the_smallest_pictures_of_a_bucket_are_read_side_by_side(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = bucket
    root = draw_tree(tmp_path / "raw", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(4)], size=(8, 8))
    assert max(path.stat().st_size for path in root.rglob("*.png")) < 1000
    upload(root, f"{url}/raw")
    meeting = threading.Barrier(4)
    read = Originals.read

    def waits_for_three_others(self: Originals, *listed: Any) -> bytes:
        meeting.wait(60)
        return read(self, *listed)

    monkeypatch.setattr(Originals, "read", waits_for_three_others)
    assert run(f"{url}/raw", "--out", str(tmp_path / "data"), "--workers", "4", "--size", "8") == 0


def test_a_version_in_a_bucket_is_never_replaced_and_its_pictures_are_used_again(
    tmp_path: Path, bucket: Bucket, capsys: Any
) -> None:
    url, requests = bucket
    root = draw_tree(tmp_path / "raw", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(20)])
    upload(root, f"{url}/raw")
    command = (f"{url}/raw", "--out", f"{url}/data", "--dataset", "pets")
    assert run(*command) == 0
    assert run(*command) == 0
    assert "is up to date" in capsys.readouterr().out
    before = json.loads(storage.read(storage.place(f"{url}/data/pets/1.0.0/metadata.json")))
    upload(draw_tree(tmp_path / "more", [f"cat/more{n}.png" for n in range(5)]), f"{url}/raw")
    assert run(*command) == 2
    assert "give the next --version" in capsys.readouterr().err
    assert json.loads(storage.read(storage.place(f"{url}/data/pets/1.0.0/metadata.json"))) == before
    requests.clear()
    assert run(*command, "--version", "1.0.1") == 0
    assert "45 found = 45 written" in capsys.readouterr().out
    assert not requests or requests["GET /raw/"] == 5
    assert storage.names(storage.place(f"{url}/data/pets")) == ["1.0.0", "1.0.1"]


def test_a_job_that_dies_while_it_publishes_shows_no_version_and_the_next_one_ends_it(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    url, _ = bucket
    upload(
        draw_tree(tmp_path / "raw", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(9)]), f"{url}/raw"
    )
    command = (f"{url}/raw", "--out", f"{url}/data", "--dataset", "pets")
    copy = storage.copy

    def dies(source: Path, target: Path, files: list[str]) -> None:
        if "features.json" in files:
            raise OSError(5, "the network is gone")
        copy(source, target, files)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "copy", dies)
        assert run(*command) == 1
    assert "the network is gone" in capsys.readouterr().err
    half = storage.names(storage.place(f"{url}/data/pets/1.0.0"))
    assert any("tfrecord" in name for name in half)
    assert not {"features.json", "dataset_info.json"} & set(half)
    (tmp_path / "copied/pets/1.0.0").mkdir(parents=True)
    for name in half:
        (tmp_path / "copied/pets/1.0.0" / name).write_bytes(
            storage.read(storage.place(f"{url}/data/pets/1.0.0/{name}"))
        )
    with pytest.raises(tfds.core.registered.DatasetNotFoundError):
        tfds.load("pets", data_dir=str(tmp_path / "copied"))
    assert run(*command) == 0
    assert "dataset_info.json" in storage.names(storage.place(f"{url}/data/pets/1.0.0"))


def test_a_job_that_fails_leaves_nothing_half_written(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    url, _ = bucket
    raw = draw_tree(tmp_path / "raw", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(9)])
    monkeypatch.setattr(facts, "CHUNK_IMAGES", 8)
    read = Originals.read

    def refuses(self: Originals, path: str, *listed: int) -> bytes:
        if path == "dog/8.png":
            raise JobError("the store refuses it")
        return read(self, path, *listed)

    command = (str(raw), "--out", f"{url}/data", "--dataset", "pets")
    with monkeypatch.context() as patch:
        patch.setattr(Originals, "read", refuses)
        assert run(*command) == 1
    assert "the job failed: the store refuses it\n" in capsys.readouterr().err
    staged = storage.names(storage.place(f"{url}/data/pets/incomplete.1.0.0/staged"))
    whole = {name.removesuffix(".arrow") for name in staged if name.endswith(".arrow")}
    assert {name.removesuffix(".records") for name in staged if name.endswith(".records")} == whole
    assert storage.names(storage.place(f"{url}/data/pets/1.0.0")) == []
    assert run(*command) == 0


def test_of_two_jobs_of_one_version_the_later_one_publishes(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    url, _ = bucket
    raw = draw_tree(tmp_path / "raw", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(3)])
    command = (str(raw), "--out", f"{url}/data", "--dataset", "pets")
    check = job._check

    def another_begins(*of: Any) -> None:
        storage.write(storage.place(f"{url}/data/pets/incomplete.1.0.0/owner"), b"process 42 on elsewhere")
        check(*of)

    with monkeypatch.context() as patch:
        patch.setattr(job, "_check", another_begins)
        assert run(*command) == 1
    said = capsys.readouterr().err
    assert "pets/1.0.0: process 42 on elsewhere builds it as well, and began later; so this job stopped" in said
    assert storage.names(storage.place(f"{url}/data/pets/1.0.0")) == []
    assert run(*command) == 0


def test_mistakes_are_named(tmp_path: Path, bucket: Bucket, capsys: Any) -> None:
    url, _ = bucket
    cases = {
        f"{url}/nothing": (2, "nothing is there"),
        url.replace("//pets", "//no-such-bucket"): (2, "no-such-bucket: nothing is there"),
        "ftp://host/pets": (2, "ftp:// is not known here"),
    }
    for src, (code, words) in cases.items():
        assert run(src, "--out", str(tmp_path / "data"), "--dataset", "pets") == code, src
        assert words in capsys.readouterr().err


def test_a_bucket_is_listed_page_by_page_and_side_by_side(bucket: Bucket) -> None:
    url, _ = bucket
    names = [f"raw/{label}/{n} +%41é&amp;<.png" for label in ("cat", "dog") for n in range(3)]
    names += ["raw/top.png", "raw/cat/deep/er/still/1.png", "raw/.hidden/1.png", "raw/__MACOSX/1.png", "other/1.png"]
    for number, name in enumerate(names):
        storage.write(storage.place(url) / name, bytes(number))
    listing = list_files(f"{url}/raw")
    wanted = sorted(name.removeprefix("raw/") for name in names[:8])
    assert [file.key for file in listing.images] == wanted
    assert {file.key: file.size for file in listing.images} == {
        name.removeprefix("raw/"): number for number, name in enumerate(names[:8])
    }
    assert all(file.mtime_ns > 1_700_000_000_000_000_000 for file in listing.images)
    everything = [name for page in storage.pages(storage.place(url)) for name, _, _ in page.objects]
    assert sorted(everything) == sorted(names)
