"""Files in folders of this machine or in buckets, `s3://…` and `gs://…`: the few ways in which the job touches them.

A place is a pathlib.Path, or, for a bucket, etils' epath.Path, which joins and splits like one. What is done to it goes
through the functions below: the operating system's own calls here, fsspec's there. A bucket knows no rename and no
folder; a file in it is there whole or not at all.
"""

import contextlib
import dataclasses
import datetime
import errno
import functools
import json
import os
import secrets
import shutil
import stat
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

from imageshards.pipeline.errors import JobError, StorageError, UserError

_EXTRAS = {"s3": "s3", "gs": "gcs"}
_AT_ONCE = {"s3": {"max_concurrency": 1}, "gs": {"concurrency": 1}}  # else a file's size is asked for before the file
# A store that says it is down holds a job ten seconds, and one that says nothing four minutes; with botocore's own
# times, and five tries by s3fs, it would be half an hour.
_S3_TRIES = 3  # by s3fs, which also begins an answer again that was cut; each is so many of botocore's:
_S3_PATIENCE: dict[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 4},
    "connect_timeout": 5,
    "read_timeout": 20,
}
_OBJECTS = "imageshards.objects"  # in a page of S3
_BLOCK = 1 << 20
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ELOOP, errno.EINVAL)


P = ParamSpec("P")
T = TypeVar("T")


def place(name: str) -> Path:
    """Returns the place of this name.

    Raises:
      UserError: it is a URL that is not understood, or the package that reaches it is not installed.
    """
    if "://" not in name:
        return Path(name)
    protocol = name.partition("://")[0]
    if protocol not in _EXTRAS:
        raise UserError(f"{name}: {protocol}:// is not known here; give a folder, s3://… or gs://…")
    _system(protocol)
    from etils import epath  # which imports asyncio and unittest

    return cast(Path, epath.Path(name.rstrip("/")))


def is_bucket(name: str | Path) -> bool:
    """Says whether a place is in a bucket."""
    return "://" in os.fspath(name)


def absolute(path: Path) -> Path:
    """Returns the same place, by a name that does not depend on the folder that a process is in."""
    return path if is_bucket(path) else path.absolute()


def real(path: Path) -> Path:
    """Returns the place that a name leads to, links followed; a bucket has none."""
    return path if is_bucket(path) else path.resolve()


