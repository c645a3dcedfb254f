"""Folders that cannot be read, for tests."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Entry:
    """An os.DirEntry one of whose answers fails."""

    def __init__(self, entry: "os.DirEntry[str]", error: OSError) -> None:
        self._entry, self._error = entry, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)

    def stat(self) -> Any:
        raise self._error


def failing_scan(name: str, error: OSError) -> Any:
    """An os.scandir in which the entry of one name cannot be looked at."""
    scandir = os.scandir

    @contextlib.contextmanager
    def failing(path: Path) -> Iterator[list[Any]]:
        with scandir(path) as entries:
            yield [Entry(entry, error) if entry.name == name else entry for entry in entries]

    return failing
