"""The app's second tab: what a model sees in photos."""

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import streamlit as st

from imageshards.train.api import Run, open_run
from imageshards.train.app import WORK
from imageshards.train.app_words import escaped
from imageshards.train.prediction import UNLIKE, read_pixels
from imageshards.train.quiet import import_tensorflow
from imageshards.train.words import listed

TOP = 5
PHOTOS = 100  # that are shown


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model makes of a photo: its pixels, the most probable labels, and whether it is a stranger."""

    pixels: npt.NDArray[np.uint8]
    names: list[tuple[str, float]]
    unlike: bool


def show_asking(folder: str) -> None:
    """Says what is in photos."""
    if not folder:
        st.info("There is no model yet: train one in the other tab, or start the app with a run.")
        return
    written = (Path(folder) / "run.json").stat().st_mtime_ns
    run = opened(folder, written)
    answers = st.session_state.setdefault(f"answers {folder} {written}", {})
    split, accuracy = next(reversed(run.accuracy.items()))
    labels = listed(run.labels, "and", "{} more")
    st.write(f"The model {escaped(run.path.name)} tells {escaped(labels)} apart.")
    st.caption(escaped(f"Accuracy, {split.replace('_', '-')}: {accuracy}"))
    kind = st.segmented_control("Ask about", ["Photos", "A folder"], default="Photos", required=True)
    several: Any = "directory" if kind == "A folder" else True
    photos = st.file_uploader(kind, accept_multiple_files=several, key=f"ask {kind}")
    for photo in photos[:PHOTOS]:
        if photo.file_id not in answers:
            with st.spinner("Looking at the photo…"):
                answers[photo.file_id] = asked(run, photo)
        show_answer(photo, answers[photo.file_id])
    if len(photos) > PHOTOS:
        st.caption(f"The first {PHOTOS} of {len(photos):,}. imageshards-predict says it of them all.")


def asked(run: Run, photo: Any) -> Answer | str:
    """Returns what the model makes of a photo, or why it cannot be read."""
    classifier = run.classifier
    with tempfile.NamedTemporaryFile(dir=os.environ[WORK]) as file:
        file.write(photo.getbuffer())
        file.flush()
        pixels = read_pixels(Path(file.name), classifier.normalization)
    if isinstance(pixels, str):
        return pixels
    (probabilities,), (unlike,) = classifier.ask(pixels[np.newaxis])
    return Answer(pixels, classifier.most_probable(probabilities, TOP), bool(unlike))


def show_answer(photo: Any, said: Answer | str) -> None:
    """Shows a photo as the model sees it, and the labels."""
    if isinstance(said, str):
        st.error(escaped(f"{photo.name}: {said}"))
        return
    left, right = st.columns([1, 2])
    left.image(said.pixels.squeeze(), caption=escaped(photo.name), alt=photo.name)
    if said.unlike:
        right.warning(f"None of these, perhaps: the picture is {UNLIKE}.")
    for label, probability in said.names:
        right.progress(probability, f"{escaped(label)}: {probability:.1%}")


@st.cache_resource(max_entries=2, show_spinner="Loading the model…")  # type: ignore[untyped-decorator]
def opened(folder: str, written: int) -> Run:
    """Loads a run once, until another takes its place."""
    import_tensorflow()
    run = open_run(folder)
    assert run.classifier
    return run