def _in_words(function: Callable[P, T]) -> Callable[P, T]:
    """Lets what a bucket's library raises say which place it was about; errors of the system pass as they are."""

    @functools.wraps(function)
    def spoken(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return function(*arguments, **options)
        except (FileNotFoundError, JobError, UserError):
            raise
        except Exception as error:
            if not is_bucket(cast(Path, arguments[0])):
                raise
            raise StorageError(f"{arguments[0]}: {_words(error)}") from error

    return spoken


def _words(error: Exception) -> str:
    """Returns what a bucket's library says, without its lines below the first."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip().partition("\n")[0]
    said = said or type(error).__name__
    return f"{said}; look at your credentials" if isinstance(error, PermissionError) else said


@_in_words
def exists(path: Path) -> bool:
    """Says whether there is a file of this name, or for a folder on this machine, a folder."""
    return bool(_of(path).exists(str(path))) if is_bucket(path) else path.exists()


@_in_words
def read(path: Path) -> bytes:
    """Returns a file's bytes; of a bucket, in one request."""
    if not is_bucket(path):
        with _open_regular(path, buffering=0) as file:
            return file.read()
    at_once = _AT_ONCE[os.fspath(path).partition("://")[0]]
    return cast(bytes, _of(path).cat_file(str(path), **at_once))


@_in_words
def read_ranges(path: Path, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """Returns the bytes of each (offset, length).

    Of a bucket the whole stretch comes in one request where much of it is wanted, else each range in one of its own.
    """
    if not is_bucket(path):
        with path.open("rb", buffering=0) as file:
            return [os.pread(file.fileno(), length, offset) for offset, length in ranges]
    start, end = min(offset for offset, _ in ranges), max(offset + length for offset, length in ranges)
    if end - start <= max(_BLOCK, 4 * sum(length for _, length in ranges)):
        block = _of(path).cat_file(str(path), start=start, end=end)
        return [block[offset - start : offset - start + length] for offset, length in ranges]
    starts, ends = zip(*((offset, offset + length) for offset, length in ranges), strict=True)
    return cast(list[bytes], _of(path).cat_ranges([str(path)] * len(ranges), list(starts), list(ends)))


@_in_words
def write(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Writes a file that is there whole, or not at all; `durable`, also after a loss of power."""
    if is_bucket(path):
        _of(path).pipe_file(str(path), data)
        return
    aside = path.with_name(path.name + ".tmp")
    if aside.is_symlink():  # that another program left: what it leads to is not ours
        aside.unlink()
    with aside.open("wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    aside.replace(path)


@contextlib.contextmanager
def create(path: Path) -> Iterator[BinaryIO]:
    """Yields a new file to write from front to back. In a bucket it appears when the block ends well, or not at all.

    fsspec's own file would finish its upload where a job has failed, even while Python exits, and never come back.
    """
    if not is_bucket(path):
        with path.open("wb") as file:
            yield file
        return
    with tempfile.NamedTemporaryFile(prefix="imageshards-") as here:
        yield cast(BinaryIO, here)
        here.flush()
        _upload(path, here.name)


@_in_words
def open_read(path: Path) -> BinaryIO:
    """Opens a file for reading, from front to back or here and there."""
    if is_bucket(path):
        return cast(BinaryIO, _of(path).open(str(path), "rb", block_size=_BLOCK))
    return _open_regular(path, buffering=_BLOCK)


def read_json(path: Path) -> Any:
    """Returns what a JSON file holds.

    Raises:
      ValueError: it is not JSON, or nested too deeply.
    """
    return parse_json(read(path))


def parse_json(text: str | bytes) -> Any:
    """Returns what a JSON text holds; raises ValueError where it is not JSON, or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error


def is_fault(error: BaseException) -> bool:
    """Says whether this is a fault of the machine, which may pass, and not of what was to be read."""
    return isinstance(error, StorageError) or (
        isinstance(error, OSError) and error.errno is not None and error.errno not in _NOT_THERE
    )


def bucket_failed(error: BaseException | None) -> bool:
    """Says whether it came of a bucket that failed, by now for good; Beam wraps what it passes on."""
    while error is not None and not isinstance(error, StorageError):
        error = error.__context__
    return error is not None


def first_bytes(path: Path, count: int) -> bytes:
    """Returns the first bytes of a file; on a disk none where it is gone, no file any more, or may not be read.

    Raises:
      OSError: the machine failed; in a bucket, or the file is gone.
    """
    if is_bucket(path):
        return read_ranges(path, [(0, count)])[0]
    try:
        with _open_regular(path, buffering=0, flags=os.O_NOFOLLOW) as file:
            return file.read(count)
    except OSError as error:
        if is_fault(error) and not isinstance(error, PermissionError):
            raise
        return b""


@_in_words
def read_inside(root: Path, name: str, most: int) -> bytes:
    """Returns the bytes of a file below `root`; a link may not lead out.

    Raises:
      OSError: there is none, it lies elsewhere, or has more than `most` bytes.
    """
    path = root / name
    if is_bucket(root):
        data = cast(bytes, _of(path).cat_file(str(path), start=0, end=most + 1))
    elif path.resolve(strict=True).is_relative_to(root.resolve()):
        with _open_regular(path, buffering=0) as file:
            data = file.read(most + 1)
    else:
        raise OSError(errno.EACCES, f"it lies outside {root}", str(path))
    if len(data) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


def _open_regular(path: Path, buffering: int, flags: int = 0) -> BinaryIO:
    """Opens a file for reading; what is there instead of one, such as a pipe or /dev/zero, would never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return open(descriptor, "rb", buffering=buffering)  # noqa: PTH123
    except BaseException:
        os.close(descriptor)
        raise


@contextlib.contextmanager
def made_here(path: Path, work: Path) -> Iterator[Path]:
    """Yields the name of a file to make on this machine; when the block ends well it is at `path`, whole.

    On a disk it is made in the folder `work`. Two workers may make the same file, and a killed one leaves its half.
    """
    if not is_bucket(path):
        aside = work / f"{secrets.token_hex(4)}.{path.name}.tmp"
        yield aside
        aside.replace(path)
        return
    with tempfile.TemporaryDirectory(prefix="imageshards-") as folder:
        here = Path(folder, path.name)
        yield here
        _upload(path, str(here))


@_in_words
def _upload(path: Path, here: str) -> None:
    _of(path).put_file(here, str(path))


@_in_words
def names(folder: Path) -> list[str]:
    """Returns the names of the files in a folder, in order; none where there is no folder."""
    if is_bucket(folder):
        with contextlib.suppress(FileNotFoundError):
            return sorted(PurePosixPath(name).name for name in _of(folder).ls(str(folder), detail=False))
        return []
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@_in_words
def sizes(folder: Path) -> dict[str, int]:
    """Returns the size in bytes of every file in a folder; none where there is no folder."""
    if not is_bucket(folder):
        return (
            {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()} if folder.is_dir() else {}
        )
    with contextlib.suppress(FileNotFoundError):
        return {PurePosixPath(file["name"]).name: file["size"] for file in _of(folder).ls(str(folder), detail=True)}
    return {}


@_in_words
def remove(folder: Path) -> None:
    """Removes a folder with all that is in it, if it is there."""
    if not is_bucket(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with contextlib.suppress(FileNotFoundError):
        _of(folder).rm(str(folder), recursive=True)


@_in_words
def copy(source: Path, target: Path, files: Sequence[str]) -> None:
    """Copies files from one folder of a bucket to another, within the bucket and many at once."""
    system = _of(source)
    system.copy([f"{source}/{name}" for name in files], [f"{target}/{name}" for name in files])


@dataclasses.dataclass(frozen=True)
class Page:
    """Some of what a bucket lists: folders end in a slash, and an object is its name, its bytes and its time of change.

    All names are below the place that is listed.
    """

    folders: list[str]
    objects: list[tuple[str, int, datetime.datetime]]


def pages(place: Path, below: str = "", *, deep: bool = True) -> Iterator[Page]:
    """Yields what is in the folder `below` a place in a bucket, as the bucket gives it: about a thousand names a page.

    Not `deep`, folders are not opened but named. Nothing is kept: fsspec's own walk holds 3.7 kB per object.

    Raises:
      StorageError: the bucket cannot be listed.
    """
    protocol, _, name = os.fspath(place).partition("://")
    bucket, _, root = name.partition("/")
    root = f"{root}/" if root else ""
    listed = _LISTINGS[protocol](_system(protocol, for_pages=True), bucket, root + below, "" if deep else "/")
    try:
        for folders, objects in listed:
            names = [folder.removeprefix(root) for folder in folders]
            yield Page(names, [(name.removeprefix(root), size, changed) for name, size, changed in objects])
    except FileNotFoundError:  # no such bucket
        return
    except Exception as error:  # whatever the library of that store raises
        raise StorageError(f"{place}: cannot be listed: {_words(error)}") from error


def _s3_listing(system: Any, bucket: str, prefix: str, delimiter: str) -> Iterator[tuple[list[str], list[Any]]]:
    more: dict[str, str] | None = {}
    while more is not None:
        page = system.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter=delimiter, **more)
        yield [folder["Prefix"] for folder in page.get("CommonPrefixes", ())], page[_OBJECTS]
        more = {"ContinuationToken": page["NextContinuationToken"]} if page.get("IsTruncated") else None


def _take_objects(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Takes the objects out of a page of S3 before botocore reads it, for which that would need ten times as long."""
    from botocore.compat import unquote_str

    if response_dict["status_code"] >= 300:
        return
    page = ElementTree.fromstring(response_dict["body"])  # noqa: S314 (botocore would do the same)
    space = page.tag.rpartition("}")[0] + "}" if page.tag.startswith("{") else ""
    decoded = unquote_str if page.findtext(f"{space}EncodingType") == "url" else str
    objects = page.findall(f"{space}Contents")
    customized_response_dict[_OBJECTS] = [
        (
            decoded(item.findtext(f"{space}Key")),
            int(item.findtext(f"{space}Size") or 0),
            datetime.datetime.fromisoformat(item.findtext(f"{space}LastModified") or ""),
        )
        for item in objects
    ]
    for item in objects:
        page.remove(item)
    response_dict["body"] = ElementTree.tostring(page)


def _gcs_listing(system: Any, bucket: str, prefix: str, delimiter: str) -> Iterator[tuple[list[str], list[Any]]]:
    wanted = {"fields": "prefixes,items(name,size,updated),nextPageToken"}
    wanted |= {name: value for name, value in (("prefix", prefix), ("delimiter", delimiter)) if value}
    token: str | None = ""
    while token is not None:
        more = {"pageToken": token} if token else {}
        page = system.call("GET", "b/{}/o", bucket, json_out=True, **wanted, **more)
        objects = [
            (item["name"], int(item["size"]), datetime.datetime.fromisoformat(item["updated"]))
            for item in page.get("items", ())
        ]
        yield page.get("prefixes", []), objects
        token = page.get("nextPageToken")


_LISTINGS = {"s3": _s3_listing, "gs": _gcs_listing}


def _of(path: Path) -> Any:
    return _system(os.fspath(path).partition("://")[0])


@functools.cache
def _system(protocol: str, *, for_pages: bool = False) -> Any:
    import fsspec

    try:
        options = _s3_options(for_pages) if protocol == "s3" else {}
        system = fsspec.filesystem(protocol, use_listings_cache=False, **options)
    except ImportError as error:
        wanted = _EXTRAS[protocol]
        raise UserError(f"{protocol}:// needs another package: pip install 'imageshards[{wanted}]'") from error
    if protocol == "s3":
        system.retries = _S3_TRIES
    return system


def _s3_options(for_pages: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"config_kwargs": _S3_PATIENCE}
    if for_pages:
        from aiobotocore.session import AioSession

        options["session"] = AioSession()
        options["session"].register("before-parse.s3.ListObjectsV2", _take_objects)
    return options
