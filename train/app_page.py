"""What the app shows. Streamlit runs this file from top to bottom whenever a person has done something."""

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from imageshards.pipeline.images import Normalization
from imageshards.pipeline.source import UserError
from imageshards.train.api import Run, open_run
from imageshards.train.app import WORK
from imageshards.train.intervals import Estimate
from imageshards.train.prediction import UNLIKE, read_pixels
from imageshards.train.quiet import import_tensorflow
from imageshards.train.tables import LABEL_ISSUES
from imageshards.train.terminal import Terminal
from imageshards.train.uploads import Limits, Upload, lay_out

LINES = 14  # of a command's screen
TOP = 5
ISSUES, ISSUES_A_ROW = 12, 4
MODELS = {
    "mobilenet": "transfer learning: right for photos, from a few dozen on",
    "cnn": "a small convolutional net, from nothing",
    "mnist": "dense layers on pixels, from nothing: digits, colours",
}


def show(run: str, megabytes: int) -> None:
    """Draws the page."""
    st.set_page_config(page_title="imageshards", layout="centered")
    st.title("imageshards")
    train, ask = st.tabs(["Train", "Ask"], default="Ask" if run else "Train")
    with train:
        show_training(Limits(megabytes=4 * megabytes))
    with ask:
        show_asking(st.session_state.get("run", run))


def show_training(limits: Limits) -> None:
    """Takes pictures, and runs the commands that anybody would type, in sight."""
    st.write("Drop a folder with a folder a label, or pictures with the label in their names; or a zip file of either.")
    kind = st.segmented_control("Upload", ["Folders", "Zip files"], default="Folders", required=True)
    left, right = st.columns(2)
    training = uploader(left, "Training pictures", kind)
    validation = uploader(right, "Validation pictures, if there are any", kind)
    model = st.radio("Model", list(MODELS), captions=list(MODELS.values()))
    epochs = st.number_input("Epochs", 1, 200, 20)
    if st.button("Train", type="primary", disabled=not training):
        try:
            st.session_state["trained"] = run_training(training, validation, limits, model, int(epochs))
        except UserError as error:
            st.session_state.pop("trained", None)
            st.error(escaped(str(error)))
    if "trained" in st.session_state:
        show_scores(st.session_state["trained"])


def uploader(place: Any, label: str, kind: str) -> list[Upload]:
    """Returns what was dropped: the files of a folder, or one zip file."""
    if kind == "Folders":
        files = place.file_uploader(label, accept_multiple_files="directory", key=f"{label} {kind}")
    else:
        file = place.file_uploader(label, type=["zip"], key=f"{label} {kind}")
        files = [file] if file else []
    return [Upload(file.name, file) for file in files]


def run_training(
    training: Sequence[Upload], validation: Sequence[Upload], limits: Limits, model: str, epochs: int
) -> dict[str, Any]:
    """Lays out the uploads, makes records and trains; returns the metrics and where everything is.

    Raises:
      UserError: what was dropped, or a command that failed, in its own words.
    """
    if "work" in st.session_state:
        shutil.rmtree(st.session_state["work"], ignore_errors=True)
    work = Path(tempfile.mkdtemp(dir=os.environ[WORK]))
    st.session_state["work"] = str(work)
    raw, data, runs = work / "uploaded", work / "data", work / "runs"
    if validation:
        raw.mkdir()
        lay_out(training, raw / "train", limits)
        lay_out(validation, raw / "validation", limits)
    else:
        lay_out(training, raw, limits)
    python = [sys.executable, "-P", "-m"]
    run_in_sight("Records", [*python, "imageshards.pipeline", str(raw), "--out", str(data)], work)
    options = ["--data", str(data), "--runs", str(runs), "--model", model, "--epochs", str(epochs)]
    run_in_sight("Training", [*python, "imageshards.train", "uploaded", *options], work)
    run = runs / f"uploaded-{model}"
    st.session_state["run"] = str(run)
    return {"run": open_run(run), "records": str(data / "uploaded" / "1.0.0"), "photos": str(raw)}


def run_in_sight(title: str, command: Sequence[str], work: Path) -> None:
    """Runs a command and shows its screen as it goes by."""
    terminal = Terminal(command)
    with st.status(title, expanded=True) as status:
        screen = st.empty()
        for _ in terminal.follow():
            lines = [line.replace(f"{work}/", "") for line in terminal.lines]
            screen.code("\n".join(lines[-LINES:]) or " ", language=None)
        if terminal.code:
            status.update(label=f"{title} failed", state="error")
            raise UserError("\n".join(line.replace(f"{work}/", "") for line in terminal.lines[-LINES:] if line))
        status.update(label=f"{title}: done", state="complete", expanded=False)


