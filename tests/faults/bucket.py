"""A bucket that fails: moto's S3, of which each request fails in turn."""

import collections
import contextlib
import itertools
import json
import logging
import os
import signal
import socket
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from driver import Fault, Place, draw, step_of
from werkzeug.serving import make_server
from werkzeug.wsgi import get_input_stream

_FAULTS = ("503", "time-out", "cut answer")
_BUCKET = "buck"
_CONTROL = "/faults"
_PATIENCE = 0.5  # seconds that a job waits for an answer that does not come
_BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Failing:
    """A WSGI application whose N-th request fails, once or from then on. POST /faults says how, GET /faults what came.

    503 and time-out come before anything was done; an answer that is cut, to half of its body, or to nothing where it
    has none, comes after it.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()
        self._left, self._how, self._for_good = -1, "", False
        self._log: list[str] = []

    def __call__(self, environment: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environment["PATH_INFO"] == _CONTROL:
            start("200 OK", [])
            return [self._control(environment)]
        how = self._how_it_fails(environment)
        if how in ("503", "time-out"):
            get_input_stream(environment).read()  # else the server would take it for the next request
        match how:
            case "503":
                start("503 Slow Down", [("Content-Length", str(len(_BUSY)))])
                return [] if environment["REQUEST_METHOD"] == "HEAD" else [_BUSY]
            case "time-out":
                time.sleep(2 * _PATIENCE)
                return _hang_up(environment)
            case "cut answer":
                return self._half(environment, start)
        return self._application(environment, start)  # type: ignore[no-any-return]

    def _control(self, environment: dict[str, Any]) -> bytes:
        with self._lock:
            log = "\n".join(self._log)
            if environment["REQUEST_METHOD"] == "POST":
                said = environment["wsgi.input"].read(int(environment["CONTENT_LENGTH"]))
                self._left, self._how, self._for_good = json.loads(said)
                self._log = []
        return log.encode()

    def _how_it_fails(self, environment: dict[str, Any]) -> str:
        request = f"{environment['REQUEST_METHOD']} {environment['PATH_INFO']}?{environment['QUERY_STRING']}"
        with self._lock:
            self._left -= 1
            self._log.append("! " * (self._left == 0) + request)
            return self._how if self._left == 0 or (self._for_good and self._left < 0) else ""

    def _half(self, environment: dict[str, Any], start: Any) -> Iterable[bytes]:
        heads: list[Any] = []
        body = b"".join(self._application(environment, lambda *head: heads.append(head)))
        if not body:
            return _hang_up(environment)
        ((status, headers, *_),) = heads
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start(status, [*headers, ("Content-Length", str(len(body)))])
        return [body[: len(body) // 2]]


def _hang_up(environment: dict[str, Any]) -> Iterable[bytes]:
    environment["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


class Bucket(Place):
    """SRC and OUT in a bucket. A version there is never replaced: the job makes the next one."""

    versions = ("1.0.0", "1.0.1")

    def __init__(self, folder: Path, address: str) -> None:
        """Makes them in the store at an address."""
        super().__init__(folder)
        import boto3
        import botocore.config

        self._address = address
        self._store = boto3.client("s3", config=botocore.config.Config(read_timeout=60))
        self._store.create_bucket(Bucket=_BUCKET)
        self._next = "1.0.0"
        self._before: dict[str, bytes] = {}
        self._upload(folder / "pets", self.before)
        code, said = self._run(None)
        assert code == 0, said
        self._upload(folder / "pets", [self.after])
        self._before, self._old, self._next = self.there(), self._published(), "1.0.1"
        code, said = self._run(Fault("", -1, "", False))  # nothing fails, and all is counted
        assert code == 0, said
        self._requests, self._new = self._log(), self._published()

    def faults(self) -> Iterator[Fault]:
        """Yields one fault after the other."""
        for how, for_good in itertools.product(_FAULTS, (False, True)):
            yield from (Fault("request", number, how, for_good) for number in range(1, len(self._requests) + 1))

    def calls(self) -> str:
        """Returns how many requests of which kind an undisturbed job has."""
        counted = collections.Counter(request.split()[0] for request in self._requests)
        return ", ".join(f"{count} {method}" for method, count in counted.most_common())

    def there(self) -> dict[str, bytes]:
        """Returns all objects below OUT."""
        objects = self._store.list_objects_v2(Bucket=_BUCKET, Prefix="out/").get("Contents", ())
        return {item["Key"].removeprefix("out/"): self._get(item["Key"]) for item in objects}

    def _get(self, key: str) -> bytes:
        data: bytes = self._store.get_object(Bucket=_BUCKET, Key=key)["Body"].read()
        return data

    def _upload(self, folder: Path, names: Iterable[str]) -> None:
        draw(folder, names)
        for name in names:
            self._store.put_object(Bucket=_BUCKET, Key=f"raw/{name}", Body=(folder / name).read_bytes())

    def _start(self) -> None:
        there = self.there()
        for name in there.keys() - self._before.keys():
            self._store.delete_object(Bucket=_BUCKET, Key=f"out/{name}")
        for name, data in self._before.items():
            if there.get(name) != data:
                self._store.put_object(Bucket=_BUCKET, Key=f"out/{name}", Body=data)

    def _arguments(self) -> list[str]:
        where = [f"s3://{_BUCKET}/raw", "--out", f"s3://{_BUCKET}/out", "--dataset", "pets", "--version", self._next]
        return [*where, "--size", "32", "--shards", "1", "--workers", "1"]

    def _arm(self, fault: Fault) -> None:
        from botocore.retries.standard import ExponentialBackoff

        from imageshards.pipeline import storage

        ExponentialBackoff.delay_amount = lambda *_: 0
        if fault.how == "time-out":
            storage._S3_PATIENCE["read_timeout"] = _PATIENCE
        said = json.dumps([fault.number, fault.how, fault.for_good]).encode()
        urllib.request.urlopen(self._address + _CONTROL, said).close()

    def _log(self) -> list[str]:
        """Returns what was asked of the store since a fault was armed; from now on nothing fails."""
        said = json.dumps([-1, "", False]).encode()
        with urllib.request.urlopen(self._address + _CONTROL, said) as answer:
            return answer.read().decode().splitlines()  # type: ignore[no-any-return]

    def _met(self) -> str:
        met = [line.removeprefix("! ") for line in self._log() if line.startswith("! ")]
        return _step(met[0]) if met else ""


def _step(request: str) -> str:
    """Returns the step of a job that asks this of the store."""
    path, _, query = request.partition(" ")[2].partition("?")
    asked = urllib.parse.parse_qs(query)
    if "list-type" in asked:
        return step_of("list", f"{path}/{''.join(asked.get('prefix', ()))}")
    return step_of("read", path)


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Yields the address of an empty store, which is in a process of its own; jobs are told of it, and not to wait."""
    from moto import server as moto

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)  # moto itself fails now and then, which is another fault
    application = Failing(moto.DomainDispatcherApplication(moto.create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    store = os.fork()
    if not store:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server.serve_forever()
    address = f"http://127.0.0.1:{server.port}"
    os.environ |= {"AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    try:
        yield address
    finally:
        os.kill(store, signal.SIGTERM)
        os.waitpid(store, 0)
