"""What all commands share: how they parse, what they say when they fail, and how they exit."""

import argparse
import contextlib
import difflib
import functools
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from simple_parsing import ArgumentParser, DashVariant

from imageshards.pipeline.entry import INTERRUPTED
from imageshards.pipeline.errors import JobError, UserError, refusal
from imageshards.pipeline.source import printable

FAILED, MISTAKE, CLOSED_PIPE = 1, 2, 141
DEBUG = "--debug"

_LONGEST = 300


def run_command(name: str, run: Callable[[Sequence[str]], int], arguments: Sequence[str] | None) -> NoReturn:
    """Runs a command and exits: with what it returns, 1 it failed, 2 the user can mend it, 130 interrupted.

    `--version` alone prints the version of the package; `imageshards-records` has an option of that name as well.
    What goes wrong is one sentence; --debug, which every command knows, shows the traceback too.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of doubtful metadata in a picture, which does not matter here
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given == ["--version"]:
        run = functools.partial(_print_version, name)
    with _any_output():
        try:
            code = run([argument for argument in given if argument != DEBUG])
            sys.stdout.flush()  # here, where it can be said that the disk is full
        except (KeyboardInterrupt, Exception) as error:
            code, said = _what_went_wrong(error)
            if DEBUG in given:
                complain(name, traceback.format_exc())
            if said:
                complain(name, said)
    sys.exit(code)


def _print_version(name: str, _: Sequence[str]) -> int:
    import importlib.metadata  # half of what --help takes beside its parser

    say(f"{name} {importlib.metadata.version('imageshards')}")
    return 0


def _what_went_wrong(error: BaseException) -> tuple[int, str]:
    """Returns the exit code, and a sentence unless nobody is there to read it."""
    match error:
        case UserError():
            return MISTAKE, str(error)
        case JobError():
            return FAILED, str(error)
        case KeyboardInterrupt():
            return INTERRUPTED, "stopped"
        case BrokenPipeError():
            return CLOSED_PIPE, ""  # whoever read the output has gone, as `… | head` does
        case MemoryError():
            return FAILED, "there is not enough memory"
        case OSError(strerror=str()):
            return _what_went_wrong(refusal(error))
    first = str(error).strip().partition("\n")[0][:_LONGEST]
    return FAILED, f"an error that was not foreseen, {type(error).__name__}: {first}; {DEBUG} shows where"


@contextlib.contextmanager
def _any_output() -> Iterator[None]:
    """Lets output go to a terminal of any encoding, and to a reader who has gone."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    yield
    try:
        sys.stdout.flush()
    except OSError:  # Python would try once more at exit, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def new_parser(name: str, options: type, epilog: str = "") -> "Parser":
    """Returns a parser that makes `options`, a dataclass, from the command line: its fields are the options."""
    dashes = DashVariant.DASH
    epilog = f"{epilog} --version alone prints the version of imageshards.".strip()
    parser = Parser(
        prog=name, add_option_string_dash_variants=dashes, formatter_class=_Help, epilog=epilog, allow_abbrev=False
    )
    parser.add_arguments(options, dest="options")
    parser.add_argument(DEBUG, action="store_true", help="Show where in the program something went wrong.")
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
        raise UserError(f"{option}: {why}{self.meant(option) or ';'} --help lists all")

    def meant(self, argument: str) -> str:
        """Returns "; did you mean …?" with the option that is spelt much like an argument, or nothing."""
        options = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        return did_you_mean(argument.partition("=")[0], options)

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


def say(text: str) -> None:
    """Prints for people, at once. Control characters, as in a file's name, are shown and not obeyed."""
    print(shown(text), flush=True)


def complain(name: str, message: str) -> None:
    """Prints to standard error, under the command's name."""
    with contextlib.suppress(OSError):  # nobody may be there to read it
        print(shown(f"{name}: {message}"), file=sys.stderr, flush=True)


def shown(text: str) -> str:
    """Returns text whose control characters, line ends apart, are written as escapes."""
    return "\n".join(map(printable, text.split("\n")))


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default where there is one to show, and no names of our own classes."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default else action.help

    def start_section(self, heading: str | None) -> None:
        super().start_section("what and how" if heading and heading.startswith("Options [") else heading)
