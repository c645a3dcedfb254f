"""What all commands share: how they parse, what they say when they fail, and how they exit."""

import argparse
import contextlib
import ctypes
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from simple_parsing import ArgumentParser, DashVariant

from imageshards.pipeline.source import JobError, UserError

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def run_command(name: str, run: Callable[[Sequence[str]], int], arguments: Sequence[str] | None) -> NoReturn:
    """Runs a command and exits: with what it returns, 1 it failed, 2 the user can mend it, 130 interrupted."""
    try:
        sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))
    except UserError as error:
        complain(name, str(error))
        sys.exit(MISTAKE)
    except JobError as error:
        complain(name, str(error))
        sys.exit(FAILED)
    except KeyboardInterrupt:
        complain(name, "stopped")
        sys.exit(INTERRUPTED)


def new_parser(name: str, options: type, epilog: str = "") -> ArgumentParser:
    """Returns a parser that makes `options`, a dataclass, from the command line: its fields are the options."""
    dashes = DashVariant.DASH
    parser = ArgumentParser(
        prog=name, add_option_string_dash_variants=dashes, formatter_class=_Help, epilog=epilog, allow_abbrev=False
    )
    parser.add_arguments(options, dest="options")
    return parser


@contextlib.contextmanager
def many_imports() -> Iterator[None]:
    """Pauses the garbage collector: imports make many objects and no garbage, and looking for some takes time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def return_large_blocks() -> None:
    """Lets glibc give blocks of 4 MB and more back when they are freed: the plan makes many. Elsewhere it does nothing.

    Left alone glibc raises that limit to 32 MB, keeps the blocks, and a job of a million images takes 90 MB more.
    Smaller ones, which decoded pictures lie in, are better kept: fresh memory costs a fault for every 4 KB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 4 << 20)
        mallopt(_M_TRIM_THRESHOLD, 32 << 20)  # which the line above would otherwise leave at 128 kB


def complain(name: str, message: str) -> None:
    """Prints to standard error, under the command's name."""
    print(f"{name}: {message}", file=sys.stderr, flush=True)


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default where there is one to show, and no names of our own classes."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default else action.help

    def start_section(self, heading: str | None) -> None:
        super().start_section("what and how" if heading and heading.startswith("Options [") else heading)
