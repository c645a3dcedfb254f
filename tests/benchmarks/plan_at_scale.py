"""The plan alone, on synthetic facts: quotas, shard sizes, hot keys, memory.

    python tests/benchmarks/plan_at_scale.py [IMAGES …]        100,000 300,000 1,000,000 unless given

Labels are as unequal as in nature: half of all images have the first one, a quarter the second, and so on. Each count
runs in a process of its own, with Beam in memory. `largest key` is the most images that one key brought to one worker.
What the machine does beside that starts the job is in driver_at_scale.py.
"""

import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from imageshards.pipeline import plan
from imageshards.pipeline.plan import CARVED, DRAWN, EXACT_LABEL, ROWS, Rows, Rules
from imageshards.pipeline.transforms import DrawSplits, _AddTotals, _cut_shards

CHUNK, LABELS, FRAME = 2048, 12, 22_000
SHARES = (0.8, 0.1, 0.1)


@dataclasses.dataclass(frozen=True)
class Facts:
    """Makes the rows of a chunk from its number."""

    images: int

    def __call__(self, chunk: int) -> Rows:
        chance = np.random.default_rng(chunk)
        rows = np.zeros(min(CHUNK, self.images - chunk * CHUNK), ROWS)
        rows["order"] = chance.integers(0, 2**64, len(rows), np.uint64, endpoint=False)
        rows["group"] = chance.integers(0, 2**64, len(rows), np.uint64, endpoint=False)
        rows["chunk"], rows["row"] = chunk, np.arange(len(rows))
        rows["label"] = np.minimum(np.floor(-np.log2(chance.random(len(rows)))), LABELS - 1)
        rows["origin"], rows["split"] = DRAWN, plan.UNDECIDED
        rows["length"] = FRAME
        return rows


def rules_for(images: int) -> Rules:
    large = frozenset((DRAWN, label) for label in range(LABELS) if images / 2 ** (label + 1) > EXACT_LABEL)
    return Rules({DRAWN: SHARES, CARVED: (0.0, 0.0, 0.0)}, None, -(-images // EXACT_LABEL), large)


def simulate(images: int) -> None:
    rules, start = rules_for(images), time.perf_counter()
    folder = Path(tempfile.mkdtemp())

    def keep(name: str) -> Any:
        return beam.Map(lambda value, path: append(path, value), str(folder / name))

    with beam.Pipeline(FnApiRunner()) as pipeline:
        rows = pipeline | beam.Create(range(-(-images // CHUNK))) | beam.Map(Facts(images))
        rows = rows | DrawSplits(rules, None)
        _ = rows | "Largest" >> beam.Map(len) | "Keep largest" >> keep("pieces")
        _ = (
            rows
            | beam.Map(tally)
            | beam.CombineGlobally(sum_arrays)
            | beam.Map(np.ndarray.tolist)
            | "Keep labels" >> keep("labels")
        )
        totals = beam.pvalue.AsSingleton(rows | beam.CombineGlobally(_AddTotals()))
        sizes = rows | beam.FlatMap(_cut_shards, totals, 0).with_output_types(tuple[tuple[int, int, int], bytes])
        sizes = sizes | beam.Map(lambda of: (of[0], len(plan.unpacked([of[1]])))) | beam.CombinePerKey(sum)
        _ = sizes | "Keep shards" >> keep("shards")
    found = {path.name: [json.loads(line) for line in path.read_text().splitlines()] for path in folder.iterdir()}
    labels = np.array(found["labels"][0])
    assert labels.sum() == images
    error = np.abs(labels / labels.sum(axis=1, keepdims=True) - SHARES)[labels.sum(axis=1) > 1000].max()
    shards = {split: [count for (of, _, _), count in found["shards"] if of == split] for split in range(3)}
    assert sum(map(sum, shards.values())) == images
    spread = max(max(counts) / (sum(counts) / len(counts)) - 1 for counts in shards.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"| {images:,} | {error:.3%} | {sum(map(len, shards.values()))} | {spread:.1%} | {max(found['pieces']):,}"
        f" | {peak:.0f} | {time.perf_counter() - start:.1f} |",
        flush=True,
    )


def append(path: str, value: Any) -> None:
    with Path(path).open("a") as file:
        file.write(json.dumps(value) + "\n")


def tally(rows: Rows) -> Any:
    counts = np.zeros((LABELS, 3), np.int64)
    np.add.at(counts, (rows["label"], rows["split"]), 1)
    return counts


def sum_arrays(counts: Any) -> Any:
    return sum(counts, np.zeros((LABELS, 3), np.int64))


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        simulate(int(sys.argv[2]))
        return
    print("| images | worst quota error | shards | largest shard over mean | largest key | peak MB | s |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for images in sys.argv[1:] or ("100000", "300000", "1000000"):
        subprocess.run([sys.executable, str(Path(__file__)), "--one", images], check=True)


if __name__ == "__main__":
    main()
