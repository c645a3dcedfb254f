"""The pages that people look at, in a real browser: both reports, and the app from dropped pictures to an answer."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imageshards.train.__main__ import main as train_main

from .conftest import Command, draw_tree, gradient, save
from .contrast import AA, least_contrast
from .drawings import draw_colors

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, as in apt-get install chromium, and it is not here"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Watched:
    """A page, what its console complained about, and where it sent requests to."""

    def __init__(self, browser: Any, width: int, scheme: str = "light") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def check_report(self, path: Path) -> None:
        """A report is one file, readable at this width, and every picture in it has a name."""
        self.page.goto(f"file://{path}")
        self.page.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
        self.page.wait_for_function("[...document.images].every(image => image.complete)")
        assert self.complaints == []
        assert {url.split(":")[0] for url in self.requests} <= {"file", "data"}
        assert [url for url in self.requests if url.startswith("file")] == [f"file://{path}"]
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert self.page.evaluate("[...document.images].every(image => image.alt && image.naturalWidth > 0)")
        assert self.page.evaluate("document.images.length") > 3
        assert self.page.evaluate("[...document.querySelectorAll('.wide')].every(e => e.scrollWidth <= e.clientWidth)")
        for media in ("screen", "print"):
            self.page.emulate_media(media=media)
            assert least_contrast(self.page) >= (AA, "")
        assert self.page.evaluate("getComputedStyle(document.documentElement).color") == "rgb(0, 0, 0)"  # on paper
        self.page.emulate_media(media="screen")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_report_of_a_dataset(tmp_path: Path, records: Command, browser: Any, width: int, scheme: str) -> None:
    evil = "<img src=x onerror=alert(1)>"
    root = draw_tree(tmp_path / "pets", [f"{label}/{n}.png" for label in (evil, "katze é") for n in range(6)])
    shutil.copy(root / "katze é/1.png", root / evil / "copy.png")
    save(Image.new("RGB", (50, 40)), root / "katze é/black.png")
    (root / "katze é/<script>alert(1)<\u2215script>.png").write_text("words")
    whole = save(gradient(600, 400), root / "katze é/cut.jpg", quality=95)
    whole.write_bytes(whole.read_bytes()[:9000])
    assert records(root, "--workers", "2", "--exclude", "no such")[0] == 0
    path = tmp_path / "data/pets/1.0.0/report.html"
    assert path.stat().st_size < 5_000_000
    watched = Watched(browser, width, scheme)
    watched.check_report(path)
    page = watched.page
    assert page.get_by_text("1 image is nearly black").is_visible()
    assert page.get_by_text("the same picture has several labels: 1 picture").is_visible()
    assert page.locator("#rejected ~ table img").count() == 1  # half of cut.jpg can be seen, and no words
    assert page.locator("pre").inner_text() == "imageshards-records pets --exclude 'no such'"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Worth a look"
    background, ink = (
        page.evaluate(f"getComputedStyle(document.documentElement).{name}") for name in ("colorScheme", "color")
    )
    assert background == "light dark"
    assert ink == ("rgb(0, 0, 0)" if scheme == "light" else "rgb(255, 255, 255)")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_of_a_run(tmp_path: Path, records: Command, browser: Any, width: int) -> None:
    draw_colors(tmp_path / "colors")
    for number in range(2):  # what no honest model can get right
        save(Image.new("RGB", (86, 68), (200, 30 + number, 30)), tmp_path / f"colors/training/blue/wrong{number}.png")
    records(tmp_path / "colors", "--size", "32")
    where = ["--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]
    with pytest.raises(SystemExit):
        train_main(["colors", *where, "--model", "mnist", "--epochs", "4"])
    watched = Watched(browser, width)
    watched.check_report(tmp_path / "runs/colors-mnist/report.html")
    assert watched.page.get_by_text("blue/wrong0.png").first.is_visible()
    assert watched.page.locator("polyline").count() == 4
    assert "--epochs 4" in watched.page.locator("pre").inner_text()


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.png")):
            archive.write(file, f"{folder.name}/{file.relative_to(folder)}")
    return path


def choose(page: Any, kind: str) -> None:
    """Says what is going to be dropped, and waits until the page has drawn the place for it."""
    page.get_by_text(kind, exact=True).click()
    attribute = ":not([webkitdirectory])" if kind == "Zip files" else "[webkitdirectory]"
    page.locator(f"input[type=file]{attribute}").nth(1).wait_for(state="attached")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[str]:
    """The address of the app; afterwards nothing of it is left."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "imageshards.train.app", "--port", str(port)]
    environment = {"TMPDIR": str(temporary), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    errors = (tmp_path / "errors").open("w+")
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
    )
    assert process.stdout is not None
    address = process.stdout.readline().split()[0]
    for _ in range(300):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health"):
            break
        time.sleep(0.2)
    yield address
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C reaches all that runs in a terminal
    assert process.wait(20) in (0, 130)
    with errors:
        errors.seek(0)
        assert "Traceback" not in errors.read()
    assert list(temporary.glob("imageshards*")) == []


