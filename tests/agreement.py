"""How far an exported page, in a real browser, agrees with imageshards-predict about picture files.

    python tests/agreement.py runs/pexels-mobilenet photos/validation

prints a table. The run was trained with `--export web --web-runtime …`.
"""

import contextlib
import dataclasses
import functools
import http.server
import json
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CLOSE = 0.02  # of probabilities


@dataclasses.dataclass(frozen=True)
class Answers:
    """Probabilities (pictures, labels), and which pictures are unlike those of training."""

    probabilities: npt.NDArray[np.float32]
    unlike: npt.NDArray[np.bool_]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Says nothing of requests."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Yields the address of a folder that is served on this machine."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def asked(page: Any, files: Sequence[Path]) -> Answers:
    """Chooses files on an exported page that is loaded; returns what it says of them."""
    page.locator("#status", has_text="Ready").wait_for()
    page.locator("#files").set_input_files(files)
    page.locator("#status", has_text="Done").wait_for()
    items = page.locator("#results > li").evaluate_all("items => items.map(item => ({...item.dataset})).reverse()")
    assert [item["file"] for item in items] == [file.name for file in files]
    probabilities = [json.loads(item["probabilities"]) for item in items]
    return Answers(np.array(probabilities, np.float32), np.array([item["unlike"] == "true" for item in items]))


def predicted(run: Path, files: Sequence[Path]) -> Answers:
    """Returns what imageshards-predict says of files."""
    from imageshards.train import open_run
    from imageshards.train.prediction import read_pixels

    classifier = open_run(run).classifier
    answers = [classifier.ask(np.array([read_pixels(file, classifier.normalization)])) for file in files]
    probabilities, unlike = zip(*answers, strict=True)
    return Answers(np.concatenate(probabilities), np.array([bool(one) for (one,) in unlike]))


def difference(one: Answers, other: Answers) -> npt.NDArray[np.float32]:
    """Returns how far the probabilities of each picture are apart, at most."""
    apart: npt.NDArray[np.float32] = np.abs(one.probabilities - other.probabilities).max(axis=1)
    return apart


def main(run: Path, pictures: Path) -> None:
    """Prints the table."""
    from playwright.sync_api import sync_playwright

    files = sorted(path for path in pictures.rglob("*") if path.is_file())
    with sync_playwright() as playwright, served(run / "web") as address:
        page = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]).new_page()
        page.set_default_timeout(900_000)
        page.goto(address)
        seen = asked(page, files)
    known = predicted(run, files)
    apart = difference(seen, known)
    same = seen.probabilities.argmax(axis=1) == known.probabilities.argmax(axis=1)
    print(f"pictures                       {len(files):,}")
    print(f"the same first label           {same.mean():.1%}")
    print(f"probabilities within {CLOSE}      {(apart <= CLOSE).mean():.1%} (median {np.median(apart):.1g})")
    print(f"the furthest apart             {apart.max():.1g}, {files[int(apart.argmax())]}")
    print(f"the same word on strangers     {(seen.unlike == known.unlike).mean():.1%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
