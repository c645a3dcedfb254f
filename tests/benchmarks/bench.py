"""All speed claims in one run: floor, ours and peers on the same pictures, one after the other; prints tables.

    make bench            half an hour or more
    make bench QUICK=1    some minutes: fewer pictures, one round, and only the peers that are installed

Wall and CPU seconds are of whole commands, their start included, and medians of alternating rounds; the peak is that of
the largest process. What cannot run here is named, with the reason.
"""

import dataclasses
import datetime
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SHARED = ROOT.parent / "shared" / "data"
BENCH = ROOT / "build" / "bench"
BIN = Path(sys.executable).parent
PEERS = BENCH / "venv"
OLDER_PEERS = BENCH / "venv-tensorflow-io"  # the last tensorflow_io, and the TensorFlow that it was made for
QUICK = bool(os.environ.get("QUICK"))
ROUNDS = 1 if QUICK else 3
OUT = BENCH / "out"
PACKAGES = ("img2dataset", "datasets", "pillow", "torch", "simplejpeg", "cykooz-resizer", "daft")
OLDER_PACKAGES = ("img2dataset", "tensorflow==2.16.2", "tensorflow-io==0.37.1", "pyarrow<20", "setuptools<81")

FLOOR = [sys.executable, str(HERE / "floors.py")]
RECORDS = [str(BIN / "imageshards-records")]
PEER = [sys.executable, str(HERE / "peers.py")]
OTHER_FLOOR = [str(PEERS / "bin" / "python"), str(HERE / "floors.py")]
OTHER_PEER = [str(PEERS / "bin" / "python"), str(HERE / "peers.py")]
OLDER_PEER = [str(OLDER_PEERS / "bin" / "python"), str(HERE / "peers.py")]


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one command."""

    wall: float  # seconds
    cpu: float  # seconds, of all its processes
    peak: float  # MB, of the largest of them
    said: str


def run(command: Sequence[str]) -> Cost | str:
    """Runs a command; returns its cost, or why it failed."""
    log = BENCH / "log"
    start = time.perf_counter()
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=BENCH)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - start
    said = log.read_text(errors="replace")
    if process.returncode:
        return (said.strip().splitlines() or [f"exit code {process.returncode}"])[-1][:150]
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)


def median(costs: list[Cost]) -> Cost:
    wall, cpu, peak = (statistics.median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu", "peak"))
    return Cost(wall, cpu, peak, costs[-1].said)


def compare(title: str, commands: dict[str, list[str]], rounds: int = ROUNDS) -> dict[str, Cost]:
    """Runs the commands in turn, each into an empty OUT, and prints a table; ratios are to the first of them."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    failed: dict[str, str] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            if name not in failed:
                shutil.rmtree(OUT, ignore_errors=True)
                cost = run(command)
                if isinstance(cost, str):
                    failed[name] = cost
                else:
                    costs[name].append(cost)
    result = {name: median(of) for name, of in costs.items() if name not in failed}
    first = result.get(next(iter(commands)))
    print(f"\n### {title}\n\n| | wall s | CPU-s | peak MB | ÷ wall | ÷ CPU |\n|---|---|---|---|---|---|")
    for name, cost in result.items():
        ratios = f"{cost.wall / first.wall:.2f} | {cost.cpu / first.cpu:.2f}" if first else "– | –"
        print(f"| {name} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.peak:.0f} | {ratios} |")
    for name, why in failed.items():
        print(f"| {name} | could not run: {why} | | | | |")
    sys.stdout.flush()
    return result


def corpus(kind: str, count: int) -> Path:
    """Returns a folder of pictures, drawn once."""
    folder = BENCH / f"{kind}-{count}"
    if not folder.exists():
        aside = folder.with_name(folder.name + ".tmp")
        shutil.rmtree(aside, ignore_errors=True)
        # in another process: a process's highest memory is handed down to those that it starts
        subprocess.run([sys.executable, str(HERE / "corpora.py"), kind, str(aside), str(count)], check=True)
        aside.rename(folder)
    return folder


def records(src: Path, *options: str, out: Path = OUT) -> list[str]:
    return [*RECORDS, str(src), "--dataset", "bench", "--out", str(out), *options]


def install_peers() -> str:
    """Returns why the peers cannot be installed, if they cannot."""
    if QUICK:
        return "" if PEERS.exists() and OLDER_PEERS.exists() else "left out of the quick run"
    for folder, packages in ((PEERS, PACKAGES), (OLDER_PEERS, OLDER_PACKAGES)):
        if not folder.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *packages]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1][:150]
        compile_all = [str(folder / "bin" / "python"), "-m", "compileall", "-q", str(folder)]
        subprocess.run(compile_all, stdout=subprocess.DEVNULL, check=False)
    return ""