LONGEST = 600_000  # milliseconds that a step may take, on however busy a machine


def drop(page: Any, number: int, what: Path, understood: str) -> None:
    """Drops a folder or a zip file on the first or the second place, and waits for what the page makes of it."""
    page.locator("input[type=file]").nth(number).set_input_files(what)
    page.get_by_text(understood, exact=True).wait_for()


@pytest.mark.slow
def test_the_app_trains_on_what_is_dropped_and_answers(tmp_path: Path, browser: Any, app: str) -> None:
    draw_colors(tmp_path / "colors")
    training, validation = tmp_path / "colors/training", tmp_path / "colors/validation"
    watched = Watched(browser, 390)
    page = watched.page
    page.set_default_timeout(LONGEST)
    page.goto(app)
    choose(page, "Folders")
    drop(page, 0, validation, "2 pictures, 2 labels")  # by mistake: the next takes its place
    drop(page, 0, training, "4 pictures, 2 labels")
    drop(page, 1, validation, "6 pictures, 2 labels")
    page.get_by_alt_text("red, picture 3").wait_for()
    page.get_by_text("mnist", exact=True).click()
    page.get_by_role("button", name="Train", exact=True).click()
    page.locator("[data-testid=stMetric]").nth(2).wait_for()
    said = page.locator("[data-testid=stMetric]").all_inner_texts()
    assert [re.findall(r"[\d.]+%", text) for text in said[:2]] == [["100.0%"], ["100.0%"]], said
    with page.expect_download() as download:
        page.get_by_role("button", name="Everything, zipped").click()
    names = zipfile.ZipFile(download.value.path()).namelist()
    assert {"uploaded-mnist/web/index.html", "uploaded-mnist/model.tflite", "report-of-the-pictures.html"} <= {*names}
    page.get_by_label(re.compile("Keep this run")).fill(str(tmp_path / "kept"))
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_text("ask it with imageshards-app").wait_for()
    assert (tmp_path / "kept/model.keras").is_file()

    page.get_by_role("tab", name="Ask").click()
    page.get_by_text("tells blue and red apart").wait_for()
    photos = [tmp_path / f"colors/validation/{label}/{label}-3.png" for label in ("red", "blue")]
    page.locator("input[type=file]").last.set_input_files(photos)
    for label in ("red", "blue"):
        page.get_by_text(re.compile(rf"^{label}: (9\d|100)\.\d%")).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    outside = [
        url for url in watched.requests if not url.startswith((app, "data:", "blob:", app.replace("http", "ws")))
    ]
    assert outside == []
    assert watched.complaints == []


@pytest.mark.slow
def test_the_app_says_what_is_wrong_with_an_upload_and_stops_when_told(tmp_path: Path, browser: Any, app: str) -> None:
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"words")
    page = Watched(browser, 1280).page
    page.set_default_timeout(LONGEST)
    page.goto(app)
    choose(page, "Zip files")
    page.locator("input[type=file]").first.set_input_files(bad)
    page.get_by_text("bad.zip: no zip file, or a damaged one").wait_for()
    draw_colors(tmp_path / "colors")
    one = zipped(tmp_path / "colors/training/red", tmp_path / "one.zip")
    page.locator("input[type=file]").first.set_input_files(one)
    page.get_by_text("every image would have the label 'red'").wait_for()
    said = page.get_by_role("alert").first.inner_text()
    assert said.endswith(
        "Drop a folder that has a folder of pictures for each thing to tell apart, such as cat and dog."
    )
    assert not re.search("--|/tmp", said)
    assert page.get_by_role("button", name="Train", exact=True).is_disabled()
    drop(page, 0, zipped(tmp_path / "colors", tmp_path / "colors.zip"), "6 pictures, 2 labels")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped. Nothing of it was kept.").wait_for()
    assert page.get_by_role("button", name="Train", exact=True).is_enabled()
