"""The whole process: what it may use, and its settings. Commands make these; the library never does, for there the
process is the caller's.
"""

import contextlib
import ctypes
import gc
import importlib.abc
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, `kill`, and a terminal that is closed
_COLLECT_AFTER = 100_000  # new objects; Python's own 700 cost a fifth of the time of importing Beam
# What Arrow, Beam and Keras import where they find it, and commands on this machine never use.
_UNUSED = frozenset(
    [
        "pandas",
        "pymongo",
        "bson",
        "IPython",
        "boto3",
        "google.cloud.storage",
        "google.cloud.bigquery",
        "apache_beam.io.gcp.bigquery",
        "matplotlib",
        "scipy",
    ]
)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def available_cpus() -> int:
    """Returns how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def silence_beam() -> None:
    """Hides what Beam logs: warnings about optional packages, and errors that it also raises."""
    logging.getLogger().setLevel(logging.ERROR)
    logging.getLogger().addFilter(lambda _: False)  # by itself alone, where Beam repeats what a runner says
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)


def collect_rarely() -> None:
    """Lets the garbage collector run rarely: imports make many objects and no garbage."""
    gc.set_threshold(_COLLECT_AFTER)


class _Absent(importlib.abc.MetaPathFinder):
    def __init__(self) -> None:
        self._thread = threading.get_ident()  # others may need them: those of a server do

    def find_spec(self, fullname: str, *_: Any) -> None:
        if fullname in _UNUSED and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is left out", name=fullname)


@contextlib.contextmanager
def unused_left_out() -> Iterator[None]:
    """Lets unused packages be absent for this thread: a quarter of the CPU time of starting, and 50 MB."""
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)


def return_large_blocks() -> None:
    """Lets glibc give blocks of 4 MB and more back when they are freed: the plan makes many. Elsewhere it does nothing.

    Left alone glibc raises that limit to 32 MB, keeps the blocks, and a job of a million images takes 90 MB more.
    Smaller ones, which hold decoded pictures, are better kept: fresh memory costs a fault for every 4 KB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 4 << 20)
        mallopt(_M_TRIM_THRESHOLD, 32 << 20)  # which the line above would otherwise leave at 128 kB


@contextlib.contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Lets Ctrl-C, `kill` and a closed terminal raise KeyboardInterrupt in the block; a second one ends the process."""

    def interrupt(*_: object) -> None:
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
