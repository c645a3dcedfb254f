"""From the files below SRC to labelled sources: three layouts, detected by rules that are drawn here.

Folders: one folder per label, optionally below one folder per split

    raw/wood/board.jpg              raw/train/wood/board.jpg
    raw/mobile/phone.png            raw/val/mobile/phone.png

Filenames: images side by side, optionally below one folder per split; the label is the name less its trailing number

    raw/dog-1.jpg   raw/cat.0.jpg   raw/american_bulldog_34.jpg   raw/dog (1).jpg   raw/train/cat.7.jpg

Manifest: images anywhere, and a table that maps them to labels, see manifest.py

    raw/labels.csv  raw/images/0a1b.jpg

A folder of datasets, each in any of the layouts, is several jobs

    raw/pexels/wood/board.jpg       raw/colors/train/red/1.png

`detect` decides by where the images lie, says why, and stops where two readings are possible.
"""

import collections
import dataclasses
import functools
import posixpath
import re
import unicodedata
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline import storage
from imageshards.pipeline.images import formats
from imageshards.pipeline.options import Options
from imageshards.pipeline.source import Reason, Rejected, Source, UserError
from imageshards.pipeline.sources import label_names, places
from imageshards.pipeline.sources.combined import combine
from imageshards.pipeline.sources.corrections import NAME, correct, read_corrections, take_corrections
from imageshards.pipeline.sources.dataset import SourceDataset, check, notes_on
from imageshards.pipeline.sources.detection import detect
from imageshards.pipeline.sources.files import Files, Sources
from imageshards.pipeline.sources.listing import Listing, list_files
from imageshards.pipeline.sources.manifest import put_splits
from imageshards.pipeline.sources.manifest import read as read_tables
from imageshards.pipeline.sources.names import is_container, split_named
from imageshards.pipeline.sources.questions import some
from imageshards.pipeline.sources.selection import Selection
from imageshards.pipeline.sources.shape import Shape, folders_of
from imageshards.pipeline.sources.tables import Tables, find
from imageshards.pipeline.sources.understood import Read
from imageshards.pipeline.sources.unpacked import is_archive, unpacked

_NUMBER = re.compile(r"-?\d{1,15}(\.\d+)?", re.ASCII)


def read(options: Options) -> list[SourceDataset]:
    """Returns what SRC holds: one reading, or one for each dataset in a folder of datasets.

    Raises:
      UserError: no images, no labels, or more than one possible reading.
    """
    if is_archive(options.src):
        inside = dataclasses.replace(options, src=str(unpacked(options.src, options.out)))
        note = f"unpacked from {options.src}, and used again until that changes"
        return [dataclasses.replace(dataset, notes=[note, *dataset.notes]) for dataset in read(inside)]
    selection = Selection(options.exclude, options.include)
    listing = list_files(options.src, follow_outside=options.follow_outside, selection=selection)
    without_corrections, corrections = take_corrections(listing, options)
    tables = find(without_corrections, options)
    names = _datasets_below(without_corrections, tables, options)
    if not names:
        return [read_dataset(listing, options, tables)]
    if corrections:
        raise UserError(
            f"{corrections}: SRC holds {len(names)} datasets ({some(names)}); put a {NAME} into the folder of each"
        )
    found = []
    for name in names:
        below = dataclasses.replace(options, src=f"{options.src.rstrip('/')}/{name}", dataset="")
        listing = list_files(below.src, follow_outside=options.follow_outside, selection=selection.below(name))
        found.append(read_dataset(listing, below))
    return found


