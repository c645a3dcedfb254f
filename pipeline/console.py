"""What a person at a terminal sees of a job: a progress bar, and tables."""

import collections
import contextlib
import importlib.util
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from imageshards.pipeline import plan
from imageshards.pipeline.command import say
from imageshards.pipeline.source import SPLITS, Reason, counted
from imageshards.pipeline.sources.dataset import SourceDataset
from imageshards.pipeline.sources.understood import lines
from imageshards.pipeline.versions import Version, previous_version

_LABELS_SHOWN = 20


def describe(dataset: SourceDataset, version: Version) -> None:
    """Says what was understood of SRC."""
    options = dataset.options
    say(f"{options.src}: layout {dataset.layout} ({dataset.why})")
    say(f"  {counted(len(dataset.sources), 'image')}, {counted(len(dataset.labels), 'label')} → {version.path}")
    for line in lines(dataset.examples, len(dataset.labels)):
        say(f"    {line}")
    ignored = ", ".join(f"{count} {suffix}" for suffix, count in dataset.ignored.most_common())
    if ignored:
        say(f"  ignored, not images: {ignored}")
    for reason, rejects in _by_reason(dataset):
        remedy = "; --follow-outside follows such links" if reason == Reason.LINK_OUTSIDE else ""
        say(f"  {len(rejects)} {reason}, such as {rejects[0].file}: {rejects[0].detail}{remedy}")
    for note in dataset.notes:
        say(f"  note: {note}")


def describe_splits(dataset: SourceDataset, version: Version) -> None:
    """Prints how many images of each label will be in each split, if every image can be read."""
    options = dataset.options
    previous = previous_version(version)
    if previous and not options.redraw_splits:
        say(f"  images that {previous} has keep their splits, so that the counts may differ from these:")
    table: dict[str, dict[str, int]] = {split: {} for split in SPLITS}
    carve = options.carve()
    for (split, label), count in dataset.sources.counts().items():
        if split is None:
            parts = plan.quotas(count, options.shares())
        elif carve and split == carve[0]:
            parts = plan.quotas(count, options.carved_shares())
        else:
            parts = [count * (split == name) for name in SPLITS]
        for name, part in zip(SPLITS, parts, strict=True):
            table[name][label] = table[name].get(label, 0) + part
    _print_table({split: row for split, row in table.items() if any(row.values())}, dataset.labels, SPLITS)


@contextlib.contextmanager
def progress(total: int, tally: Any) -> Iterator[None]:
    """Shows how far `tally` is, until the block ends; nothing where standard error is not a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    stop = threading.Event()
    with tqdm(total=total, unit=" images", dynamic_ncols=True, leave=False) as bar:

        def follow() -> None:
            while not stop.wait(0.2):
                bar.set_postfix_str(f"{tally.rejected} rejected", refresh=False)
                bar.update(tally.done - bar.n)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def summarize(metadata: Mapping[str, Any], version: Version) -> None:
    """Prints what is in a published dataset, and how to load it."""
    from imageshards.pipeline.survey import misspelt  # a version that is up to date need not wait for it

    labels = list(next(iter(metadata["splits"].values())))
    _print_table(metadata["splits"], labels, SPLITS)
    found, written = metadata["found"], metadata["images"]
    say(f"{found} found = {written} written + {found - written} rejected" + _reasons(metadata["rejected"]))
    if metadata["rejected_rows"]:
        say(
            f"{counted(sum(metadata['rejected_rows'].values()), 'row')} of tables without an image"
            + _reasons(metadata["rejected_rows"])
        )
    if metadata["truncated"]:
        say(f"{counted(metadata['truncated'], 'image')} ended early and were kept")
    profiles = metadata["color_profiles"]
    if profiles["converted"]:
        say(f"{counted(profiles['converted'], 'image')} converted to sRGB by the color profile in the file")
    if profiles["ignored"]:
        say(f"{counted(profiles['ignored'], 'image')} with a color profile that cannot be used, read as sRGB")
    duplicates = metadata["duplicates"]
    if again := duplicates["files"]:
        say(f"{counted(again, 'image')} {'repeats' if again == 1 else 'repeat'} another's content")
    if several := duplicates["with_several_labels"]:
        say(f"{counted(several, 'picture')} under several labels: the report shows them")
    if several := duplicates["in_several_splits"]:
        say(f"{counted(several, 'picture')} in several splits: the report shows them")
    if metadata["splits"].keys() == {"train", "test"}:
        say("no validation split was drawn: SRC says what is train and test; training will set a part of train aside")
    for label, meant in misspelt(labels, metadata).items():
        say(f"{label!r} has hardly any images: did you mean {meant!r}? corrections.csv mends labels")
    for split in metadata["splits"]:
        missing = [label for label, count in metadata["splits"][split].items() if not count]
        if missing:
            say(f"{split} has no image of {', '.join(missing[:5])}" + (" …" if len(missing) > 5 else ""))
    say(f"{version.path}" + ("; what was rejected and why: rejected.csv" if found > written else ""))
    say(f"  {version.path / 'report.html'}")
    say(f"  {_how_to_load(version)}")


def _how_to_load(version: Version) -> str:
    """Returns the Python call that loads this very version; a name of TFDS's catalogue would load that one."""
    if _in_catalogue(version.name):
        return f'tfds.builder_from_directory("{version.path}").as_dataset(as_supervised=True)'
    return f'tfds.load("{version.name}", data_dir="{version.folder.parent}", as_supervised=True)'


def _in_catalogue(name: str) -> bool:
    """Says whether TFDS has a dataset of this name, by the files that it has of each; importing it takes seconds."""
    installed = importlib.util.find_spec("tensorflow_datasets")
    places = [Path(place) for place in installed.submodule_search_locations or ()] if installed else []
    return any(any(place.glob(f"*/{name}{end}")) for place in places for end in ("", ".py", ".txt"))


def _reasons(reasons: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{count} {reason}' for reason, count in sorted(reasons.items()))})" if reasons else ""


def _print_table(table: Mapping[str, Mapping[str, int]], labels: list[str], order: Any) -> None:
    splits = [split for split in order if split in table]
    shown = labels[:_LABELS_SHOWN]
    rows = [[label, *(table[split].get(label, 0) for split in splits)] for label in shown]
    if len(labels) > len(shown):
        rest = labels[_LABELS_SHOWN:]
        rows.append([f"… {len(rest)} more", *(sum(table[split].get(label, 0) for label in rest) for split in splits)])
    rows.append(["together", *(sum(table[split].values()) for split in splits)])
    width = max(len("label"), *(len(str(row[0])) for row in rows))
    widths = [max(len(split), 7) for split in splits]
    say("  " + "label".ljust(width) + "".join(f"  {split:>{w}}" for split, w in zip(splits, widths, strict=True)))
    for row in rows:
        say("  " + str(row[0]).ljust(width) + "".join(f"  {n:>{w}}" for n, w in zip(row[1:], widths, strict=True)))


def _by_reason(dataset: SourceDataset) -> list[tuple[str, list[Any]]]:
    groups = collections.defaultdict(list)
    for reject in dataset.rejected:
        groups[str(reject.reason)].append(reject)
    return sorted(groups.items())
