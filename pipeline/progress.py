"""How far a job is, for whoever watches it from the same process."""

import dataclasses
import itertools
import threading
import weakref
from collections.abc import Callable

Report = Callable[[int, int], None]
"""Called with the images that are done so far, and how many of them were rejected."""

_numbers = itertools.count()
_in_this_process: "weakref.WeakValueDictionary[int, Progress]" = weakref.WeakValueDictionary()


@dataclasses.dataclass(eq=False)
class Progress:
    """Counts images that are done. Beam pickles it with a step: in this process the copy is the original.

    A worker elsewhere counts for nobody.
    """

    report: Report | None = None
    done: int = 0
    rejected: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._number = next(_numbers)
        _in_this_process[self._number] = self

    def add(self, done: int, rejected: int) -> None:
        """Counts images that are done, and how many of them were rejected."""
        with self._lock:
            self.done += done
            self.rejected += rejected
            if self.report:
                self.report(self.done, self.rejected)

    def __reduce__(self) -> tuple[Callable[[int], "Progress"], tuple[int]]:
        return _found, (self._number,)


def _found(number: int) -> Progress:
    return _in_this_process.get(number) or Progress()