def bench_records(missing: str) -> None:
    small, large = corpus("small", 800 if QUICK else 8000), corpus("large", 64 if QUICK else 160)
    tiny = corpus("tiny", 7000 if QUICK else 70_000)
    for title, src in (("0.17 MP", small), ("8 to 36 MP", large)):
        commands = {
            "bare Pool(2)": [*FLOOR, "pool", str(src), str(OUT)],
            "imageshards": records(src, "--follow-outside"),
            "naive Pillow, Pool(2)": [*FLOOR, "naive", str(src), str(OUT)],
            "TFDS GeneratorBasedBuilder": [*PEER, "tfds-generator", str(src), str(OUT)],
            "TFDS Beam builder": [*PEER, "tfds-beam", str(src), str(OUT)],
        }
        if not missing:
            commands["simplejpeg, cykooz-resizer, Pool(2)"] = [*OTHER_FLOOR, "quickest", str(src), str(OUT)]
            commands["daft → Parquet"] = [*OTHER_PEER, "daft", str(src), str(OUT)]
            commands["img2dataset → WebDataset"] = [*OTHER_PEER, "img2dataset", str(src), str(OUT)]
            commands["img2dataset → TFRecord"] = [*OLDER_PEER, "img2dataset-tfrecord", str(src), str(OUT)]
        compare(f"Records of {len(list(src.glob('*/*'))):,} JPEGs of {title}", commands)
    if not QUICK:  # start-up weighs less on more of them
        many = corpus("large", 640)
        commands = {
            "bare Pool(2)": [*FLOOR, "pool", str(many), str(OUT)],
            "imageshards": records(many, "--follow-outside"),
            "naive Pillow, Pool(2)": [*FLOOR, "naive", str(many), str(OUT)],
        }
        compare(f"Records of {len(list(many.glob('*/*'))):,} JPEGs of 8 to 36 MP", commands)
    gray = ("--size", "28", "--color", "gray", "--encoding", "png")
    commands = {
        "plain loop": [*FLOOR, "loop", str(tiny), str(OUT)],
        "imageshards": records(tiny, *gray),
    }
    compare(f"Records of {len(list(tiny.glob('*/*'))):,} PNGs of 28 × 28", commands)


def bench_growth() -> None:
    """More pictures, more workers, a second build."""
    small = corpus("small", 800 if QUICK else 8000)
    gray = ("--size", "28", "--color", "gray", "--encoding", "png")
    counts = (700, 7000) if QUICK else (2000, 70_000)
    start = compare("Start-up", {"--help": [*RECORDS, "--help"], "4 pictures": records(corpus("tiny", 4), *gray)})
    commands = {f"{count:,} PNGs": records(corpus("tiny", count), *gray) for count in counts}
    costs = compare("Growth, 28 × 28", commands)
    for count, cost in zip(counts, costs.values(), strict=True):
        print(f"\n{count:,}: {(cost.cpu - start['4 pictures'].cpu) / count * 1e3:.3f} CPU-ms a picture beyond start-up")
    compare("Workers", {f"--workers {n}": records(small, "--workers", str(n)) for n in (1, 2)})
    bench_rebuild(small, start["4 pictures"])


def bench_rebuild(src: Path, start: Cost) -> None:
    grown = BENCH / "grown"
    shutil.rmtree(grown, ignore_errors=True)
    shutil.copytree(src, grown, copy_function=os.link)
    shutil.rmtree(OUT, ignore_errors=True)
    full = run(records(grown))
    for number, path in enumerate(sorted(src.glob("*/*"))[::100]):
        shutil.copy(path, grown / path.parent.name / f"new-{number}.jpg")
    more, again = run(records(grown)), run(records(grown))
    for path in grown.glob("*/*"):
        path.touch()
    touched = run(records(grown))
    assert isinstance(full, Cost)
    assert isinstance(more, Cost)
    assert isinstance(again, Cost)
    assert isinstance(touched, Cost)
    print("\n### A second build\n\n| | wall s | CPU-s |\n|---|---|---|")
    rows = (("full", full), ("after adding 1 %", more), ("unchanged", again), ("the same under new times", touched))
    for name, cost in rows:
        print(f"| {name} | {cost.wall:.1f} | {cost.cpu:.1f} |")
    for name, cost in (("Adding 1 %", more), ("The same bytes under new times", touched)):
        share = (cost.cpu - start.cpu) / (full.cpu - start.cpu)
        print(f"\n{name}: {share:.1%} of a full build's CPU-seconds, start-up aside.")


