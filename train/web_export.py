"""A model as a folder that any static host serves: a page that classifies pictures in the visitor's browser.

The page is train/web/; `web_runtime` says what runs the model in it.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import jinja2
import keras
from PIL import ImageColor

from imageshards.pipeline.images import Normalization
from imageshards.train.models import with_similarity
from imageshards.train.prediction import Classifier
from imageshards.train.web_runtime import INTEGRITY, MODULES, VERSION, Runtime
from imageshards.train.words import listed

_SOURCE = Path(__file__).with_name("web")
_INDEX = "index.html"


def write_page(folder: Path, classifier: Classifier, accuracy: str, runtime: Runtime) -> None:
    """Writes the page, its model and its runtime.

    Args:
      folder: is made here.
      classifier: what the page does; with `novelty` it marks pictures that are unlike those of training.
      accuracy: a sentence on how often the model is right.
      runtime: what runs the model.
    """
    folder.mkdir()
    runtime.write(folder)
    for file in _SOURCE.iterdir():
        if file.name != _INDEX:
            (folder / file.name).write_bytes(file.read_bytes())
    template = jinja2.Template((_SOURCE / _INDEX).read_text("utf-8"), autoescape=True)
    words = _words(classifier, runtime) | {"accuracy": accuracy}
    (folder / _INDEX).write_text(template.render(words), "utf-8")
    settings = json.dumps(_settings(classifier, runtime), ensure_ascii=False, indent=2)
    (folder / "model.json").write_text(settings, "utf-8")
    model = _with_names(classifier)
    shape = (1, *model.inputs[0].shape[1:])  # LiteRT.js takes no batch of unknown size
    signature = [keras.InputSpec(shape=shape, dtype="uint8", name=model.inputs[0].name)]
    model.export(folder / "model.tflite", format="litert", input_signature=signature, verbose=False)


def _with_names(classifier: Classifier) -> keras.Model:
    """Returns the model with outputs by name: `probabilities` and, where strangers are marked, `similarity`."""
    model, novelty = classifier.model, classifier.novelty
    model = model if novelty is None else with_similarity(model, novelty.vectors)
    return keras.Model(model.inputs, dict(zip(("probabilities", "similarity"), model.outputs, strict=False)))


def _words(classifier: Classifier, runtime: Runtime) -> dict[str, Any]:
    """Returns what index.html is filled with."""
    import_map = _import_map(runtime)
    digest = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    return {
        "title": f"{listed(classifier.labels, 'or', 'another')}?",
        "labels": listed(classifier.labels, "and", "{} more"),
        "import_map": import_map,
        "scripts": f"'self' blob: 'wasm-unsafe-eval' 'sha256-{digest}' {runtime.origin}".rstrip(),
        "connections": f"'self' blob: {runtime.origin}".rstrip(),
        "marks_strangers": classifier.novelty is not None,
        "runtime_version": VERSION,
    }


def _import_map(runtime: Runtime) -> str:
    """Returns where the page's modules find those of LiteRT.js, and their hashes, in JSON."""
    imports = {module: runtime.url(name) for module, name in MODULES.items()}
    integrity = {runtime.url(name): INTEGRITY[name] for name in MODULES.values()}
    return json.dumps({"imports": imports, "integrity": integrity})


def _settings(classifier: Classifier, runtime: Runtime) -> dict[str, Any]:
    """Returns model.json: what the page's scripts have to know."""
    return {
        "labels": list(classifier.labels),
        **reading(classifier.normalization),
        "threshold": None if classifier.novelty is None else classifier.novelty.threshold,
        "runtime": {runtime.url(name): value for name, value in INTEGRITY.items() if name not in MODULES.values()},
    }


def reading(normalization: Normalization) -> dict[str, Any]:
    """Returns what pixels.js has to know to read a picture as the records job does."""
    return {
        "size": normalization.size,
        "color": normalization.color,
        "fit": normalization.fit,
        "padColor": ImageColor.getcolor(normalization.pad_color, "RGB"),
        "quality": normalization.quality if normalization.encoding == "jpeg" else None,
    }
