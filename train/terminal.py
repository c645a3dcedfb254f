"""Runs a command as if in a terminal, so that a page can show what a person would see: lines, and bars that move."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
from collections.abc import Generator, Sequence

_LOOK_EVERY = 0.5  # seconds, whether it is still wanted
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


_running: set[int] = set()


def end_all() -> None:
    """Ends every command that runs, and what it runs itself."""
    for leader in list(_running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGKILL)


class Terminal:
    """A command that runs. `lines` is what its screen shows, `code` its exit code once it has ended."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self.lines: list[str] = []
        self._whole: list[str] = []
        self.code: int | None = None

    def follow(self) -> Generator[None, None, None]:
        """Runs the command and yields whenever the screen has changed, and now and then: who stops here ends it."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(  # noqa: S603 (a list, and no shell)
            self._command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, start_new_session=True
        )
        _running.add(process.pid)
        os.close(theirs)
        rest = ""
        try:
            with contextlib.suppress(OSError):  # how Linux says that the other side is closed
                while True:
                    if select.select([ours], [], [], _LOOK_EVERY)[0]:
                        if not (block := os.read(ours, 1 << 16)):
                            break
                        rest = self._show(rest + block.decode(errors="replace"))
                    yield
        finally:
            os.close(ours)
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    process.wait(2)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            self.code = process.wait()
            _running.discard(process.pid)

    def _show(self, text: str) -> str:
        """Takes in whole lines; returns the line under way, which is shown until it is drawn over."""
        *whole, under_way = _ESCAPES.sub("", text.replace("\r\n", "\n")).split("\n")
        self._whole = [*self._whole, *(line.rsplit("\r", 1)[-1].rstrip() for line in whole)]
        shown = under_way.rstrip("\r").rsplit("\r", 1)[-1].rstrip()
        self.lines = [*self._whole, shown] if shown else self._whole
        return under_way
