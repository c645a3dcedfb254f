"""The page that `--export web` makes: its files, and in a real browser what it says beside imageshards-predict."""

import base64
import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from .agreement import CHROMIUM, CLOSE, Answers, asked, difference, served
from .conftest import gradient, save
from .contrast import AA, least_contrast

pytest.importorskip("tensorflow")
import keras
from keras import layers

from imageshards.pipeline.images import Normalization
from imageshards.pipeline.source import UserError
from imageshards.train import train, web_export
from imageshards.train.novelty import Novelty
from imageshards.train.prediction import Classifier, read_pixels
from imageshards.train.web_export import reading, write_page
from imageshards.train.web_runtime import VERSION, Runtime, read_runtime

LITERT = Path(__file__).parents[1] / "build/npm/node_modules/@litertjs"
KINDS = {".js": "text/javascript", ".wasm": "application/wasm"}
EVIL = "<img src=x onerror=alert(1)>"
in_a_browser = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, as in apt-get install chromium, and it is not here"),
    pytest.mark.skipif(
        not LITERT.is_dir(), reason=f"needs LiteRT.js: npm install --prefix build/npm @litertjs/core@{VERSION}"
    ),
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures as a person might choose them: of all shapes and sizes, turned, gray, transparent."""
    folder = tmp_path_factory.mktemp("pictures")
    turned = Image.Exif()
    turned[0x0112] = 6
    sizes = [(320, 240), (240, 320), (90, 300), (1700, 1100), (48, 48), (30, 40)]
    drawn = [gradient(*size, seed) for seed, size in enumerate(sizes)]
    clear = Image.merge("RGBA", (*drawn[0].split(), Image.linear_gradient("L").resize(drawn[0].size)))
    return [
        *(save(picture, folder / f"{n}.jpg", quality=90) for n, picture in enumerate(drawn)),
        save(drawn[3], folder / "turned.jpg", exif=turned),
        save(drawn[1].convert("L"), folder / "gray.png"),
        save(clear, folder / "clear.png"),
        save(drawn[2], folder / "lossless.webp", lossless=True),
    ]


@pytest.fixture(scope="module")
def classifier(pictures: list[Path]) -> Classifier:
    """What looks at 4 x 4 tiles of a picture, with weights by chance; some of the pictures are strangers to it."""
    images = keras.Input((48, 48, 3), dtype="uint8")
    tiles = layers.AveragePooling2D(12)(layers.Rescaling(1 / 127.5, offset=-1)(images))
    features = layers.Flatten()(tiles)
    start = keras.initializers.RandomNormal(stddev=0.5, seed=1)
    model = keras.Model(images, layers.Dense(3, "softmax", kernel_initializer=start)(features))
    how = Normalization(size=48)
    known = keras.Model(images, features).predict_on_batch(np.array([read_pixels(path, how) for path in pictures[:3]]))
    novelty = Novelty((known / np.linalg.norm(known, axis=1, keepdims=True)).astype(np.float16), 0.95)
    return Classifier(model, [EVIL, "left", "right"], how, novelty)


@pytest.fixture(scope="module")
def web(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of it, with its runtime beside it where that is at hand."""
    folder = tmp_path_factory.mktemp("page") / "web"
    write_page(folder, classifier, "Right & wrong.", read_runtime(LITERT) if LITERT.is_dir() else Runtime())
    return folder


def test_a_page_is_a_folder_of_files_that_name_their_runtime(web: Path) -> None:
    page = (web / "index.html").read_text()
    assert EVIL not in page
    assert "Right &amp; wrong." in page
    about = json.loads((web / "model.json").read_text())
    assert about["labels"][0] == EVIL
    assert about["padColor"] == [255, 255, 255]
    assert all(integrity.startswith("sha384-") for integrity in about["runtime"].values())
    assert {path.name for path in web.iterdir()} >= {"model.tflite", "page.css", "page.js"}


def test_without_a_copy_the_runtime_comes_from_one_version_of_one_host(trained: Path) -> None:
    about = json.loads((trained / "web/model.json").read_text())
    assert all(url.startswith(f"https://cdn.jsdelivr.net/npm/@litertjs/core@{VERSION}/") for url in about["runtime"])
    assert about["threshold"] is None
    assert not (trained / "web/runtime").exists()
    assert re.search(
        r"Of 12 pictures that were left out of its training, [\d.]+% were", (trained / "web/index.html").read_text()
    )


