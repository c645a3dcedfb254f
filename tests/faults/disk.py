"""A disk that fails: each call of the system fails in turn, by disk.c, a library that is loaded before all others."""

import collections
import contextlib
import ctypes
import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from driver import Fault, Place, draw, empty_folder, step_of

_LIBRARY = "IMAGESHARDS_FAULTS"  # the variable that holds the path of disk.c, compiled
_SHORT, _POWER = -1, -2  # as in disk.c
_FAULTS: dict[str, tuple[int, ...]] = {
    "list": (errno.EIO, errno.ESTALE),
    "stat": (errno.EIO, errno.ESTALE),
    "open": (errno.EIO, errno.ESTALE, errno.EMFILE),
    "read": (errno.EIO, errno.ESTALE, _SHORT),
    "write": (errno.EIO, errno.ENOSPC, _SHORT),
    "sync": (errno.EIO, errno.ENOSPC),
    "rename": (errno.EIO, errno.ENOSPC),
    "mkdir": (errno.EIO, errno.ENOSPC),
    "truncate": (errno.EIO,),
    "unlink": (errno.EIO,),
    "any": (_POWER,),
}


class Disk(Place):
    """Folders on a disk that fails."""

    versions = ("1.0.0",)

    def __init__(self, folder: Path) -> None:
        """Makes them in an empty folder; only in a process that `loaded` has started."""
        super().__init__(folder)
        self._folder, self._log = folder, folder / "log"
        self._src, self._out = folder / "pets", folder / "out"
        self._library = ctypes.CDLL(os.environ[_LIBRARY])
        os.environ["FAULT_FOLDERS"] = f"{self._src}:{self._out}"
        draw(self._src, self.before)
        self._unsynced = self._undisturbed()
        self._old = self._published()
        draw(self._src, [self.after])
        self._out.rename(folder / "before")
        self._start()
        self._unsynced += self._undisturbed()
        self._new = self._published()
        self._calls = collections.Counter(kind for kind, _ in self._logged())

    def _undisturbed(self) -> list[str]:
        """Runs a job in which nothing fails, and all is logged; returns what it did not sync as it published."""
        code, said = self._run(Fault("", -1, 0, False))
        assert code == 0, said
        return _unsynced(self._logged(), self._out / "pets", self._published())

    def _logged(self) -> list[list[str]]:
        """Returns the kind and the path of each call of the last job, in their order."""
        return [line.split(" ", 1) for line in self._log.read_text().splitlines()]

    def faults(self) -> Iterator[Fault]:
        """Yields one fault after the other."""
        for kind, codes in _FAULTS.items():
            calls = self._calls.total() if kind == "any" else self._calls[kind]
            for code, for_good in itertools.product(codes, (False, True)):
                if not (code == _POWER and for_good):
                    yield from (Fault(kind, number, code, for_good) for number in range(1, calls + 1))

    def calls(self) -> str:
        """Returns how many calls of which kind an undisturbed job has."""
        return ", ".join(f"{count} {kind}" for kind, count in self._calls.most_common())

    def unsynced(self) -> list[str]:
        """Returns what a loss of power could have taken from the version after it was published."""
        return self._unsynced

    def there(self) -> dict[str, bytes]:
        """Returns all files below OUT."""
        files = (path for path in self._out.rglob("*") if path.is_file())
        return {path.relative_to(self._out).as_posix(): path.read_bytes() for path in files}

    def _codes(self, step: str) -> tuple[int, ...]:
        return (1, 2) if step == "listing" else (1,)  # a folder of the user's may be closed

    def _start(self) -> None:
        shutil.rmtree(self._out, ignore_errors=True)
        shutil.copytree(self._folder / "before", self._out)

    def _arguments(self) -> list[str]:
        return [str(self._src), "--out", str(self._out), "--size", "32", "--shards", "1", "--workers", "1"]

    def _arm(self, fault: Fault) -> None:
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        self._library.fault_arm(fault.kind.encode(), fault.number, fault.how, int(fault.for_good), log)

    def _met(self) -> str:
        met = [line.removeprefix("! ") for line in self._log.read_text().splitlines() if line.startswith("! ")]
        return step_of(*met[0].split(" ", 1)) if met else ""


def _unsynced(calls: Sequence[Sequence[str]], folder: Path, published: Iterable[str]) -> list[str]:
    """Returns what was not synced after its last change: what is in the version, before the rename that publishes it.

    `calls` are kinds and paths in their order; `folder` is the dataset's, whose own name has to last as well.
    """
    version = folder / "incomplete.1.0.0/dataset"
    at = next(number for number, (kind, path) in enumerate(calls) if kind == "rename" and path == str(version))
    synced: set[str] = set()
    for kind, path in calls[:at]:
        if kind == "sync":
            synced.add(path)
        elif kind in ("write", "truncate", "rename", "mkdir", "unlink"):
            synced -= {path, str(Path(path).parent)}
    within = {str(version), *(str(version / Path(name).name) for name in published)}
    made = {str(folder.parent)} if ["mkdir", str(folder)] in calls else set()
    after = {path for kind, path in calls[at:] if kind == "sync"}
    return sorted((within - synced) | (made - synced - after) | ({str(folder)} - after))


@contextlib.contextmanager
def loaded() -> Iterator[None]:
    """Starts this script once more under disk.c, unless it is; raises FileNotFoundError without a C compiler."""
    if _LIBRARY not in os.environ:
        with empty_folder() as folder:
            library = folder / "faults.so"
            source = Path(__file__).with_suffix(".c")
            subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lpthread"], check=True)
            environment = {**os.environ, _LIBRARY: str(library), "LD_PRELOAD": str(library)}
            again = subprocess.Popen([sys.executable, *sys.argv], env=environment)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the other one to stop, and to say what there is
            sys.exit(again.wait())
    yield
