"""From the files below SRC to labelled sources: three layouts, detected by rules that are drawn here.

Folders: a folder a label, optionally below a folder a split

    raw/wood/board.jpg              raw/train/wood/board.jpg
    raw/mobile/phone.png            raw/val/mobile/phone.png

Filenames: images side by side, optionally below a folder a split; the label is the name less its trailing number

    raw/dog-1.jpg   raw/cat.0.jpg   raw/american_bulldog_34.jpg   raw/dog (1).jpg   raw/train/cat.7.jpg

Manifest: images anywhere, and a table that maps them to labels, see manifest.py

    raw/labels.csv  raw/images/0a1b.jpg

A folder of datasets, each in any of the layouts, is several jobs

    raw/pexels/wood/board.jpg       raw/colors/train/red/1.png

`detect` decides by where the images lie, says why, and stops where two readings are possible.
"""

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline.options import Layout, Options
from imageshards.pipeline.source import SPLIT_NAMES, File, Reason, Rejected, Source, UserError, labelled
from imageshards.pipeline.sources.corrections import NAME, correct, read_corrections, take_corrections
from imageshards.pipeline.sources.files import Files, Sources
from imageshards.pipeline.sources.listing import Listing, list_files
from imageshards.pipeline.sources.manifest import find_manifests, read_manifests
from imageshards.pipeline.sources.selection import Selection
from imageshards.pipeline.sources.unpacked import is_archive, unpacked

_COPY = re.compile(r" ?\(\d+\)$")  # dog (1).jpg, as file managers number copies
_SEPARATED_NUMBER = re.compile(r"[-_. ]\d+$")
_ATTACHED_NUMBER = re.compile(r"\d+$")


@dataclasses.dataclass(frozen=True)
class Reading:
    """What was understood of one dataset's SRC. `why` gives the layout's reason, `notes` what else to know."""

    options: Options
    root: Path  # SRC, absolute
    ignored: collections.Counter[str]  # files that are no images, by extension
    layout: Layout
    why: str
    sources: Sources
    rejected: list[Rejected]
    labels: list[str]
    notes: list[str]

    @property
    def found(self) -> int:
        """How many files are either sources or rejected."""
        return len(self.sources) + sum(not reject.is_row for reject in self.rejected)


def read(options: Options) -> list[Reading]:
    """Returns what SRC holds: one reading, or one for each dataset in a folder of datasets.

    Raises:
      UserError: no images, no labels, or more than one possible reading.
    """
    if is_archive(options.src):
        inside = dataclasses.replace(options, src=str(unpacked(options.src, options.out)))
        note = f"unpacked from {options.src}, and used again until that changes"
        return [dataclasses.replace(reading, notes=[note, *reading.notes]) for reading in read(inside)]
    selection = Selection(options.exclude, options.include)
    listing = list_files(options.src, follow_outside=options.follow_outside, selection=selection)
    without_corrections, corrections = take_corrections(listing, options)
    names = _datasets_below(without_corrections, options)
    if not names:
        return [read_dataset(listing, options)]
    if corrections:
        raise UserError(
            f"{corrections}: SRC holds {len(names)} datasets ({_some(names)}); put a {NAME} into the folder of each"
        )
    readings = []
    for name in names:
        below = dataclasses.replace(options, src=f"{options.src.rstrip('/')}/{name}", dataset="")
        listing = list_files(below.src, follow_outside=options.follow_outside, selection=selection.below(name))
        readings.append(read_dataset(listing, below))
    return readings


