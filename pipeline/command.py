"""What all commands share: how they parse, what they say when they fail, and how they exit."""

import argparse
import contextlib
import ctypes
import difflib
import gc
import importlib.metadata
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from simple_parsing import ArgumentParser, DashVariant

from imageshards.pipeline.errors import JobError, UserError

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def run_command(name: str, run: Callable[[Sequence[str]], int], arguments: Sequence[str] | None) -> NoReturn:
    """Runs a command and exits: with what it returns, 1 it failed, 2 the user can mend it, 130 interrupted.

    `--version` alone prints the version of the package; `imageshards-records` has an option of that name as well.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments == ["--version"]:
        print(f"{name} {importlib.metadata.version('imageshards')}")
        sys.exit()
    try:
        sys.exit(run(arguments))
    except UserError as error:
        complain(name, str(error))
        sys.exit(MISTAKE)
    except JobError as error:
        complain(name, str(error))
        sys.exit(FAILED)
    except KeyboardInterrupt:
        complain(name, "stopped")
        sys.exit(INTERRUPTED)


def new_parser(name: str, options: type, epilog: str = "") -> "Parser":
    """Returns a parser that makes `options`, a dataclass, from the command line: its fields are the options."""
    dashes = DashVariant.DASH
    epilog = f"{epilog} --version alone prints the version of imageshards.".strip()
    parser = Parser(
        prog=name, add_option_string_dash_variants=dashes, formatter_class=_Help, epilog=epilog, allow_abbrev=False
    )
    parser.add_arguments(options, dest="options")
    return parser


class Parser(ArgumentParser):  # type: ignore[misc]
    """Explains a mistake in a sentence, without the whole usage, and suggests what may have been meant."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Returns the options; raises UserError for arguments that are none."""
        known, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.refuse(unknown[0], "there is no such option")
        return known

    def refuse(self, argument: str, why: str) -> NoReturn:
        """Raises UserError for an argument that is not understood, with the option that is spelt most like it."""
        if not argument.startswith("-"):
            raise UserError(f"{argument}: one argument too many; a name with spaces needs quotes")
        option = argument.partition("=")[0]
        options = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        raise UserError(f"{option}: {why}{did_you_mean(option, options) or ';'} --help lists all")

    def error(self, message: str) -> NoReturn:
        """Raises UserError: what argparse says of a missing or unusable argument."""
        raise UserError(message.removeprefix("argument "))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            choices = [str(choice) for choice in action.choices]
            name = "/".join(action.option_strings) or action.metavar
            raise UserError(f"{name} {value}: give one of {', '.join(choices)}{did_you_mean(str(value), choices)}")


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Returns "; did you mean …?" with the one of `words` that is spelt most like `word`, or nothing."""
    close = difflib.get_close_matches(word.lower(), list(words), n=1, cutoff=0.75)
    return f"; did you mean {close[0]}?" if close else ""


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
