"""The app's server: Streamlit, in a process that ends with the command that started it, however that one ends.

python -m imageshards.train.server RUN MEGABYTES SETTINGS       Streamlit's settings, in JSON
"""

import contextlib
import ipaddress
import json
import os
import shutil
import socket
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import streamlit
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from imageshards.train import terminal
from imageshards.train.app import WORK


class OwnHostsOnly:
    """Refuses what is asked of this machine by a name that is not its own, or its address.

    A page of another site could point that site's name here, and then use the app as if it were the app's own page.
    """

    def __init__(self, app: ASGIApp, names: set[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or passes it on."""
        asked = scope["type"] in ("http", "websocket")
        if asked and not self._is_own(Headers(scope=scope).get("host", "")):
            await PlainTextResponse("This is not the name of this machine.", 400)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_own(self, host: str) -> bool:
        name = ""
        with contextlib.suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            ipaddress.ip_address(name)  # an address cannot be pointed elsewhere
            return True
        return name in self._names


def main() -> None:
    """Serves the page."""
    threading.Thread(target=_end_with_the_command, daemon=True).start()
    settings = json.loads(sys.argv.pop())
    names = {"localhost", socket.gethostname().lower(), settings["server.address"].lower()}
    page = Path(__file__).with_name("app_page.py")
    streamlit.App(page, middleware=[Middleware(OwnHostsOnly, names=names)]).run(config=settings)


def _end_with_the_command() -> None:
    """Waits until the other end of standard input is closed: by the command, or by the system when it is dead."""
    while os.read(0, 1):
        pass
    terminal.end_all()
    shutil.rmtree(os.environ[WORK], ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
