"""The command as a person meets it: what it says, what it refuses, and with which exit code."""

import contextlib
import dataclasses
import importlib.metadata
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from imageshards.pipeline.options import Options

from .conftest import Command, draw_tree

COMMAND = [sys.executable, "-m", "imageshards.pipeline"]
PETS = [f"{label}/{number}.png" for label in ("cat", "dog") for number in range(5)]


def test_help_explains_every_option() -> None:
    said = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True).stdout
    options = re.split(r"^  (?=--)", said, flags=re.MULTILINE)[1:]
    assert len(options) == len(dataclasses.fields(Options))  # SRC is none, --debug is one more
    for option in options:
        assert re.search(r"\s{2,}[A-Z].*\w\W*$", option, re.DOTALL), option


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nowhere"], "/nowhere: no such folder"),
        (["{tmp}", "--split", "80/30"], "--split '80/30': give one to three percentages that sum to 100"),
        (["{tmp}", "--sise", "3"], "--sise: neither this command nor Beam has such an option"),
        (["{tmp}", "--sise", "3"], "did you mean --size?"),
        (
            ["{tmp}", "--layout", "folder"],
            "--layout folder: give one of auto, folders, filenames, manifest; did you mean",
        ),
        (["{tmp}", "more"], "more: one argument too many"),
        (["{tmp}", "--size", "big"], "--size: invalid int value: 'big'"),
        (["{tmp}", "--direct_running_mode", "multi_threading"], "Beam loses records silently"),
        (["{tmp}", "--dataset", "My Set"], "'my_set' would do"),
        (["{tmp}", "--out", "{tmp}/inside"], "choose another folder with --out"),
        (["{tmp}", "--out", "/proc/nothing"], "/proc/nothing"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(tmp_path: Path, arguments: list[str], message: str) -> None:
    draw_tree(tmp_path, PETS)
    arguments = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    done = subprocess.run([*COMMAND, "--workers", "1", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


COMMANDS = {
    "imageshards-records": "imageshards.pipeline.__main__",
    "imageshards-verify": "imageshards.pipeline.verify_command",
    "imageshards-report": "imageshards.pipeline.report_command",
    "imageshards-train": "imageshards.train.__main__",
    "imageshards-evaluate": "imageshards.train.evaluate_command",
    "imageshards-predict": "imageshards.train.predict_command",
    "imageshards-app": "imageshards.train.app",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_waits_for_no_large_import(name: str) -> None:
    script = (
        "import contextlib, importlib, sys\n"
        "main = importlib.import_module(sys.argv[1]).main\n"
        "for arguments in (['--help'], ['--version']):\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        main(arguments)\n"
        "sys.exit(' '.join({'numpy', 'PIL', 'pyarrow', 'fsspec', 'keras', 'tensorflow'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script, COMMANDS[name]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"usage: {name}" in done.stdout
    assert f"{name} {importlib.metadata.version('imageshards')}" in done.stdout


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(tmp_path: Path, records: Command) -> None:
    root = draw_tree(tmp_path / "pets", [*PETS, "cat/._x.png"])
    (root / "notes.txt").write_text("x")
    code, said, _ = records(root, "--dry-run")
    assert code == 0
    assert "layout folders (every image lies in one of 2 folders)" in said
    assert "ignored, not images: 1 .txt" in said
    assert re.search(r"together +6 +2 +2", said)
    assert not (tmp_path / "data").exists()


def test_a_folder_of_datasets_is_built_in_one_go(tmp_path: Path, records: Command) -> None:
    draw_tree(tmp_path / "raw/pets", PETS)
    draw_tree(tmp_path / "raw/colors", ["train/red/1.png", "train/blue/2.png", "val/red/3.png"])
    code, _, _ = records(tmp_path / "raw")
    assert code == 0
    assert sorted(os.listdir(tmp_path / "data")) == ["colors", "pets"]


def test_spaces_and_accents_anywhere(tmp_path: Path) -> None:
    root = draw_tree(tmp_path / "my été $HOME 'x' set", ["chat é/un deux.png", "hot dog/3.png"])
    out = tmp_path / "out put"
    subprocess.run([*COMMAND, str(root), "--out", str(out)], check=True, capture_output=True)
    assert (out / "my_ete_home_x_set/1.0.0/label.labels.txt").read_text() == "chat é\nhot dog\n"


make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def run_make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs make beside stand-ins for the commands, which print what reached them."""
    shutil.copy(Path(__file__).parents[1] / "Makefile", folder)
    for name in ("imageshards-records", "imageshards-train", "imageshards-verify"):
        command = folder / ".venv/bin" / name
        command.parent.mkdir(parents=True, exist_ok=True)
        command.write_text('#!/bin/sh\nprintf "[%s]" "$@"\n')
        command.chmod(0o755)
    old = [part for step in ("records", "train", "editable") for part in ("-o", f".venv/.{step}")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "-s", *old, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@make
@pytest.mark.parametrize("name", ['a "b" `c` (d)', "raw$1cats", "$(shell touch made)", "$$HOME", "it's"])
def test_make_passes_values_on_as_they_were_typed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    done = run_make(tmp_path, "records", f"SRC={name}", "SIZE=32", "ARGS=--label-pattern '(?P<label>x)$'")
    assert done.stdout == f"[{name}][--size][32][--label-pattern][(?P<label>x)$]", done.stderr
    assert not (tmp_path / "made").exists()


@make
def test_make_takes_the_name_or_the_path_of_a_dataset(tmp_path: Path) -> None:
    for given, reached in (
        (["DATASET=pets"], "data/pets"),
        (["DATASET=pets", "OUT=elsewhere"], "elsewhere/pets"),
        (["DATASET=other/pets/1.0.0"], "other/pets/1.0.0"),
    ):
        assert run_make(tmp_path, "verify", *given).stdout == f"[{reached}]"


@make
def test_make_serves_the_page_of_a_run_to_this_machine_until_it_is_stopped(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[1] / "Makefile", tmp_path)
    (tmp_path / "my run/web").mkdir(parents=True)
    (tmp_path / "my run/web/index.html").write_text("the page")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["make", "-s", "serve", "RUN=my run", f"PORT={port}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as serving:
        try:
            assert fetched(f"http://127.0.0.1:{port}/", serving) == "the page"
        finally:
            os.killpg(serving.pid, signal.SIGINT)  # Ctrl-C
        assert "Traceback" not in serving.communicate(timeout=60)[0]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def fetched(url: str, server: "subprocess.Popen[str]") -> str:
    """Waits until the server answers, and returns what it says."""
    while server.poll() is None:
        with contextlib.suppress(OSError), urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
        time.sleep(0.05)
    raise AssertionError(server.communicate()[0])


@make
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "DATASET=pets", "EPOCH=3"], "make train has no EPOCH; it takes DATASET MODEL EPOCHS"),
        (["records", "src=photos"], "make records has no src; did you mean SRC?"),
        (["SRC=photos"], "say what to make, as in make records SRC=photos"),
        (["records", "SRC=nowhere"], "SRC=nowhere: there is no such folder"),
        (["records", "SRC="], "SRC is empty"),
        (["records", "photos"], "there is no command photos; make help lists all"),
        (["record", "SRC=photos"], "there is no command record; did you mean records?"),
        (["records", "DATASET=pets"], "say where the images are"),
        (["train"], "say which DATASET"),
        (["predict", "RUN=runs/pets-cnn"], "say which IMAGES"),
        (["serve", "RUN=runs/pets-cnn"], 'runs/pets-cnn has no page: make train with ARGS="--export web" makes one'),
    ],
)
def test_make_explains_what_it_cannot_use_before_anything_is_installed(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = run_make(tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_a_bar_goes_along_in_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    src = draw_tree(tmp_path / "pets", [f"{label}/{n}.png" for label in ("cat", "dog") for n in range(3)])
    command = [*COMMAND, str(src), "--size", "32", "--out", str(tmp_path / "data"), "--version"]
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 80))
    subprocess.run([*command, "1.0.0"], stderr=end, stdout=subprocess.DEVNULL, check=True)
    os.close(end)
    assert "/6 [" in os.read(terminal, 100_000).decode()
    os.close(terminal)
    quiet = subprocess.run([*command, "2.0.0"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=True)
    assert b"/6 [" not in quiet.stderr


def test_an_interrupt_stops_the_job_and_leaves_no_process(tmp_path: Path) -> None:
    large = draw_tree(tmp_path / "pets", ["a/0.png", "b/0.png"], size=(3000, 2000))
    for number in range(1, 60):
        shutil.copy(large / "a/0.png", large / f"a/{number}.png")
    job = subprocess.Popen(
        [*COMMAND, str(tmp_path / "pets"), "--out", str(tmp_path / "data")],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    work = tmp_path / "data/pets/incomplete.1.0.0"
    while not list(work.glob("staged/*.records")) and job.poll() is None:
        time.sleep(0.01)
    job.send_signal(signal.SIGINT)
    _, error = job.communicate(timeout=100)
    assert job.returncode == 130
    assert "the same command continues from here" in error
    with pytest.raises(ProcessLookupError):
        os.killpg(job.pid, 0)


def test_the_app_ends_where_whoever_started_it_died_before_the_server_began(monkeypatch: pytest.MonkeyPatch) -> None:
    from imageshards.train import app

    monkeypatch.setattr(app, "STARTED_BY", os.getppid() + 1)
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_DFL)  # the tests themselves may run under nohup
    monkeypatch.setattr(app, "_LOOK_EVERY", 0.01)
    forever = "import sys; sys.stdin.read()"  # as the server does
    assert app._serve([sys.executable, "-c", forever], {}) == 0
