"""Damages each file that a command reads, thousands of times, and sees that only sentences come of it.

    python tests/mutations.py [--zips N] [--files N] [--seed S]
    python tests/mutations.py --commands [--files N] [--seed S]

The files are read in-process by the functions that the commands call; processes that do it may die, which is counted as
well. What is raised has to be a UserError or a JobError: their text is the sentence that a command prints. Nothing may
take more memory than --memory, nor more than --seconds. With --commands the commands themselves are run, a process
each.
"""

import argparse
import collections
import contextlib
import dataclasses
import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from imageshards.pipeline import make_records
from imageshards.pipeline.errors import JobError, UserError

Read = Callable[[Path], object]
EndOf = Callable[["Target", Path], str]
SPECIAL = (
    b"\0",
    b"\xff" * 8,
    b'"',
    b"{",
    b"[" * 5000,
    b"9" * 5000,
    b"-1",
    b"null",
    b"\\ud800",
    b"../",
    b"/dev/zero",
    b"\n",
)


@dataclasses.dataclass(frozen=True)
class Target:
    """A file below a folder that is copied for each mutation, and what reads it.

    `prepare` is called with the folder before, as where the file is to be put into another one. `command` is what
    reads it too, with {} for the folder; none where only the app does.
    """

    name: str
    folder: Path
    file: str
    read: Read
    command: tuple[str, ...] = ()
    prepare: Callable[[Path], None] = lambda _: None


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Returns bytes with one to four changes: flipped, cut out, put twice, put in, or cut off."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        length = chance.choice((1, 2, 4, 16, 200))
        match chance.randrange(6):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << chance.randrange(8)
            case 1:
                del changed[at : at + length]
            case 2:
                changed[at:at] = changed[at : at + length]
            case 3:
                changed[at:at] = chance.choice(SPECIAL)
            case 4:
                changed[at : at + length] = chance.randbytes(length)
            case 5 if chance.random() < 0.2:
                del changed[at:]
    return bytes(changed)


def run(target: Target, count: int, seed: int, limits: tuple[int, int], end_of: EndOf) -> collections.Counter[str]:
    """Reads `count` mutations of a target, in processes that may die, and returns how each ended."""
    ends = collections.Counter[str]()
    number = 0
    while number < count:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            _read_mutations(target, range(number, count), seed, limits, end_of, writer)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, encoding="utf-8", errors="replace") as file:
            for end in map(str.strip, file):
                ends[_noted(target, number, end)] += 1
                number += 1
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            died = signal.Signals(-code).name if code < 0 else str(code)
            ends[_noted(target, number, f"WRONG died of {died}")] += 1
            number += 1
    return ends


def _noted(target: Target, number: int, end: str) -> str:
    if not end.startswith("WRONG"):
        return end
    print(f"{target.name} {number}: {end}", flush=True)
    return "WRONG"


def _read_mutations(
    target: Target, numbers: range, seed: int, limits: tuple[int, int], end_of: EndOf, writer: int
) -> None:
    memory, seconds = limits
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries in C talk there
    sys.stdout = sys.stderr = io.StringIO()
    data = (target.folder / target.file).read_bytes()
    for number in numbers:
        signal.alarm(seconds)
        with tempfile.TemporaryDirectory(dir=target.folder.parent) as aside:
            folder = Path(shutil.copytree(target.folder, Path(aside, target.folder.name)))
            (folder / target.file).write_bytes(mutated(data, random.Random(f"{target.name} {seed} {number}")))
            end = " ".join(end_of(target, folder).split())[:400]
        os.write(writer, f"{end}\n".encode(errors="replace"))


def read_here(target: Target, folder: Path) -> str:
    """Reads the file in this process; returns "read", "a sentence", or what is wrong."""
    try:
        target.prepare(folder)
        target.read(folder)
    except (UserError, JobError) as error:
        return "a sentence" if str(error).strip() else "WRONG no words"
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"WRONG {type(error).__name__}: {error} at {where.filename}:{where.lineno}"
    return "read"


def read_by_command(target: Target, folder: Path) -> str:
    """Runs the command that reads the file; returns "read", "a sentence", or what is wrong."""
    target.prepare(folder)
    name, *arguments = (part.replace("{}", str(folder)) for part in target.command)
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = done.stdout + done.stderr
    if done.returncode not in (0, 1, 2) or "Traceback" in said or "not foreseen" in said:
        return f"WRONG exit code {done.returncode}: {said[-300:]}"
    if done.returncode and not done.stderr.strip():
        return "WRONG no words"
    return "a sentence" if done.returncode else "read"


