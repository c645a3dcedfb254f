"""The command `imageshards-app`: a page on this machine that trains on dropped folders and says what is in a photo.

`server.py` serves it, `app_page.py` is what it shows. Uploads and all that is made of them lie in one temporary folder,
which goes when the command ends.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from simple_parsing import field

from imageshards.pipeline.command import new_parser, run_command, say
from imageshards.pipeline.entry import STARTED_BY
from imageshards.pipeline.source import UserError
from imageshards.train.runs import check_run

NAME = "imageshards-app"
WORK = "IMAGESHARDS_APP_WORK"  # names the temporary folder to the page

_LOOK_EVERY = 0.5  # seconds, whether the command's parent still lives
_PATIENCE = 5  # seconds, for the server to end by itself


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Serves a page that trains on dropped folders and says what is in a photo. Ctrl-C ends it."""

    run: str = field(positional=True, nargs="?", default="", metavar="RUN")
    """A run's folder, such as runs/pexels-mobilenet, to ask from the start."""

    address: str = field(default="127.0.0.1", metavar="IP")
    """Where to listen; whoever reaches it can use this machine, so think twice before you leave the default."""

    port: int = field(default=8501, metavar="N")
    """The port to listen on."""

    megabytes: int = field(default=500, metavar="N")
    """The largest file that may be uploaded; four times as much unpacked."""

    def __post_init__(self) -> None:
        if self.run:
            check_run(Path(self.run))
        if not 1 <= self.port <= 65535:
            raise UserError(f"--port {self.port}: give a number from 1 to 65535")
        if self.megabytes < 1:
            raise UserError(f"--megabytes {self.megabytes}: give 1 or more")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 ended, 2 a mistake, 130 interrupted."""
    run_command(NAME, _run, arguments)


def _run(arguments: Sequence[str]) -> int:
    options: Options = new_parser(NAME, Options).parse_args(list(arguments)).options
    if find_spec("streamlit") is None:
        raise UserError("streamlit is not installed; the page needs: pip install 'imageshards[app,train]'")
    settings = {
        "server.address": options.address,
        "server.port": options.port,
        "server.headless": True,
        "server.maxUploadSize": options.megabytes,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "logger.level": "error",
    }
    arguments = [options.run, str(options.megabytes), json.dumps(settings)]
    say(f"http://{options.address}:{options.port}   (Ctrl-C ends it)")
    with _ended_by_signals(), tempfile.TemporaryDirectory(prefix="imageshards-app-") as work:
        return _serve([sys.executable, "-P", "-m", "imageshards.train.server", *arguments], {**os.environ, WORK: work})


def _serve(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs the server until it ends, or this command or the one that started it does; returns its exit code.

    It has a session of its own, so that Ctrl-C reaches this command alone, which ends it.
    """
    server = subprocess.Popen(  # noqa: S603 (a list, and no shell)
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    assert server.stdin is not None
    try:
        while (code := _code(server)) is None:
            orphaned = os.getppid() != STARTED_BY
            if orphaned and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup lets it live on
                return 0
        return code
    finally:
        server.stdin.close()  # which ends the server and all that it runs
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_PATIENCE)
        server.kill()
        server.wait()


def _code(server: "subprocess.Popen[bytes]") -> int | None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        return server.wait(_LOOK_EVERY)
    return None


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Lets what asks a process to end unwind it, so that nothing of it is left; nohup's choice is respected."""

    def end(number: int, _: object) -> NoReturn:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)
    yield


if __name__ == "__main__":
    main()