def read_dataset(listing: Listing, options: Options) -> Reading:
    """Returns the labelled sources of one dataset, in the order of their keys."""
    if not listing.images:
        raise UserError(_no_images(listing, options))
    listing, corrections = take_corrections(listing, options)
    layout, why = detect(listing, options)
    rejected, notes = list(listing.rejected), list(listing.notes)
    sources = Sources.of(_only_sources(_READERS[layout](listing, options), rejected, notes, options)).in_order("key")
    if corrections:
        sources, rejected, corrected = correct(sources, rejected, listing, read_corrections(corrections))
        notes += corrected
    labels = _labels(sources, options)
    if options.labels:
        sources, unknown = _only_known(sources, labels, options)
        rejected += unknown
    rejected.sort(key=lambda reject: (reject.file, reject.reason, reject.detail))
    notes += _notes(sources, labels)
    reading = Reading(options, listing.root, listing.ignored(), layout, why, sources, rejected, labels, notes)
    _check(reading)
    return reading


def detect(listing: Listing, options: Options) -> tuple[Layout, str]:
    """Returns the layout and, in words, why; the order of the rules is the order of the lines.

    Raises:
      UserError: two readings are possible, or none; the message names them.
    """
    manifests = find_manifests(listing, options)
    shape = _Shape.of(listing.images)
    if options.layout != "auto":
        return options.layout, "as told"
    if options.manifest:
        return "manifest", f"--manifest {options.manifest}"
    if options.label_depth:
        return "folders", f"--label-depth {options.label_depth}"
    if options.label_pattern:
        return "filenames", "--label-pattern"
    if manifests:
        names = ", ".join(manifest.name for manifest in manifests)
        if shape.depths == {1} and len(shape.labels) > 1:
            raise UserError(
                f"{options.src}: two readings are possible: {names} maps files to labels, and the folders"
                f" {_some(shape.labels)} could be labels; say --layout manifest or --layout folders"
            )
        return "manifest", f"{names} names images and labels"
    if shape.odd_folders:
        raise UserError(
            f"{options.src}: the folders {_some(shape.split_folders)} are named like splits and"
            f" {_some(shape.odd_folders)} are not; move one kind away, or take all as labels with --label-depth 1"
        )
    if shape.depths == {0}:
        return "filenames", "the images lie side by side" + shape.in_splits
    if shape.depths == {1}:
        return "folders", f"every image lies in one of {len(shape.labels)} folders" + shape.in_splits
    raise UserError(_mixed_depths(listing, shape, options))


def read_folders(listing: Listing, options: Options) -> Iterator[Source | Rejected]:
    """The label is the folder, or the first `label_depth` folders, below the split folder if there is one."""
    depth = options.label_depth or 1
    shape = _Shape.of(listing.images, deeper=depth)
    for file in listing.images:
        split, folders = _split_and_folders(file, shape.has_splits)
        if len(folders) < depth or (len(folders) > depth and not options.label_depth):
            raise UserError(_mixed_depths(listing, shape, options))
        yield labelled(file, "/".join(folders[:depth]), split)


def read_filenames(listing: Listing, options: Options) -> Iterator[Source | Rejected]:
    """The label is the name less its trailing number, or what `label_pattern` says.

    Digits without a separator (dog12) are a trailing number only where no name has one with (dog-12).
    """
    shape = _Shape.of(listing.images)
    pattern = re.compile(options.label_pattern) if options.label_pattern else None
    stems = [PurePosixPath(file.key).stem for file in listing.images]
    separated = any(_SEPARATED_NUMBER.search(_COPY.sub("", stem)) for stem in stems)
    number = _SEPARATED_NUMBER if separated or any(map(_COPY.search, stems)) else _ATTACHED_NUMBER
    for file, stem in zip(listing.images, stems, strict=True):
        split, _ = _split_and_folders(file, shape.has_splits)
        if pattern is None:
            label = number.sub("", _COPY.sub("", stem)).rstrip("-_. ")
            yield labelled(file, "" if label.isdigit() else label, split)
        elif (match := pattern.match(stem)) is None:
            yield Rejected(file.key, Reason.NO_LABEL, f"the name does not match --label-pattern {pattern.pattern}")
        else:
            yield labelled(file, match["label"] or "", split)


_READERS = {"folders": read_folders, "filenames": read_filenames, "manifest": read_manifests}