def zips(folder: Path) -> list[Target]:
    """Returns an upload to the app, and an archive as SRC."""
    from imageshards.pipeline.sources.unpacked import unpacked
    from imageshards.train.uploads import Limits, Upload, lay_out

    folder.mkdir()
    with zipfile.ZipFile(folder / "pets.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("pets/cat/1.png", "pets/cat/é.png", "pets/dog/2.png", "__MACOSX/pets/x"):
            archive.writestr(name, os.urandom(40))

    def upload(here: Path) -> None:
        with (here / "pets.zip").open("rb") as file:
            lay_out([Upload("pets.zip", file)], here / "laid-out", Limits(files=50, megabytes=1))

    return [
        Target("zip, uploaded", folder, "pets.zip", upload),
        Target(
            "zip, SRC",
            folder,
            "pets.zip",
            lambda here: unpacked(str(here / "pets.zip"), str(here / "out")),
            ("imageshards-records", "{}/pets.zip", "--out", "{}/out", "--size", "16", "--workers", "1"),
        ),
    ]


def versions(folder: Path, *, with_tensorflow: bool) -> list[Target]:
    """Returns what verify, report, a build and train read of a version."""
    from imageshards.pipeline.report import redraw
    from imageshards.pipeline.verify import described, verify

    src = folder / "pets"
    for name in ("cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"):
        draw(src / name)
    version = make_records(str(src), out=str(folder / "out"), size=16, workers=1).path
    within = version.relative_to(folder)

    def verified(here: Path) -> None:
        if findings := list(verify(here / within)):
            raise UserError(findings[0])
        described(here / within)

    def drawn(here: Path) -> None:
        redraw(here / within, None)

    def planned(here: Path) -> None:
        from imageshards.pipeline import api, job, replacement
        from imageshards.pipeline import versions as known
        from imageshards.pipeline.options import Options

        (planned,) = api.plan_jobs(Options(src=str(here / "pets"), out=str(here / "out"), size=16))
        try:
            metadata = known.read_metadata(planned.version)
            if not metadata or not api._is_up_to_date(planned.version, metadata, "other"):
                replacement.check_replaceable(planned.version, planned.dataset)
                job._previous(known.previous_version(planned.version), planned.dataset.options)
        except OSError as error:
            if api._reason(error) is None:
                raise

    def trained(here: Path) -> None:
        from imageshards.train.failures import in_words
        from imageshards.train.input import evaluation_batches, open_dataset
        from imageshards.train.labelled import labelled

        dataset = open_dataset(str(here / within), "data")
        with in_words(here, here):
            _ = dataset.labels, dataset.image_shape, dataset.fingerprint, dataset.metadata()
            for split in dataset.splits:
                list(evaluation_batches(dataset, split, 8))
            labelled(dataset, list(dataset.splits))

    shard = next(version.glob("*-train.tfrecord-*")).name
    files = ("metadata.json", "index.parquet", "dataset_info.json", "features.json", "label.labels.txt", "rejected.csv")
    options = ("--out", "{}/out", "--size", "16", "--workers", "1")
    path = f"{{}}/{within}"
    reads: dict[str, tuple[Read, tuple[str, ...], tuple[str, ...]]] = {
        "verify": (verified, ("imageshards-verify", path), (*files, shard)),
        "report": (drawn, ("imageshards-report", path), (*files, shard)),
        "build": (planned, ("imageshards-records", "{}/pets", *options), files[:2]),
    }
    if with_tensorflow:
        words = ("imageshards-train", path, "--model", "mnist", "--epochs", "1", "--runs", "{}/runs")
        reads["train"] = (trained, words, (*files[:5], shard))
    trusted = [command for command in reads if command != "build"]
    return [
        *(
            Target(f"{name} of a version, {command}", folder, str(within / name), read, words)
            for command, (read, words, names) in reads.items()
            for name in names
        ),
        *(
            Target(
                f"{name} of a version with its checksum, {command}",
                folder,
                str(within / name),
                *reads[command][:2],
                sign,
            )
            for command in trusted
            for name in reads[command][2]
            for sign in [lambda here, name=name: _sign(here / within, name)]
        ),
    ]


def _sign(version: Path, name: str) -> None:
    """Lets metadata.json hold the checksum and the size of a file as it is now: who made it so may be an enemy."""
    from imageshards.pipeline.checksums import METADATA, file_checksum, metadata_text

    if name == METADATA:
        with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
            metadata = json.loads((version / name).read_bytes())
            (version / name).write_text(metadata_text(metadata, metadata["sha256"]), encoding="utf-8")
        return
    metadata = json.loads((version / METADATA).read_bytes())
    metadata["bytes"][name] = (version / name).stat().st_size
    checksums = metadata["sha256"] | {name: file_checksum(version / name)}
    (version / METADATA).write_text(metadata_text(metadata, checksums), encoding="utf-8")


def draw(path: Path) -> None:
    """Draws a small picture of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(list(path.name.encode())).integers(0, 255, (9, 9, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def tables(folder: Path) -> list[Target]:
    """Returns tables of labels in the forms that a build reads."""
    from imageshards.pipeline.options import Options
    from imageshards.pipeline.sources.layouts import read

    rows = [{"file": f"{n}.png", "label": "ab"[n % 2], "split": "train", "group": f"g{n}"} for n in range(8)]
    parquet = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    forms = {
        "labels.csv": "\n".join(lines).encode(),
        "labels.json": json.dumps(rows, indent=1).encode(),
        "labels.jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "labels.parquet": parquet.getvalue(),
        "labels.xml": _cvat(rows).encode(),
        "corrections.csv": b"file,label\n1.png,a\n2.png,b\n",
    }
    targets = []
    for name, data in forms.items():
        here = folder / name.replace(".", "-")
        here.mkdir(parents=True)
        for row in rows:
            draw(here / row["file"])
        (here / name).write_bytes(data)
        if name == "corrections.csv":
            (here / "labels.csv").write_bytes(forms["labels.csv"])

        words = ("imageshards-records", "{}", "--out", "{}-out", "--size", "16", "--workers", "1")
        targets.append(Target(name, here, name, lambda at: list(read(Options(src=str(at)))), words))
    return targets


def _cvat(rows: list[dict[str, str]]) -> str:
    """Returns the labels as CVAT exports them."""
    images = "".join(
        f'<image id="{n}" name="{row["file"]}" width="9" height="9"><tag label="{row["label"]}"/></image>\n'
        for n, row in enumerate(rows)
    )
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>\n{images}</annotations>\n'


def runs(folder: Path) -> list[Target]:
    """Returns what predict, evaluate and the app read of a run; needs TensorFlow."""
    maker = os.fork()  # TensorFlow does not outlive a fork: the processes that read import it for themselves
    if not maker:
        _make_run(folder)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(maker, 0)[1]) == 0

    def asked(here: Path) -> None:
        from imageshards.train.api import open_run

        run = open_run(here)
        _ = run.warnings, run.accuracy, run.balanced_accuracy, run.mistakes("train"), run.label_issues()
        run.predict([here / "photo.png"])

    def configured(here: Path) -> None:
        with zipfile.ZipFile(folder / "model.keras") as old, zipfile.ZipFile(here / "model.keras", "w") as new:
            for name in old.namelist():
                new.writestr(name, (here / name).read_bytes() if name == "config.json" else old.read(name))

    names = ("run.json", "metrics.json", "labels.txt", "model.keras", "novelty.npz")
    words = ("imageshards-predict", "{}", "{}/photo.png")
    return [
        *(Target(f"{name} of a run", folder, name, asked, words) for name in names),
        *(Target(f"{name} of a run", folder, name, asked) for name in ("predictions.csv", "label_issues.csv")),
        Target("config.json in model.keras of a run", folder, "config.json", asked, words, configured),
    ]


def _make_run(folder: Path) -> None:
    import keras

    from imageshards.train.model_file import save_model

    folder.mkdir()
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    save_model(folder, keras.Model(model.inputs, model.outputs))
    with zipfile.ZipFile(folder / "model.keras") as archive:
        archive.extract("config.json", folder)
    normalization = {"size": 8, "color": "rgb", "encoding": "png", "quality": 0, "max_pixels": 10**8, "fit": "crop"}
    settings = {"normalization": normalization, "fingerprint": "x", "command": "imageshards-train pets"}
    metrics = {"warnings": [], "train_accuracy": 1.0, "train_images": 4, "train_accuracy_interval": [0.5, 1.0]}
    (folder / "run.json").write_text(json.dumps(settings, indent=1))
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=1))
    (folder / "labels.txt").write_text("cat\ndog\n")
    np.savez_compressed(folder / "novelty.npz", vectors=np.ones((4, 192), np.float16), threshold=0.5)
    table = "file,split,label,predicted,likely_label,probability\n1.png,train,cat,dog,dog,0.75\n"
    for name in ("predictions.csv", "label_issues.csv"):
        (folder / name).write_text(table)
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(folder / "photo.png")


def main() -> None:
    """Prints how the mutations of each file ended; exit code 1 where one was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zips", type=int, default=10_000, help="mutations of zip files, uploaded and as SRC")
    parser.add_argument("--files", type=int, help="mutations of each other file; else 2,000, or 50 with --commands")
    parser.add_argument("--commands", action="store_true", help="run the commands, without --zips of their own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", type=int, default=6 << 30, help="bytes of address space")
    parser.add_argument("--seconds", type=int, default=120, help="for one file")
    parser.add_argument("--only", default="", help="targets whose name has this in it")
    parser.add_argument("--without-tensorflow", action="store_true", help="leave out runs, and what train reads")
    options = parser.parse_args()
    files = options.files or (50 if options.commands else 2_000)
    end_of = read_by_command if options.commands else read_here
    wrong = 0
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        folder = Path(name).resolve()
        targets = [*zips(folder / "zips"), *tables(folder / "tables")]
        targets += versions(folder / "versions", with_tensorflow=not options.without_tensorflow)
        targets += [] if options.without_tensorflow else runs(folder / "run")
        for target in targets:
            if options.only in target.name and (target.command or not options.commands):
                count = options.zips // 2 if target.file.endswith(".zip") and not options.commands else files
                ends = run(target, count, options.seed, (options.memory, options.seconds), end_of)
                wrong += ends["WRONG"]
                print(f"{target.name}: {dict(sorted(ends.items()))}", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