def show_scores(trained: dict[str, Any]) -> None:
    """Shows how good the model is, and hands out what was made."""
    run, records = trained["run"], Path(trained["records"])
    *columns, last = st.columns(len(run.accuracy) + 1)
    for column, (split, accuracy) in zip(columns, run.accuracy.items(), strict=True):
        show_accuracy(column, {"train": "Training"}.get(split, split.capitalize()), accuracy)
    last.metric("Guessing", f"{run.metrics['baseline_accuracy']:.1%}")
    st.write(f"**{run.metrics['fit']}**: {run.metrics['fit_in_words']}. Ask it, in the other tab.")
    for warning in run.warnings:
        st.caption(escaped(warning))
    show_label_issues(run, Path(trained["photos"]))
    files = {
        "Report of the run": run.path / "report.html",
        "Report of the dataset": records / "report.html",
        "model.keras": run.path / "model.keras",
        "labels.txt": run.path / "labels.txt",
    }
    for column, (name, path) in zip(st.columns(len(files)), files.items(), strict=True):
        file_name = f"{name.lower().replace(' ', '-')}.html" if path.suffix == ".html" else path.name
        column.download_button(name, path.read_bytes(), file_name, on_click="ignore", width="stretch")


def show_label_issues(run: Run, photos: Path) -> None:
    """Shows the labels that are most likely wrong, with their pictures from the folder `photos`."""
    issues = run.label_issues()
    if not issues:
        return
    with st.expander("1 label to look at" if len(issues) == 1 else f"{len(issues):,} labels to look at"):
        st.write(
            "Models that had not seen these pictures take them for another label, or the same picture is there under"
            " two. A picture that is only hard is here too: look, mend what is wrong, and train again."
        )
        normalization = Normalization.recorded(run.settings["normalization"])
        columns = st.columns(ISSUES_A_ROW)
        for number, issue in enumerate(issues[:ISSUES]):
            place = columns[number % ISSUES_A_ROW]
            pixels = read_pixels(photos / issue["file"], normalization)
            if not isinstance(pixels, str):
                place.image(pixels.squeeze(), width="stretch")
            place.caption(escaped(f"{issue['file']}: {issue['label']}, or {issue['likely_label']}?"))
        st.download_button("label_issues.csv", (run.path / LABEL_ISSUES).read_bytes(), LABEL_ISSUES, on_click="ignore")


def show_accuracy(place: Any, name: str, accuracy: Estimate) -> None:
    """Shows an accuracy, and how far it can be trusted."""
    place.metric(f"{name}, {accuracy.images:,} images", f"{accuracy.value:.1%}")
    place.caption(f"95% interval {accuracy.interval}")


def show_asking(run: str) -> None:
    """Says what is in a photo."""
    if not run:
        st.info("There is no model yet: train one in the other tab, or start the app with a run.")
        return
    photo = st.file_uploader("A photo", key="photo")
    if photo is None:
        return
    classifier = opened(run).classifier
    with tempfile.NamedTemporaryFile(dir=os.environ[WORK]) as file:
        file.write(photo.getbuffer())
        file.flush()
        pixels = read_pixels(Path(file.name), classifier.normalization)
    if isinstance(pixels, str):
        st.error(escaped(f"{photo.name}: {pixels}"))
        return
    (probabilities,), (unlike,) = classifier.ask(pixels[np.newaxis])
    left, right = st.columns([1, 2])
    left.image(pixels.squeeze(), caption="as the model sees it")
    if unlike:
        right.warning(f"The picture is {UNLIKE}: what follows means little.")
    for label, probability in classifier.most_probable(probabilities, TOP):
        right.progress(probability, f"{escaped(label)}: {probability:.1%}")


def escaped(text: str) -> str:
    """Returns `text` so that Markdown shows it as it is, line by line."""
    marks = {letter: f"\\{letter}" for letter in r"\`*_{}[]()<>#+-.!|~$:&"} | {"\n": "  \n"}
    return "".join(marks.get(letter, letter) for letter in text)


@st.cache_resource(max_entries=2)  # type: ignore[untyped-decorator]
def opened(run: str) -> Run:
    """Loads a run once."""
    import_tensorflow()
    return open_run(run)


if __name__ == "__main__":
    show(sys.argv[1], int(sys.argv[2]))