def read_dataset(listing: Listing, options: Options, tables: Tables | None = None) -> SourceDataset:
    """Returns the labelled sources of one dataset, in the order of their keys."""
    if not listing.images:
        raise UserError(_no_images(listing, options))
    listing, corrections = take_corrections(listing, options)
    tables = tables or find(listing, options)
    pinned = _pinned(options, listing)

    @functools.cache
    def by_tables() -> Read:
        return _with_names(read_tables(listing, tables), listing, tables, pinned)

    layout, why = detect(listing, tables, by_tables, options)
    if layout == "manifest":
        read = by_tables()
    else:
        read = _with_names(places.read(layout, listing, options), listing, tables, pinned)
        if tables.labels and options.layout == "auto" and not options.label_depth and not options.label_pattern:
            read = combine(read, by_tables())
    if options.layout in ("auto", "manifest"):
        read = put_splits(read, listing, tables)
    notes = [*listing.notes, *tables.notes, *read.notes]
    notes += [f"{words}; it is not used" for words in tables.passed_over()]
    sources = _grouped(read.sources, options).in_order("key")
    rejected = [*listing.rejected, *read.rejected]
    if corrections:
        sources, rejected, corrected = correct(sources, rejected, listing, read_corrections(corrections))
        notes += corrected
    labels = pinned.labels or _sorted(sources.distinct("label"))
    if pinned.labels:
        sources, unknown = _only_known(sources, labels, options)
        rejected += unknown
    rejected.sort(key=lambda reject: (reject.file, reject.reason, reject.detail))
    notes += notes_on(sources, labels)
    if sources.distinct("split") == ["train"] and not options.test_from:
        sources = sources.without("split")
        notes.append("only train is given, so validation and test are drawn from it; --split 100 keeps all in train")
    dataset = SourceDataset(
        options, listing.root, _ignored(listing, tables), layout, why, sources, rejected, labels, notes, read.examples
    )
    check(dataset, tables)
    return dataset


def _ignored(listing: Listing, tables: Tables) -> collections.Counter[str]:
    """Returns how many files are neither images nor read, by extension."""
    return listing.ignored() - collections.Counter(posixpath.splitext(name)[1].lower() for name in tables.read())


def _datasets_below(listing: Listing, tables: Tables, options: Options) -> list[str]:
    """Returns the names of the folders in SRC that are a dataset each, or nothing where SRC itself is the dataset."""
    images = listing.images
    told = options.layout != "auto" or options.manifest or options.label_depth or options.label_pattern
    if told or not images or tables.labels or tables.unclear or tables.unreadable:
        return []
    found = folders_of(images)
    if min(map(len, found)) < 2 or Shape.of(images).split_folders:
        return []
    folders: dict[str, set[str]] = collections.defaultdict(set)
    for top, label, *_ in found:
        folders[top].add(label)
    shape = Shape.of(images)
    if len(folders) == 1 and (options.dataset or len(shape.wrapper) != 1 or _gives_names(listing, shape)):
        return []
    if len(folders) > 1 and shape.depths == {1} and _only_hold_pictures(images, folders):
        return []
    if len(folders) > 1 and all(len(parts) == 2 and split_named(parts[1]) for parts in found):
        top, split = min(found)
        raise UserError(
            f"{options.src}: the folders {some(sorted(folders))} hold splits and no labels. If they are the labels,"
            f" move the splits above them, as in {split}/{top}; if each is a dataset whose labels are in the names of"
            f" its files, build one at a time: SRC={options.src.rstrip('/')}/{top}"
        )
    lonely = [top for top, labels in folders.items() if len(labels) < 2 and not _is_split_or_images(labels)]
    if options.dataset or lonely:
        raise UserError(
            f"{options.src}: two readings are possible: a folder of datasets ({some(sorted(folders))}), or nested"
            f" labels. For one of the datasets say SRC={options.src.rstrip('/')}/{min(folders)}, for all of them leave"
            f" the dataset's name out; for nested labels say --label-depth 2"
            + (f" ({some(lonely)} would have a single label)" if lonely else "")
        )
    return sorted(folders)


def _gives_names(listing: Listing, shape: Shape) -> bool:
    """Says whether a file of SRC has the names of labels that are numbers."""
    return bool(label_names.find(listing, shape.labels).names)


def _only_hold_pictures(images: Files, folders: dict[str, set[str]]) -> bool:
    """Says whether there is but a folder images/ or the like below each folder, where no names say labels."""
    if not all(is_container(name) for names in folders.values() for name in names):
        return False
    tops = pc.replace_substring_regex(images.rows["key"], r"/.*$", "").to_pylist()
    pairs = {(top, label) for top, label in zip(tops, places.labels_by_name(images), strict=True) if label}
    by_top = collections.Counter(top for top, _ in pairs)
    many = collections.Counter(tops)
    return all(by_top[top] < 2 or by_top[top] == many[top] for top in folders)


def _is_split_or_images(labels: set[str]) -> bool:
    return all(split_named(label) or is_container(label) for label in labels)


