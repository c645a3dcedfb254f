"""Lets the N-th call of the disk fail, for N = 1, 2, 3 … until the job passes.

    python tests/faults.py [--sample K]

After each job there is either the right version, or a sentence, the version from before, and a next job that makes the
right one. The table that is printed says how often, for each fault and each step of the job. It needs Linux and a C
compiler.

The jobs run in copies (forks) of this process, which has imported everything, so that a fault costs no start.
"""

import argparse
import collections
import contextlib
import ctypes
import dataclasses
import errno
import hashlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

LIBRARY = "IMAGESHARDS_FAULTS"  # the variable that holds the path of faults.c, compiled
SHORT, POWER = -1, -2  # as in faults.c
FAULTS: dict[str, tuple[int, ...]] = {
    "list": (errno.EIO, errno.ESTALE),
    "stat": (errno.EIO, errno.ESTALE),
    "open": (errno.EIO, errno.ESTALE, errno.EMFILE),
    "read": (errno.EIO, errno.ESTALE, SHORT),
    "write": (errno.EIO, errno.ENOSPC, SHORT),
    "sync": (errno.EIO, errno.ENOSPC),
    "rename": (errno.EIO, errno.ENOSPC),
    "mkdir": (errno.EIO, errno.ENOSPC),
    "truncate": (errno.EIO,),
    "unlink": (errno.EIO,),
    "any": (POWER,),
}
STEPS = ("listing", "reading", "staging", "shards", "publishing")


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is to go wrong: the `number`-th call of a kind, once or from then on."""

    kind: str
    number: int
    code: int
    for_good: bool

    def __str__(self) -> str:
        """As in the table."""
        names = {SHORT: f"short {self.kind}", POWER: "loss of power"}
        return names.get(self.code) or f"{errno.errorcode[self.code]} of {self.kind}"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a job did that met a fault; `step` is "" where it ended before the fault."""

    fault: Fault
    step: str
    code: int
    said: str
    wrong: str = ""  # what should not be

    @property
    def words(self) -> str:
        """Returns the heading under which it is counted."""
        if self.wrong:
            return "WRONG"
        return {0: "right", -signal.SIGKILL: "killed, then right"}.get(self.code, "a sentence, then right")


def compiled(folder: Path) -> Path:
    """Compiles faults.c; raises FileNotFoundError or CalledProcessError without a C compiler."""
    library = folder / "faults.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lpthread"], check=True)
    return library


def draw(folder: Path, names: list[str]) -> None:
    """Draws a small picture of its own under each name."""
    for name in names:
        pixels = np.random.default_rng(list(name.encode())).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)


