"""What a command says reaches people as text: not their terminal as orders, not their spreadsheet as formulas."""

import csv
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from imageshards.pipeline.command import run_command
from imageshards.pipeline.source import JobError, UserError
from imageshards.pipeline.spreadsheet import as_path, write_rows

from .conftest import Command, draw_tree

ESCAPE = "\x1b[31m\x9b2J\x07"
PYTHON = [sys.executable, "-c"]


def outcome(capsys: pytest.CaptureFixture[str], run: Callable[..., int], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as exited:
        run_command("imageshards-test", run, arguments)
    return int(exited.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError("give another"), 2, "imageshards-test: give another\n"),
        (JobError("the disk failed"), 1, "imageshards-test: the disk failed\n"),
        (KeyboardInterrupt(), 130, "imageshards-test: stopped\n"),
        (MemoryError(), 1, "imageshards-test: there is not enough memory\n"),
        (OSError(28, "No space left on device", "/tmp/x"), 1, "imageshards-test: No space left on device: /tmp/x\n"),
        (KeyError("a\nb"), 1, r"KeyError: 'a\nb'; --debug shows where"),
        (RecursionError("too deep"), 1, "RecursionError: too deep; --debug shows where"),
        (UnicodeEncodeError("ascii", "é\n", 0, 1, ESCAPE), 1, r"UnicodeEncodeError: 'ascii' codec"),
    ],
)
def test_whatever_goes_wrong_is_a_sentence(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, words: str
) -> None:
    def fails(_: object) -> int:
        raise error

    found, said = outcome(capsys, fails)
    assert (found, said.count("\n")) == (code, 1)
    assert words in said
    assert "\x1b" not in said
    found, said = outcome(capsys, fails, "--debug")
    assert found == code
    assert "raise error" in said


def test_control_characters_are_shown_and_not_obeyed(tmp_path: Path, records: Command, capsys: object) -> None:
    folder = draw_tree(tmp_path / f"a{ESCAPE}" / "raw", ["a/1.png", f"b/{ESCAPE}.png", "b/2.png"])
    for arguments in (
        [folder],
        [folder, "--dry-run"],
        [f"no{ESCAPE}"],
        [folder, f"--{ESCAPE}"],
        [folder, "--size", ESCAPE],
    ):
        _, said, complained = records(*arguments)
        assert not {"\x1b", "\x9b", "\x07"} & set(said + complained)
    assert (records(folder, "--dry-run")[1]).count(r"\x1b[31m\x9b2J\x07") >= 1


def test_a_terminal_of_another_encoding_gets_what_it_can_show() -> None:
    script = "from imageshards.pipeline.command import *; run_command('x', lambda _: say('a → é \\udcff') or 0, [])"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([*PYTHON, script], env=environment, capture_output=True, check=True)
    assert done.stdout == b"a \\u2192 \xe9 \\udcff\n"
    assert done.stderr == b""


@pytest.mark.parametrize("output", ["closed pipe", "/dev/full"])
def test_a_reader_who_goes_ends_a_command_quietly(output: str) -> None:
    script = "from imageshards.pipeline.command import *; run_command('x', lambda _: print('y' * 9) or 0, [])"
    reader, writer = os.pipe()
    os.close(reader)
    out = writer if output == "closed pipe" else os.open(output, os.O_WRONLY)
    done = subprocess.run([*PYTHON, script], stdout=out, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    if output == "closed pipe":
        assert (done.returncode, done.stderr) == (141, b"")
    else:
        assert (done.returncode, done.stderr) == (1, b"x: No space left on device\n")


def test_an_interrupt_while_modules_are_imported_is_quiet() -> None:
    script = (
        "import os, signal, sys; from imageshards.pipeline import entry;"
        "find = lambda *_: os.kill(os.getpid(), signal.SIGINT);"
        "sys.meta_path.insert(0, type('Finder', (), {'find_spec': find}));"
        "sys.argv = ['/bin/imageshards-x']; entry.records()"
    )
    done = subprocess.run([*PYTHON, script], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"imageshards-x: stopped\n")


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "\t=1", "＝1"])
def test_no_cell_is_a_formula(text: str) -> None:
    table = io.StringIO()
    write_rows(table, [("file", "label", "number"), (as_path(text), text, -1)])
    rows = list(csv.reader(io.StringIO(table.getvalue())))
    assert rows == [["file", "label", "number"], [f"./{text}", f"'{text}", "-1"]]
