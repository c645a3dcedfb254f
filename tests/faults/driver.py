"""What faults of a disk and of a bucket share: the jobs that meet them, what must come of those, and the table."""

import abc
import collections
import contextlib
import dataclasses
import errno
import hashlib
import itertools
import os
import random
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

STEPS = ("listing", "reading", "staging", "shards", "publishing")

_NAMES = {-1: "short {}", -2: "loss of power"}  # of codes that are no errno, as in disk.c
_LONGEST = 60  # seconds, after which a job hangs


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is to go wrong: the `number`-th call of a kind, once or from then on.

    `how` is an errno or a code of disk.c, or the name of what a store does.
    """

    kind: str
    number: int
    how: int | str
    for_good: bool

    def __str__(self) -> str:
        """As in the table."""
        if isinstance(self.how, str):
            return self.how
        return _NAMES.get(self.how, f"{errno.errorcode.get(self.how)} of {{}}").format(self.kind)


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


class Place(abc.ABC):
    """A source of six pictures, and a version of five of them, from which each job goes on."""

    before = ("cat/1.png", "cat/2.png", "cat/3.png", "dog/4.png", "dog/5.png")
    after = "dog/6.png"
    versions: tuple[str, ...]
    """Those that are there in the end."""

    def __init__(self, folder: Path) -> None:
        """Keeps what jobs say in `folder`."""
        self._said = folder / "said"
        self._old: dict[str, str] = {}
        self._new: dict[str, str] = {}

    @abc.abstractmethod
    def faults(self) -> Iterator[Fault]:
        """Yields one fault after the other, as many of each kind as an undisturbed job has calls."""

    @abc.abstractmethod
    def calls(self) -> str:
        """Returns how many calls of which kind an undisturbed job has."""

    def unsynced(self) -> list[str]:
        """Returns what a loss of power could have taken from the version that the undisturbed job published."""
        return []

    @abc.abstractmethod
    def there(self) -> dict[str, bytes]:
        """Returns all files below OUT, such as pets/1.0.0/metadata.json."""

    @abc.abstractmethod
    def _start(self) -> None:
        """Makes OUT what it was before the job."""

    @abc.abstractmethod
    def _arguments(self) -> list[str]:
        """Returns those of the job."""

    @abc.abstractmethod
    def _arm(self, fault: Fault) -> None:
        """Lets the fault come, in this process if the fault is one of its own calls."""

    @abc.abstractmethod
    def _met(self) -> str:
        """Returns the step in which the fault came, or ""."""

    def meet(self, fault: Fault) -> Outcome:
        """Runs a job that meets a fault, and if it failed, one more."""
        self._start()
        code, said = self._run(fault)
        step = self._met()
        return Outcome(fault, step, code, said, self._what_is_wrong(step, code, said))

    def _what_is_wrong(self, step: str, code: int, said: str) -> str:
        published = self._published()
        if "Traceback" in said or "not foreseen" in said:
            return "it was not foreseen"
        if code == 0:
            return "" if published == self._new else "it was published, and is not the same"
        if published not in (self._old, self._new):
            return "the version from before is not whole"
        if code == -signal.SIGALRM:
            return "it hangs"
        if code != -signal.SIGKILL and (code not in self._codes(step) or not said.strip()):
            return f"exit code {code}"
        code, said = self._run(None)
        if code or self._published() != self._new:
            return f"the next job did not put it right: {said}"
        left = {name.split("/")[1] for name in self.there()}
        return "" if left == set(self.versions) else f"left behind: {left}"

    def _codes(self, step: str) -> tuple[int, ...]:
        """Returns the exit codes with which a job may fail in a step."""
        return (1,)

    def _published(self) -> dict[str, str]:
        """Returns the checksums of the files of all versions that TFDS sees."""
        there = self.there()
        seen = {name.rpartition("/")[0] for name in there if name.endswith("/dataset_info.json")}
        return {
            name: hashlib.sha256(data).hexdigest()
            for name, data in there.items()
            if name.rpartition("/")[0] in seen and "/incomplete" not in name
        }

    def _run(self, fault: Fault | None) -> tuple[int, str]:
        """Runs the job in a fork of this process; returns its exit code and what it complained of."""
        from imageshards.pipeline.__main__ import main

        sys.stdout.flush()
        child = os.fork()
        if not child:
            try:
                signal.alarm(_LONGEST)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(os.open(self._said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
                if fault:
                    self._arm(fault)
                main(self._arguments())
            except SystemExit as ended:
                sys.stdout.flush()
                os._exit(int(ended.code or 0))
            except BaseException as error:  # as Python would say it
                os.write(2, f"Traceback: {error!r}".encode())
                os._exit(1)
        try:
            status = os.waitpid(child, 0)[1]
        except KeyboardInterrupt:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        return os.waitstatus_to_exitcode(status), self._said.read_text()


def draw(folder: Path, names: Iterable[str]) -> None:
    """Draws a small picture of its own under each name."""
    for name in names:
        pixels = np.random.default_rng(list(name.encode())).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)


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


def outcomes(place: Place, sample: int) -> Iterator[Outcome]:
    """Yields what comes of `sample` faults, or of all of them for 0; Ctrl-C ends it early."""
    with contextlib.suppress(KeyboardInterrupt):
        for fault in mixed(place.faults())[: sample or None]:
            yield place.meet(fault)


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
