"""The folders of runs: each appears whole or not at all, and the one that it replaces stays beside it.

A run is written to a hidden folder of RUNS, marked as whole by a rename, and moved into its place. The run that had its
name is then `<name>.previous`; of those there is one. Whatever moment a process is killed in, the next one that trains
removes what is not whole and moves into place what is.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from imageshards.pipeline.source import UserError

RUN = "run.json"  # what makes a folder a run's

_ASIDE = ".incomplete-"
_WHOLE = ".whole-"
_PREVIOUS = ".previous"


@contextlib.contextmanager
def new_run(runs: Path, name: str) -> Iterator[Path]:
    """Yields an empty folder for a run's files; it becomes runs/name when the block ends without an error.

    Raises:
      UserError: something that is not a run has this name, or RUNS is not a folder.
    """
    final = runs / name
    _check_ours(final)
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"--runs {runs}: a file is in its place; give a folder") from error
    with contextlib.ExitStack() as stack:
        with _locked(runs):
            _clean_up_after_killed(runs)
            aside = runs / f"{_ASIDE}{name}-{secrets.token_hex(4)}"
            aside.mkdir()
            stack.callback(shutil.rmtree, aside, ignore_errors=True)
            stack.enter_context(_locked(aside))
        yield aside
        with _locked(runs):
            whole = aside.rename(runs / f"{_WHOLE}{name}")
            _move_into_place(whole, final)


def _check_ours(final: Path) -> None:
    """Raises UserError where something lies in the place of a run, or of the one before it, that is not a run."""
    for folder in (final, previous(final)):
        if os.path.lexists(folder) and not is_run(folder):
            raise UserError(f"{folder} is there already and is not the folder of a run; choose another with --name")


def is_run(folder: Path) -> bool:
    """Says whether a folder is a run's."""
    return (folder / RUN).is_file()


def check_run(folder: Path) -> None:
    """Raises UserError where a folder is not a run's."""
    if not is_run(folder):
        raise UserError(f"{folder}: not the folder of a run; give one such as runs/pexels-mobilenet")


def previous(folder: Path) -> Path:
    """Returns where the run that `folder` replaced is, if it replaced one."""
    return folder.with_name(folder.name + _PREVIOUS)


def _move_into_place(whole: Path, final: Path) -> None:
    _check_ours(final)
    if final.exists():
        shutil.rmtree(previous(final), ignore_errors=True)
        final.rename(previous(final))
    whole.rename(final)


def _clean_up_after_killed(runs: Path) -> None:
    """Moves into place what is whole, and removes what is not and is not locked any more."""
    for whole in runs.glob(f"{_WHOLE}*"):
        with contextlib.suppress(OSError, UserError):  # it stays; runs of other names go on
            _move_into_place(whole, runs / whole.name.removeprefix(_WHOLE))
    for aside in runs.glob(f"{_ASIDE}*"):
        with contextlib.suppress(OSError), _locked(aside, wait=False):
            shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds a lock on a folder, which ends with the process at the latest.

    Raises:
      BlockingIOError: another process has it, and `wait` is false.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
