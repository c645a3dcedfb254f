"""The command `imageshards-app`: a page on this machine that trains on dropped folders and says what is in a photo.

Streamlit serves it; `app_page.py` is what it shows. Uploads and all that is made of them lie in one temporary folder,
which goes when the command ends.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from simple_parsing import field

from imageshards.pipeline.command import new_parser, run_command, say
from imageshards.pipeline.source import UserError

NAME = "imageshards-app"
WORK = "IMAGESHARDS_APP_WORK"  # names the temporary folder to the page


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
        if self.run and not (Path(self.run) / "run.json").is_file():
            raise UserError(f"{self.run}: not the folder of a run; give one such as runs/pexels-mobilenet")
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
        "server.headless": "true",
        "server.maxUploadSize": options.megabytes,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "logger.level": "error",
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    page = [str(Path(__file__).with_name("app_page.py")), *flags, "--", options.run, str(options.megabytes)]
    say(f"http://{options.address}:{options.port}   (Ctrl-C ends it)")
    with tempfile.TemporaryDirectory(prefix="imageshards-app-") as work:
        command = [sys.executable, "-P", "-m", "streamlit", "run", *page]
        environment = {**os.environ, WORK: work}
        return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    main()