def bench_memory() -> None:
    counts = (10_000,) if QUICK else (8000, 1_000_000)
    peaks = []
    print("\n### Memory: hard links to tiny pictures\n\n| pictures | peak MB | wall s | CPU-s |\n|---|---|---|---|")
    for count in counts:
        shutil.rmtree(OUT, ignore_errors=True)
        cost = run(records(corpus("linked", count), "--size", "28", "--color", "gray", "--encoding", "png"))
        assert isinstance(cost, Cost), cost
        peaks.append(cost.peak)
        print(f"| {count:,} | {cost.peak:.0f} | {cost.wall:.0f} | {cost.cpu:.0f} |", flush=True)
    if len(peaks) > 1:
        growth = (peaks[-1] - peaks[0]) * 1024**2 / (counts[-1] - counts[0])
        print(f"\nFrom {counts[0]:,} to {counts[-1]:,}: {growth:.0f} bytes a picture.")


def bench_reading(missing: str) -> None:
    for title, src in (
        ("0.17 MP", corpus("small", 800 if QUICK else 8000)),
        ("8 to 36 MP", corpus("large", 64 if QUICK else 320)),
    ):
        out = BENCH / "reading"
        shutil.rmtree(out, ignore_errors=True)
        run(records(src, "--follow-outside", out=out))
        said = run([sys.executable, str(HERE / "reading.py"), "bench", str(out), "6"])
        table = said if isinstance(said, str) else said.said[said.said.index("reader  ") :]
        print(f"\n### Reading, {title}\n\n```\n{table}```")
        readers = {"Keras image_dataset_from_directory": [*PEER, "keras-reading", str(src)]}
        if not missing:
            readers["Hugging Face imagefolder, torch DataLoader(2)"] = [*OTHER_PEER, "torch-reading", str(src)]
        for name, command in readers.items():
            cost = run(command)
            if isinstance(cost, str):
                print(f"\n{name}: could not run: {cost}")
            else:
                images, seconds = cost.said.strip().splitlines()[-1].split()
                print(f"\n{name}: {int(images) / float(seconds):.0f} images/s")


def bench_predicting() -> None:
    """Photos through a run, against making records of them: pictures a CPU-second beyond the start of each."""
    few, many = corpus("small", 80), corpus("small", 800 if QUICK else 2000)
    data, runs = BENCH / "data", BENCH / "runs"
    shutil.rmtree(data / "bench", ignore_errors=True)
    run(records(few, out=data))
    run([str(BIN / "imageshards-train"), "bench", "--data", str(data), "--runs", str(runs)])
    predict = [str(BIN / "imageshards-predict"), str(runs / "bench-mobilenet"), "--csv"]
    commands = {}
    for count, src in (("few", few), ("many", many)):
        commands |= {f"records of {count}": records(src), f"predictions of {count}": [*predict, str(src)]}
    costs = compare("Predicting", commands)
    images = len(list(many.glob("*/*"))) - len(list(few.glob("*/*")))
    for kind in ("records", "predictions"):
        few_cost, many_cost = (costs[f"{kind} of {count}"] for count in ("few", "many"))
        wall, cpu = many_cost.wall - few_cost.wall, many_cost.cpu - few_cost.cpu
        print(f"\n{kind}: {images / wall:.0f} pictures a second, {images / cpu:.0f} a CPU-second, start aside")


def bench_training() -> None:
    home = os.environ["KERAS_HOME"]
    for name, train in (("pexels", "training"), ("cats_and_dogs_filtered", "train")):
        src = SHARED / name
        if not Path(home).exists() or not src.exists():
            print(f"\nTraining on {name}: left out, it needs the folder of real photos and Keras's weights")
            continue
        data, runs = BENCH / "data", OUT / "runs"
        run([*RECORDS, str(src), "--out", str(data)])
        commands = {
            "imageshards-train": [str(BIN / "imageshards-train"), name, "--data", str(data), "--runs", str(runs)],
            "Keras's guide": [*PEER, "keras-training", str(src / train), str(src / "validation")],
        }
        compare(f"Training on {name}, 20 epochs, MobileNet 0.25", commands, 1)


def main() -> None:
    BENCH.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("KERAS_HOME", str(SHARED / "weights" / "keras_home"))
    missing = install_peers()
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} CPUs, Python {platform.python_version()}"
    print(f"make bench{' QUICK=1' if QUICK else ''}: {datetime.date.today()}, {machine}, {ROUNDS} rounds")
    if missing:
        print(f"\n{', '.join(PACKAGES)}: {missing}")
    bench_records(missing)
    bench_growth()
    bench_reading(missing)
    bench_predicting()
    if not QUICK:
        bench_training()
    bench_memory()


if __name__ == "__main__":
    main()
