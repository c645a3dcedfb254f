"""The app's first tab: pictures that are dropped, what was understood of them, training in sight, and what it made."""

import contextlib
import dataclasses
import io
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from imageshards.pipeline.api import plan_jobs
from imageshards.pipeline.images import Normalization, UnreadableError, normalize
from imageshards.pipeline.options import Options
from imageshards.pipeline.source import UserError, counted
from imageshards.train.api import Run, open_run
from imageshards.train.app import WORK
from imageshards.train.app_words import escaped
from imageshards.train.intervals import Estimate
from imageshards.train.prediction import read_pixels
from imageshards.train.tables import LABEL_ISSUES
from imageshards.train.terminal import Terminal
from imageshards.train.uploads import Limits, Upload, lay_out

LINES = 14  # of a command's screen
ISSUES, ISSUES_A_ROW = 12, 4
LABELS, PICTURES = 12, 5  # that are shown of what was dropped
ADVICE = "Drop a folder that has a folder of pictures for each thing to tell apart, such as cat and dog."
MODELS = {
    "mobilenet": "for photos: it has seen a million others before, and learns from a few dozen",
    "cnn": "a small convolutional net that has seen nothing before: hundreds of pictures per label",
    "mnist": "a plain net for simple pictures: digits, colors",
}


@dataclasses.dataclass(frozen=True)
class Dropped:
    """Pictures laid out in a folder of their own, and what was understood of them: label → number, some of them."""

    folder: Path
    counts: dict[str, int]
    thumbnails: dict[str, list[bytes]]


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run, the version of the dataset that it learned from, and the folder of the photos."""

    run: Run
    records: Path
    photos: Path


def show_training(limits: Limits) -> None:
    """Takes pictures, shows what they are, and trains on them."""
    st.write(
        f"{ADVICE} Pictures with the label in their names (cat-1.jpg) do as well. What you drop next takes its place."
    )
    kind = st.segmented_control("I have", ["Folders", "Zip files"], default="Folders", required=True)
    left, right = st.columns(2)
    training = uploader(left, "Training pictures", kind)
    validation = uploader(right, "Validation pictures, if there are any", kind)
    dropped = None
    with explained():
        dropped = understood(training, validation, limits) if training else None
    if dropped:
        show_dropped(dropped)
    model = st.radio("Model", list(MODELS), captions=list(MODELS.values()))
    epochs = st.number_input("Epochs: how often each picture is looked at, at most", 1, 200, 20)
    if st.button("Train", type="primary", disabled=dropped is None) and dropped:
        with explained():
            st.session_state["trained"] = train_on(dropped, model, int(epochs))
    if st.session_state.pop("stopped", False):
        st.info("Stopped. Nothing of it was kept.")
    if "trained" in st.session_state:
        show_trained(st.session_state["trained"])


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Shows what is wrong with what the user gave."""
    try:
        yield
    except UserError as error:
        st.error(escaped(str(error)))


def uploader(place: Any, label: str, kind: str) -> list[Any]:
    """Returns the files that were dropped last: the files of a folder, or one zip file."""
    if kind == "Zip files":
        file = place.file_uploader(label, type=["zip"], key=f"{label} {kind}")
        return [file] if file else []
    files = place.file_uploader(label, accept_multiple_files="directory", key=f"{label} {kind}")
    known = st.session_state.setdefault(f"known {label}", set())
    newest = {file.file_id for file in files} - known or st.session_state.get(f"newest {label}", set())
    known |= newest
    st.session_state[f"newest {label}"] = newest
    used = [file for file in files if file.file_id in newest]
    if len(used) < len(files):
        place.caption(f"Of these, the {len(used):,} that were dropped last are used.")
    return used