def digests(version: Path) -> dict[str, str]:
    """Returns what is in a published version."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in version.glob("*")}


class Disk:
    """A source of six pictures, and a version of five of them, from which each job goes on."""

    def __init__(self, folder: Path) -> None:
        """Makes them in an empty folder."""
        self._folder = folder
        self.src, self.out, self._log = folder / "pets", folder / "out", folder / "log"
        self._library = ctypes.CDLL(os.environ[LIBRARY])
        os.environ["FAULT_FOLDERS"] = f"{self.src}:{self.out}"
        draw(self.src, ["cat/1.png", "cat/2.png", "cat/3.png", "dog/4.png", "dog/5.png"])
        self._run(None)
        draw(self.src, ["dog/6.png"])
        self.out.rename(folder / "before")
        self._old = digests(folder / "before/pets/1.0.0")
        self._start()
        code, said = self._run(Fault("", 0, 0, False))
        assert code == 0, said
        self._new = digests(self.out / "pets/1.0.0")
        self.calls = collections.Counter(line.split()[0] for line in self._log.read_text().splitlines())

    def faults(self) -> Iterator[Fault]:
        """Yields one fault after the other, as many of each kind as an undisturbed job has calls."""
        for kind, codes in FAULTS.items():
            calls = sum(self.calls.values()) if kind == "any" else self.calls[kind]
            for code, for_good in itertools.product(codes, (False, True)):
                if not (code == POWER and for_good):
                    yield from (Fault(kind, number, code, for_good) for number in range(1, calls + 1))

    def meet(self, fault: Fault) -> Outcome:
        """Runs a job that meets a fault, and if it failed, one more."""
        self._start()
        code, said = self._run(fault)
        met = [line.removeprefix("! ") for line in self._log.read_text().splitlines() if line.startswith("! ")]
        step = step_of(*met[0].split(" ", 1)) if met else ""
        return Outcome(fault, step, code, said, self._what_is_wrong(code, said))

    def _start(self) -> None:
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.copytree(self._folder / "before", self.out)

    def _what_is_wrong(self, code: int, said: str) -> str:
        there = digests(self.out / "pets/1.0.0")
        if "Traceback" in said or "not foreseen" in said:
            return "it was not foreseen"
        if code == 0:
            return "" if there == self._new else "it was published, and is not the same"
        if there not in (self._old, self._new):
            return "the version from before is not whole"
        if code == -signal.SIGKILL:
            pass
        elif code not in (1, 2) or not said.strip():
            return f"exit code {code}"
        code, said = self._run(None)
        if code or digests(self.out / "pets/1.0.0") != self._new:
            return f"the next job did not put it right: {said}"
        return "" if os.listdir(self.out / "pets") == ["1.0.0"] else "something was left behind"

    def _run(self, fault: Fault | None) -> tuple[int, str]:
        """Runs the job in a fork of this process; returns its exit code and what it complained of."""
        said = self._folder / "said"

        def arm() -> None:
            if fault:
                log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
                number = fault.number or -1  # nothing fails, and all is counted
                self._library.fault_arm(fault.kind.encode(), number, fault.code, int(fault.for_good), log)

        arguments = [str(self.src), "--out", str(self.out), "--size", "32", "--shards", "1", "--workers", "1"]
        return run(arguments, said, arm), said.read_text()


def run(arguments: list[str], said: Path, before: Callable[[], None]) -> int:
    """Runs imageshards-records in a fork of this process, after `before`; returns its exit code."""
    from imageshards.pipeline.__main__ import main

    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            before()
            main(arguments)
        except SystemExit as ended:
            sys.stdout.flush()
            os._exit(int(ended.code or 0))
        except BaseException as error:  # as Python would say it
            os.write(2, f"Traceback: {error!r}".encode())
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def step_of(kind: str, path: str) -> str:
    """Returns the step of a job in which it touches a path so."""
    if "/out/" not in f"{path}/":
        return "reading" if kind in ("open", "read") else "listing"
    if "/incomplete" not in path:
        return "publishing"
    if "/staged" in path or path.endswith("sources.arrow"):
        return "staging"
    return "shards" if "/shards" in path or "tfrecord" in path else "publishing"


def import_everything() -> None:
    """Runs a job, so that forks need not import what it needs; and takes the time out of its pauses."""
    import tenacity  # noqa: F401

    from imageshards.pipeline import make_records, originals

    originals._FIRST_PAUSE = 0
    with empty_folder() as folder:
        draw(folder / "pets", ["cat/1.png", "dog/2.png"])
        make_records(str(folder / "pets"), out=str(folder / "out"), size=32, workers=1)


def mixed(faults: Iterable[Fault]) -> list[Fault]:
    """Returns the faults in an order in which each kind comes soon, and its calls in an order drawn by a seed."""
    groups: dict[tuple[str, bool], list[Fault]] = collections.defaultdict(list)
    for fault in faults:
        groups[str(fault), fault.for_good].append(fault)
    for name, group in groups.items():
        random.Random(str(name)).shuffle(group)
    return [fault for row in itertools.zip_longest(*groups.values()) for fault in row if fault]


def table(outcomes: list[Outcome]) -> str:
    """Returns fault × step, with how often each ended how; faults that were not met are left out."""
    cells: dict[tuple[str, str], collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for outcome in outcomes:
        if outcome.step:
            cells[str(outcome.fault), outcome.step][outcome.words] += 1
    lines = [" | ".join(("| fault", *STEPS)) + " |", "|---" * (len(STEPS) + 1) + "|"]
    for fault in dict.fromkeys(fault for fault, _ in cells):
        row = [", ".join(f"{n} {words}" for words, n in sorted(cells[fault, step].items())) or "–" for step in STEPS]
        lines.append(" | ".join((f"| {fault}", *row)) + " |")
    return "\n".join(lines)


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    """Yields a folder for the pictures and versions; in memory where that is possible."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder).resolve()


def main() -> None:
    """Compiles the library, starts once more under it, and prints the table; exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=0, metavar="K", help="so many faults, drawn by a seed; else all")
    options = parser.parse_args()
    if LIBRARY not in os.environ:
        with empty_folder() as folder:
            library = str(compiled(folder))
            environment = {**os.environ, LIBRARY: library, "LD_PRELOAD": library}
            sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode)
    import_everything()
    with empty_folder() as folder:
        disk = Disk(folder)
        faults = mixed(disk.faults())[: options.sample or None]
        outcomes = []
        with contextlib.suppress(KeyboardInterrupt):  # then the table is of those so far
            for fault in faults:
                outcomes.append(disk.meet(fault))
                if outcomes[-1].wrong:
                    print(outcomes[-1], flush=True)
        calls = ", ".join(f"{count} {kind}" for kind, count in disk.calls.most_common())
    met = sum(bool(outcome.step) for outcome in outcomes)
    print(table(outcomes))
    print(f"{len(outcomes)} jobs, {met} of which met their fault; an undisturbed one has the calls {calls}")
    sys.exit(any(outcome.wrong for outcome in outcomes))


if __name__ == "__main__":
    main()