@dataclasses.dataclass(frozen=True)
class _Shape:
    """Where images lie: `depths` counts the folders above them, and `labels` are those folders, below any split."""

    has_splits: bool
    depths: set[int]
    labels: list[str]
    split_folders: list[str]
    odd_folders: list[str]  # beside split folders, and not named like one

    @classmethod
    def of(cls, images: Files, deeper: int = 0) -> "_Shape":
        tops = {file.key.partition("/")[0] if "/" in file.key else "" for file in images}
        split_folders = sorted(top for top in tops if top.lower() in SPLIT_NAMES)
        has_splits = len(split_folders) == len(tops)
        if has_splits and deeper:  # train/ and test/ themselves are labels where nothing lies deeper
            has_splits = all(file.key.count("/") > deeper for file in images)
        folders = {tuple(_split_and_folders(file, has_splits)[1]) for file in images}
        return cls(
            has_splits=has_splits,
            depths={len(parts) for parts in folders},
            labels=sorted({"/".join(parts) for parts in folders}),
            split_folders=split_folders,
            odd_folders=sorted(top or "(SRC itself)" for top in tops - set(split_folders)) if split_folders else [],
        )

    @property
    def in_splits(self) -> str:
        return f", below the splits {', '.join(self.split_folders)}" if self.has_splits else ""


def _split_and_folders(file: File, has_splits: bool) -> tuple[str | None, list[str]]:
    folders = file.key.split("/")[:-1]
    return (SPLIT_NAMES[folders[0].lower()], folders[1:]) if has_splits else (None, folders)


def _datasets_below(listing: Listing, options: Options) -> list[str]:
    """Returns the names of the folders in SRC that are a dataset each, or nothing where SRC itself is the dataset."""
    images = listing.images
    told = options.layout != "auto" or options.manifest or options.label_depth or options.label_pattern
    if told or not images or find_manifests(listing, options):
        return []
    if min(file.key.count("/") for file in images) < 2 or _Shape.of(images).split_folders:
        return []
    folders: dict[str, set[str]] = collections.defaultdict(set)
    for file in images:
        top, label, _ = file.key.split("/", 2)
        folders[top].add(label)
    lonely = [top for top, labels in folders.items() if len(labels) < 2 and not _is_split_or_images(labels)]
    if options.dataset or lonely:
        raise UserError(
            f"{options.src}: two readings are possible: a folder of datasets ({_some(sorted(folders))}), or nested"
            f" labels. For one of the datasets say SRC={options.src.rstrip('/')}/{min(folders)}, for all of them leave"
            f" the dataset's name out; for nested labels say --label-depth 2"
            + (f" ({_some(lonely)} would have a single label)" if lonely else "")
        )
    return sorted(folders)


def _is_split_or_images(labels: set[str]) -> bool:
    return all(label.lower() in SPLIT_NAMES or label.lower() == "images" for label in labels)


def _only_sources(
    found: Iterable[Source | Rejected | str], rejected: list[Rejected], notes: list[str], options: Options
) -> Iterator[Source]:
    """Yields the sources, under the group that --group-pattern says, and puts all else into the lists."""
    pattern = re.compile(options.group_pattern) if options.group_pattern else None
    for item in found:
        if isinstance(item, Source):
            yield _with_group(item, pattern) if pattern else item
        else:
            (rejected if isinstance(item, Rejected) else notes).append(item)  # type: ignore[arg-type]


def _with_group(source: Source, pattern: re.Pattern[str]) -> Source:
    match = pattern.search(source.key)
    return dataclasses.replace(source, group=match["group"]) if match else source


def _labels(sources: Sources, options: Options) -> list[str]:
    """Returns the class names in the order of their numbers: sorted, as numbers where every name is one, or pinned."""
    if options.labels:
        return _pinned_labels(Path(options.labels))
    names = set(sources.distinct("label"))
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _pinned_labels(path: Path) -> list[str]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--labels {path}: {error}") from error
    labels = [line.strip() for line in lines]
    while labels and not labels[-1]:
        labels.pop()
    for number, label in enumerate(labels, start=1):
        if not label or labels.index(label) != number - 1:
            raise UserError(f"--labels {path}: line {number} is {'a repetition of ' + label if label else 'blank'}")
    if not labels:
        raise UserError(f"--labels {path}: the file is empty; give one label a line")
    return labels