def _grouped(sources: Sources, options: Options) -> Sources:
    """Returns the sources under the group that --group-pattern says."""
    if not options.group_pattern:
        return sources
    pattern = re.compile(options.group_pattern)
    return Sources.of(_with_group(source, pattern) for source in sources)


def _with_group(source: Source, pattern: re.Pattern[str]) -> Source:
    match = pattern.search(source.key)
    return dataclasses.replace(source, group=match["group"]) if match else source


@dataclasses.dataclass(frozen=True)
class _Pinned:
    """What --labels says: the labels in the order of their numbers, and by the numbers or codes that stand for them."""

    labels: list[str]
    names: dict[str, str]


def _pinned(options: Options, listing: Listing) -> _Pinned:
    """Reads --labels, a path from here or from SRC."""
    if not options.labels:
        return _Pinned([], {})
    places_of_it = (storage.place(options.labels), listing.root / options.labels)
    path = next((path for path in places_of_it if storage.exists(path) and not path.is_dir()), None)
    if path is None:
        raise UserError(f"--labels {options.labels}: no such file, neither here nor in {options.src}")
    try:
        content = storage.read(path)
        lines = content.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--labels {options.labels}: {error}") from error
    labels = [unicodedata.normalize("NFC", line.strip()) for line in lines]
    while labels and not labels[-1]:
        labels.pop()
    names = label_names.read(content, path.name, by_place=True)
    if names and not set(names.values()) <= set(labels):  # {"0": "cat"}, or n01440764 tench
        return _Pinned(list(names.values()), names)
    for number, label in enumerate(labels, start=1):
        if not label or labels.index(label) != number - 1:
            wrong = f"a repetition of {label}" if label else "blank"
            raise UserError(f"--labels {options.labels}: line {number} is {wrong}")
    if not labels:
        raise UserError(f"--labels {options.labels}: the file is empty; give one label per line")
    return _Pinned(labels, names)


def _with_names(read: Read, listing: Listing, tables: Tables, pinned: _Pinned) -> Read:
    """Returns what was read, with the names of labels that are numbers or codes, if --labels or SRC has them."""
    labels = read.sources.distinct("label")
    if pinned.labels:
        names = {} if set(labels) <= set(pinned.labels) else label_names.of(labels, pinned.names)
        found = label_names.LabelNames(names, "", [])
    else:
        base = tables.labels[0].base if tables.labels else ""
        found = label_names.find(listing, labels, base, [one.key for one in tables.labels])
    if found.file:
        tables.found_use(found.file)
    if not found.names:
        return dataclasses.replace(read, notes=[*read.notes, *found.notes])
    examples = [dataclasses.replace(one, label=found.names[one.label]) for one in read.examples]
    sources = read.sources.renamed("label", found.names)
    return dataclasses.replace(read, sources=sources, examples=examples, notes=[*read.notes, *found.notes])


def _sorted(labels: Iterable[str]) -> list[str]:
    """Returns the labels in the order of their numbers: as numbers where every name is one."""
    names = set(labels)
    if all(_NUMBER.fullmatch(name) for name in names):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names)


def _only_known(sources: Sources, labels: list[str], options: Options) -> tuple[Sources, list[Rejected]]:
    known = pc.is_in(sources.rows["label"].cast(pa.large_string()), pa.array(labels, pa.large_string()))
    unknown = [
        Rejected(source.key, Reason.UNKNOWN_LABEL, f"the label {source.label!r} is not in {options.labels}")
        for source in sources.where(pc.invert(known))
    ]
    return sources.where(known), unknown


def _no_images(listing: Listing, options: Options) -> str:
    ignored = ", ".join(f"{count} {suffix}" for suffix, count in listing.ignored().most_common(5))
    rejected = "".join(f"\n  {reject.file}: {reject.detail}" for reject in listing.rejected[:5])
    archive = next((file.key for file in listing.others if is_archive(str(listing.root / file.path))), "")
    advice = f"; to read the archive itself, give it as SRC: {options.src.rstrip('/')}/{archive}" if archive else ""
    only = f", only {ignored}" if ignored else ""
    choice = ", or exclude less" if options.exclude else ""
    advice = advice or f"; give the folder with your images ({formats.KNOWN}){choice}"
    return f"{options.src}: no images below this folder{only}{advice}{rejected}"