def understood(training: Sequence[Any], validation: Sequence[Any], limits: Limits) -> Dropped:
    """Lays out the uploads in a new folder, unless they are those of the last time.

    Raises:
      UserError: they hold too much, or nothing that has labels.
    """
    names = [[file.file_id for file in files] for files in (training, validation)]
    if st.session_state.get("dropped files") == names:
        dropped: Dropped = st.session_state["dropped"]
        return dropped
    with st.spinner("Looking at what was dropped…"):
        dropped = laid_out(Path(tempfile.mkdtemp(dir=os.environ[WORK])), training, validation, limits)
    before = st.session_state.get("dropped")
    st.session_state.update({"dropped": dropped, "dropped files": names})
    if before and not is_trained_on(before.folder):
        shutil.rmtree(before.folder, ignore_errors=True)
    return dropped


def laid_out(folder: Path, training: Sequence[Any], validation: Sequence[Any], limits: Limits) -> Dropped:
    """Writes the uploads below `folder`, and reads them as the records job would."""
    raw = folder / "uploaded"
    parts = {raw / "train": training, raw / "validation": validation} if validation else {raw: training}
    for place, files in parts.items():
        place.parent.mkdir(exist_ok=True)
        lay_out([Upload(file.name, file) for file in files], place, limits)
    try:
        jobs = plan_jobs(Options(src=str(raw), out=str(folder / "data")))
    except UserError as error:
        raise UserError(f"{in_the_app(str(error), raw)}. {ADVICE}") from error
    if len(jobs) > 1:
        raise UserError("there are several datasets in this folder: drop one of its folders")
    (job,) = jobs
    counts = dict.fromkeys(job.dataset.labels, 0)
    thumbnails: dict[str, list[bytes]] = {label: [] for label in job.dataset.labels[:LABELS]}
    for source in job.dataset.sources:
        counts[source.label] += 1
        if len(thumbnails.get(source.label, range(PICTURES))) < PICTURES:
            with contextlib.suppress(UnreadableError):
                picture = normalize((raw / source.path).read_bytes(), Normalization(size=96))
                thumbnails[source.label].append(picture.data)
    return Dropped(folder, counts, thumbnails)


def in_the_app(message: str, folder: Path) -> str:
    """Returns a command's message about `folder` without that folder, which nobody knows, and without what to type."""
    said = message.replace(f"{folder}/", "").replace(str(folder), "what was dropped")
    parts = [part for part in re.split(r"; |(?<=\.) (?=[A-Z-])", said) if "--" not in part]
    return "; ".join(part.rstrip(".") for part in parts) or "it cannot be told what the labels are"


def show_dropped(dropped: Dropped) -> None:
    """Shows the labels, how many pictures each has, and some of them."""
    st.write(f"**{sum(dropped.counts.values()):,} pictures, {len(dropped.counts):,} labels**")
    for label, pictures in dropped.thumbnails.items():
        count = dropped.counts[label]
        words, shown = st.columns([1, 3])
        words.write(f"{escaped(label)}: {counted(count, 'picture')}")
        if pictures:
            shown.image(pictures, width=72, alt=[f"{label}, picture {n}" for n in range(1, len(pictures) + 1)])
    if len(dropped.counts) > LABELS:
        st.caption(f"… and {len(dropped.counts) - LABELS:,} more labels")


def train_on(dropped: Dropped, model: str, epochs: int) -> Trained:
    """Makes records and trains, by the commands that anybody would type, in sight.

    Raises:
      UserError: a command that failed, in its own words.
    """
    raw, data, runs = (dropped.folder / name for name in ("uploaded", "data", "runs"))
    python = [sys.executable, "-P", "-m"]
    options = ["--data", str(data), "--runs", str(runs), "--model", model, "--epochs", str(epochs)]
    train = [*python, "imageshards.train", "uploaded", *options, "--export", "tflite,web"]
    run_in_sight("Preparing the pictures", [*python, "imageshards.pipeline", str(raw), "--out", str(data)], dropped)
    run_in_sight("Training", train, dropped)
    before: Trained | None = st.session_state.get("trained")
    if before and not before.run.path.is_relative_to(dropped.folder):
        shutil.rmtree(before.run.path.parents[1], ignore_errors=True)
    run = open_run(runs / f"uploaded-{model}")
    st.session_state["run"] = str(run.path)
    return Trained(run, data / "uploaded/1.0.0", raw)