def _only_known(sources: Sources, labels: list[str], options: Options) -> tuple[Sources, list[Rejected]]:
    known = pc.is_in(sources.rows["label"].cast(pa.large_string()), pa.array(labels, pa.large_string()))
    unknown = [
        Rejected(source.key, Reason.UNKNOWN_LABEL, f"the label {source.label!r} is not in {options.labels}")
        for source in sources.where(pc.invert(known))
    ]
    return sources.where(known), unknown


def _notes(sources: Sources, labels: list[str]) -> list[str]:
    notes = []
    same = collections.defaultdict(list)
    for label in labels:
        same[label.casefold()].append(label)
    notes += [f"the labels {_some(names)} differ in case alone" for names in same.values() if len(names) > 1]
    if len(labels) == 1:
        notes.append(f"there is a single label, {labels[0]!r}")
    given = set(sources.distinct("split"))
    if None not in given and given and "test" not in given:
        notes.append("the source gives no test split; --test-from validation:20 carves one")
    return notes


def _check(reading: Reading) -> None:
    options, labels, sources = reading.options, reading.labels, reading.sources
    unwanted = [reject for reject in reading.rejected if not reject.is_asked_for]
    if unwanted and options.strict:
        lines = "\n".join(f"  {reject.file}: {reject.reason}: {reject.detail}" for reject in unwanted[:10])
        raise UserError(f"{options.src}: --strict, and {len(unwanted)} would be rejected:\n{lines}")
    if not sources:
        lines = "\n".join(f"  {reject.file}: {reject.reason}: {reject.detail}" for reject in reading.rejected[:5])
        raise UserError(f"{options.src}: no image has a label ({reading.layout}, {reading.why}):\n{lines}")
    guessed = reading.layout == "filenames" and options.layout == "auto" and not options.label_pattern
    if guessed and (len(labels) == 1 or len(labels) == len(sources) > 3):
        what = f"every name reads as label {labels[0]!r}" if len(labels) == 1 else "every image has another label"
        raise UserError(
            f"{options.src}: the images lie side by side, so labels come from their names, but {what}"
            f" (such as {sources[0].key}); give --label-pattern, a manifest, or a folder a label;"
            " --layout filenames takes the names as they are"
        )
    carve = options.carve()
    if carve and carve[0] not in sources.distinct("split"):
        raise UserError(f"--test-from {options.test_from}: the source gives no {carve[0]} split to carve from")


def _no_images(listing: Listing, options: Options) -> str:
    ignored = ", ".join(f"{count} {suffix}" for suffix, count in listing.ignored().most_common(5))
    rejected = "".join(f"\n  {reject.file}: {reject.detail}" for reject in listing.rejected[:5])
    return f"{options.src}: no images below this folder" + (f", only {ignored}" if ignored else "") + rejected


def _mixed_depths(listing: Listing, shape: _Shape, options: Options) -> str:
    by_depth = {file.key.count("/"): file.key for file in reversed(listing.images)}
    examples = ", ".join(by_depth[depth] for depth in sorted(by_depth)[:3])
    if options.label_depth and min(by_depth) - shape.has_splits < options.label_depth:
        return f"{options.src}: --label-depth {options.label_depth}, but some images lie higher: {examples}"
    return (
        f"{options.src}: images lie at different depths or below nested folders ({examples}). For labels from the"
        " first folder say --label-depth 1, from nested folders --label-depth 2; else move the files so that every"
        " image lies in its label's folder, or give a manifest"
    )


def _some(names: Iterable[str]) -> str:
    """Returns the first few names, quoted."""
    listed = list(itertools.islice(names, 6))
    return ", ".join(repr(name) for name in listed[:5]) + (" …" if len(listed) > 5 else "")
