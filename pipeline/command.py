"""What all commands share: how they parse, what they say when they fail, and how they exit."""

import argparse
import contextlib
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from simple_parsing import ArgumentParser, DashVariant

from imageshards.pipeline.source import JobError, UserError

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130


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


def complain(name: str, message: str) -> None:
    """Prints to standard error, under the command's name."""
    print(f"{name}: {message}", file=sys.stderr, flush=True)


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default where there is one to show, and no names of our own classes."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default else action.help

    def start_section(self, heading: str | None) -> None:
        super().start_section("what and how" if heading and heading.startswith("Options [") else heading)
