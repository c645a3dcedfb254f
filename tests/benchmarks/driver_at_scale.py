"""What the machine that starts a job does beside its workers, on made-up sources: seconds and memory by step.

    python tests/benchmarks/driver_at_scale.py [IMAGES …]        100,000 300,000 1,000,000 unless given

Each count runs in a process of its own. Listing SRC is not in it, nor is what the workers do: another process writes
what they would leave: random facts of as many images, and of each split one shard with real records. Seconds are of
CPU, and memory is the largest within each step. Needs Linux.
"""

import collections
import hashlib
import io
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from imageshards.pipeline import index, job, plan, shards, storage, tfrecord
from imageshards.pipeline.chunks import Staging
from imageshards.pipeline.facts import FactRow, read_chunks, read_sources, write_facts
from imageshards.pipeline.fingerprint import dataset_fingerprint
from imageshards.pipeline.options import Options
from imageshards.pipeline.progress import Progress
from imageshards.pipeline.record import Record
from imageshards.pipeline.source import SPLITS
from imageshards.pipeline.sources.dataset import SourceDataset
from imageshards.pipeline.sources.files import Sources
from imageshards.pipeline.versions import Version

LABELS, FRAME, SHARD_IMAGES = 100, 20_000, 13_000  # bytes of a record, and records of 256 MB
BLOCK = 10_000


def dataset_of(images: int, folder: Path) -> SourceDataset:
    """Returns as many sources as a listing would, under keys of 40 letters."""
    names = [f"label {n:02d}" for n in range(LABELS)]
    label = np.arange(images) * LABELS // images
    letters = "abcdefghijklmnopqrstuv"
    blocks = [range(start, min(start + BLOCK, images)) for start in range(0, images, BLOCK)]
    keys = pa.chunked_array(
        [[f"{names[label[n]]}/{letters}{n:09d}.jpg" for n in block] for block in blocks], pa.large_string()
    ).combine_chunks()
    kind = Sources.schema.field("label").type
    columns = {
        "key": keys,
        "path": pa.nulls(images, pa.large_string()),
        "label": pa.DictionaryArray.from_arrays(pa.array(label, pa.int32()), pa.array(names, pa.large_string())),
        "split": pa.nulls(images, kind),
        "group": pa.nulls(images, kind),
        "size": pa.array(np.full(images, 100_000)),
        "mtime_ns": pa.array(np.arange(images) + (1 << 60)),
    }
    sources = Sources(pa.RecordBatch.from_pydict(columns, Sources.schema))
    options = Options(src=str(folder), out=str(folder / "out"), dataset="many")
    return SourceDataset(options, folder, collections.Counter(), "folders", "made up", sources, [], names, [], [])


def leave_what_workers_would(staging: Staging) -> None:
    """Writes the facts of all chunks, and the shards' facts and offsets."""
    chance = np.random.default_rng(0)
    chunks, sources = read_chunks(staging.chunks), read_sources(staging.sources)
    rows: list[tuple[int, int]] = []
    for chunk in chunks:
        count = len(sources.get_batch(chunk.number))
        facts = [
            FactRow(hashlib.sha256(b"%d %d" % (chunk.number, row)).hexdigest(), phash, 1600, 1200, False, "srgb")
            for row, phash in enumerate(chance.integers(0, 2**64, count, np.uint64, endpoint=False).tolist())
        ]
        facts = [fact._replace(offset=row * FRAME, length=FRAME) for row, fact in enumerate(facts)]
        (staging.work / "staged").mkdir(exist_ok=True)
        write_facts(staging.facts(chunk), facts)
        rows += [(chunk.number, row) for row in range(count)]
    order = chance.permutation(len(rows))
    placed: dict[int, list[shards.Placed]] = collections.defaultdict(list)
    edges = (np.cumsum((0.8, 0.1)) * len(rows)).astype(int)
    for split, of_split in enumerate(np.split(order, edges)):
        pieces = np.array_split(of_split, -(-len(of_split) // SHARD_IMAGES))
        for number, piece in enumerate(pieces):
            offsets = np.zeros(len(piece), shards.OFFSETS)
            offsets["chunk"], offsets["row"] = np.array([rows[place] for place in piece.tolist()]).T
            offsets["offset"], offsets["length"] = np.arange(len(piece)) * FRAME, FRAME
            name = shards.Shard(split, number, len(pieces)).name(staging.version.name)
            (staging.version.unpublished / name).write_bytes(b"" if number else real_records())
            facts = shards.ShardFacts(name, SPLITS[split], len(piece), 0, "0" * 64)
            shards.save(staging.work, facts)
            for part in np.unique(offsets["chunk"] // index.PIECE_CHUNKS).tolist():
                here = offsets[offsets["chunk"] // index.PIECE_CHUNKS == part]
                placed[part].append(shards.Placed(name, facts.split, here))
    for part, of_part in index.pieces(chunks):
        index.write_piece(part, of_part, placed[part], sources, staging)


def real_records() -> bytes:
    """Returns the records of some pictures, of every label."""
    picture = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(picture, "JPEG")
    return b"".join(
        tfrecord.encode(Record(picture.getvalue(), label, f"{label}", "0" * 64, width=256, height=256))
        for label in range(LABELS)
    )


def forget_peak() -> None:
    """Lets the kernel (Linux) begin again with the largest memory of this process."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """Returns the largest memory of this process since then, in MB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


class Steps:
    """CPU seconds and memory by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peaks: dict[str, float] = {}

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            forget_peak()
            start = time.process_time()
            result = function(*arguments)
            self.seconds[name] = time.process_time() - start
            self.peaks[name] = peak()
            return result

        return step


def measure(images: int) -> None:
    steps = Steps()

    def workers(_: Any, staging: Staging, rules: plan.Rules, splits_of: Path | None) -> None:
        del rules, splits_of
        process = multiprocessing.get_context("spawn").Process(target=leave_what_workers_would, args=(staging,))
        process.start()
        process.join()
        assert process.exitcode == 0

    with tempfile.TemporaryDirectory() as folder:
        dataset = dataset_of(images, Path(folder))
        forget_peak()
        base = peak()
        job._run = steps.timed("workers", workers)
        job._write_sources = steps.timed("sources", job._write_sources)
        job.write_index = steps.timed("index", job.write_index)
        job.publish = steps.timed("publish", job.publish)
        fingerprint = steps.timed("fingerprint", dataset_fingerprint)(dataset)
        version = Version(Path(folder, "out/many"), "1.0.0")
        job.build(dataset, version, fingerprint, None, Progress())
        on_disk = sum(storage.sizes(version.path).values())
    names = ("fingerprint", "sources", "index", "publish")
    print(
        f"| {images:,} | {' | '.join(f'{steps.seconds[name]:.1f} s, {steps.peaks[name]:.0f} MB' for name in names)}"
        f" | {sum(steps.seconds[name] for name in names):.1f} s | {base:.0f} MB | {on_disk / 1e6:.0f} MB |",
        flush=True,
    )


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
        return
    print("| images | fingerprint | sources.arrow | index.parquet | publish | CPU in all | before it | published |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for images in sys.argv[1:] or ("100000", "300000", "1000000"):
        subprocess.run([sys.executable, str(Path(__file__)), "--one", images], check=True)


if __name__ == "__main__":
    main()