def is_trained_on(folder: Path) -> bool:
    """Says whether the model that can be asked lies in a folder of uploads."""
    trained: Trained | None = st.session_state.get("trained")
    return trained is not None and trained.run.path.is_relative_to(folder)


def run_in_sight(title: str, command: Sequence[str], dropped: Dropped) -> None:
    """Runs a command and shows its screen as it goes by; a button stops it."""
    terminal = Terminal(command)
    with st.status(f"{title}…", expanded=True) as status, contextlib.closing(terminal.follow()) as changes:
        st.button("Stop", key=f"stop {title}", on_click=st.session_state.update, args=({"stopped": True},))
        screen = st.empty()
        for _ in changes:
            lines = [line.replace(f"{dropped.folder}/", "") for line in terminal.lines]
            screen.code("\n".join(lines[-LINES:]) or "starting …", language=None)
        if terminal.code:
            status.update(label=f"{title} failed", state="error")
            lines = [line.replace(f"{dropped.folder}/", "") for line in terminal.lines[-LINES:] if line]
            raise UserError("\n".join(lines))
        status.update(label=f"{title}: done", state="complete", expanded=False)


def show_trained(trained: Trained) -> None:
    """Shows how good the model is, and hands out what was made."""
    run = trained.run
    *columns, last = st.columns(len(run.accuracy) + 1)
    for column, (split, accuracy) in zip(columns, run.accuracy.items(), strict=True):
        show_accuracy(column, {"train": "Training"}.get(split, split.replace("_", "-").capitalize()), accuracy)
    last.metric("Guessing", f"{run.metrics['baseline_accuracy']:.1%}")
    last.caption("always the most frequent label")
    st.caption("Below each figure: the number of images and the 95% interval.")
    st.write(f"**{run.metrics['fit']}**: {run.metrics['fit_in_words']}. Ask it, in the other tab.")
    for warning in run.warnings:
        st.caption(escaped(warning))
    show_label_issues(run, trained.photos)
    files = {
        "Report of the run": run.path / "report.html",
        "Report of the pictures": trained.records / "report.html",
        "Model for Keras": run.path / "model.keras",
    }
    *columns, last = st.columns(len(files) + 1)
    for column, (name, path) in zip(columns, files.items(), strict=True):
        file_name = f"{name.lower().replace(' ', '-')}.html" if path.suffix == ".html" else path.name
        column.download_button(name, path.read_bytes(), file_name, on_click="ignore", width="stretch")
    last.download_button(
        "Everything, zipped", lambda: zipped(trained), f"{run.path.name}.zip", on_click="ignore", width="stretch"
    )
    show_keeping(run)


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
                place.image(pixels.squeeze(), width="stretch", alt=issue["file"])
            place.caption(escaped(f"{issue['file']}: {issue['label']}, or {issue['likely_label']}?"))
        st.download_button("label_issues.csv", (run.path / LABEL_ISSUES).read_bytes(), LABEL_ISSUES, on_click="ignore")


def show_accuracy(place: Any, name: str, accuracy: Estimate) -> None:
    """Shows an accuracy, and how far it can be trusted."""
    place.metric(name, f"{accuracy.value:.1%}")
    place.caption(accuracy.basis)


def zipped(trained: Trained) -> bytes:
    """Returns the run, with its exports, and the report of the pictures as a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(trained.run.path.rglob("*")):
            archive.write(path, path.relative_to(trained.run.path.parent))
        archive.write(trained.records / "report.html", "report-of-the-pictures.html")
    return buffer.getvalue()


def show_keeping(run: Run) -> None:
    """Copies a run to a folder that the user names: all else goes when the app ends."""
    with st.form("keep", border=False):
        name = st.text_input(
            "Keep this run in a new folder; what is not kept is gone when the app ends",
            str(Path("runs/mine").absolute()),
        )
        if st.form_submit_button("Keep"):
            folder = Path(name).expanduser().absolute()
            try:
                shutil.copytree(run.path, folder)
                st.success(escaped(f"{folder}: ask it with imageshards-app {folder}"))
            except OSError as error:
                st.error(escaped(f"{folder}: {error.strerror or error}; give another folder"))