def test_another_runtime_is_refused_before_anything_is_trained(demo_data: Path, tmp_path: Path) -> None:
    where = {"data": str(demo_data), "runs": str(tmp_path / "runs")}
    with pytest.raises(UserError, match="--web-runtime: it is for --export web"):
        train("shapes", **where, web_runtime=str(tmp_path))
    with pytest.raises(UserError, match=f"core/dist/index.js: No such file.*npm install @litertjs/core@{VERSION}"):
        train("shapes", **where, export="web", web_runtime=str(tmp_path))
    if LITERT.is_dir():
        shutil.copytree(LITERT, tmp_path / "other")
        (tmp_path / "other/core/dist/index.js").write_text("export {};")
        with pytest.raises(UserError, match=f"index.js is not that of version {VERSION}"):
            train("shapes", **where, export="web", web_runtime=str(tmp_path / "other"))
    assert not (tmp_path / "runs").exists()


class Visit:
    """A page of a visitor: what its console says, and where it sends requests to."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.said: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture
def visit() -> Iterator[Visit]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started, contextlib.ExitStack() as stack:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        stack.callback(chromium.close)
        page = chromium.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        page.set_default_timeout(120_000)
        yield Visit(page)


@pytest.fixture(scope="module")
def predicted(classifier: Classifier, pictures: list[Path]) -> Answers:
    pixels = [read_pixels(path, classifier.normalization) for path in pictures]
    probabilities, unlike = classifier.ask(np.array(pixels))
    return Answers(probabilities, np.array(unlike))


READ = """async ([picture, how]) => {
    const { readPixels } = await import("./pixels.js");
    return [...await readPixels(new Blob([Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0))]), how)];
}"""


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, as in apt-get install chromium, and it is not here")
@pytest.mark.parametrize(
    "how",
    [
        Normalization(size=48),
        Normalization(size=30, color="gray", fit="pad", pad_color="#123456", quality=40),
        Normalization(size=50, fit="stretch", encoding="png"),
    ],
    ids=["crop", "pad", "stretch"],
)
def test_the_page_reads_the_very_pixels_of_the_records(
    how: Normalization, pictures: list[Path], visit: Visit, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (440, 430), np.uint8)
    large = save(Image.fromarray(noise), tmp_path / "large.jpg")
    with served(Path(web_export.__file__).with_name("web")) as address:
        visit.page.goto(f"{address}pixels.js")
        for path in [*pictures, large]:
            picture = base64.b64encode(path.read_bytes()).decode()
            seen = np.array(visit.page.evaluate(READ, [picture, reading(how)]), np.int16)
            known = read_pixels(path, how)
            assert not isinstance(known, str)
            apart = np.abs(seen - known.ravel())
            if path.stem in ("2", "4", "5", "gray", "lossless"):
                assert apart.max() == 0
            else:  # decoded at a reduced scale, turned or transparent: rounded more than once
                assert apart.mean() < (2 if how.encoding == "jpeg" else 0.5)


class TestInABrowser:
    pytestmark = in_a_browser

    def test_the_page_says_what_predict_says(
        self, web: Path, visit: Visit, pictures: list[Path], predicted: Answers
    ) -> None:
        page = visit.page
        with served(web) as address:
            page.goto(address)
            seen = asked(page, pictures)
            words = pictures[0].with_name("words.jpg")
            words.write_text("words")
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.id") == "files"
            page.locator("#files").set_input_files(words)
            page.get_by_text("This browser cannot read the file as a picture.").wait_for()
        assert (seen.probabilities.argmax(axis=1) == predicted.probabilities.argmax(axis=1)).all()
        assert difference(seen, predicted).max() <= CLOSE
        assert (seen.unlike == predicted.unlike).all()
        assert set(predicted.unlike.tolist()) == {True, False}
        assert page.get_by_text(EVIL).first.is_visible()
        assert page.get_by_text("none of these").count() == predicted.unlike.sum()
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("[...document.images].every(image => image.alt && image.naturalWidth > 0)")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            assert least_contrast(page) >= (AA, "")
        assert visit.said == []
        assert {url for url in visit.requests if not url.startswith((address, "blob:", "data:"))} == set()

    def test_a_page_takes_from_the_network_only_what_has_the_right_hash(self, trained: Path, visit: Visit) -> None:
        tampered: set[str] = set()

        def answer(route: Any) -> None:
            url = route.request.url
            package, path = url.split("/@litertjs/")[1].split(f"@{VERSION}/")
            headers = {"access-control-allow-origin": "*", "content-type": KINDS[Path(path).suffix]}
            if url in tampered:
                route.fulfill(body="alert(1)", headers=headers)
            else:
                route.fulfill(path=LITERT / package / path, headers=headers)

        visit.page.route("https://cdn.jsdelivr.net/**", answer)
        with served(trained / "web") as address:
            visit.page.goto(address)
            visit.page.locator("#status", has_text="Ready").wait_for()
            assert visit.said == []
            tampered |= {url for url in visit.requests if url.endswith("_internal.js")}
            assert tampered
            visit.page.reload()
            visit.page.get_by_text("The model could not be loaded").wait_for()
