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
import itertools
import re
import shlex
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline import storage
from imageshards.pipeline.options import Layout, Options
from imageshards.pipeline.source import Reason, Rejected, Source, UserError, labelled
from imageshards.pipeline.sources.combined import combine, overlap
from imageshards.pipeline.sources.corrections import NAME, correct, read_corrections, take_corrections
from imageshards.pipeline.sources.files import Files, Sources
from imageshards.pipeline.sources.listing import Listing, list_files
from imageshards.pipeline.sources.manifest import Read, put_splits
from imageshards.pipeline.sources.manifest import read as read_tables
from imageshards.pipeline.sources.names import is_container, split_named
from imageshards.pipeline.sources.selection import Selection
from imageshards.pipeline.sources.tables import Tables, find, no_label
from imageshards.pipeline.sources.understood import Example, first_of_each_label
from imageshards.pipeline.sources.unpacked import is_archive, unpacked

SRC_ITSELF = "(SRC itself)"

_COPY = re.compile(r" ?\(\d+\)$")  # dog (1).jpg, as file managers number copies
_SEPARATED_NUMBER = re.compile(r"[-_. ]\d+$")
_ATTACHED_NUMBER = re.compile(r"\d+$")
_NUMBER = re.compile(r"-?\d{1,15}(\.\d+)?", re.ASCII)
_FEW = 3  # so many images may each have a label of their own


@dataclasses.dataclass(frozen=True)
class SourceDataset:
    """What was understood of one dataset's SRC. `why` gives the layout's reason, `notes` what else to know."""

    options: Options
    root: Path  # SRC, absolute
    ignored: collections.Counter[str]  # files that are not images, by extension
    layout: Layout
    why: str
    sources: Sources
    rejected: list[Rejected]
    labels: list[str]
    notes: list[str]
    examples: list[Example]  # a few images, and where their labels were read

    @property
    def found(self) -> int:
        """How many files are either sources or rejected."""
        return len(self.sources) + sum(not reject.is_row for reject in self.rejected)


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
            f"{corrections}: SRC holds {len(names)} datasets ({_some(names)}); put a {NAME} into the folder of each"
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
    layout, why = detect(listing, tables, options)
    if layout == "manifest":
        read = read_tables(listing, tables)
    else:
        read = _without_table(_LAYOUTS[layout](listing, options), layout)
        if tables.labels and options.layout == "auto" and not options.label_depth and not options.label_pattern:
            read = combine(read, read_tables(listing, tables))
    if options.layout in ("auto", "manifest"):
        read = put_splits(read, listing, tables)
    notes = [*listing.notes, *tables.notes, *read.notes]
    notes += [f"{words}; it is not used" for words in tables.passed_over()]
    sources = _grouped(read.sources, options).in_order("key")
    rejected = [*listing.rejected, *read.rejected]
    if corrections:
        sources, rejected, corrected = correct(sources, rejected, listing, read_corrections(corrections))
        notes += corrected
    labels = _labels(sources, options)
    if options.labels:
        sources, unknown = _only_known(sources, labels, options)
        rejected += unknown
    rejected.sort(key=lambda reject: (reject.file, reject.reason, reject.detail))
    notes += _notes(sources, labels)
    if sources.distinct("split") == ["train"] and not options.test_from:
        sources = sources.without("split")
        notes.append("only train is given, so validation and test are drawn from it; --split 100 keeps all in train")
    dataset = SourceDataset(
        options, listing.root, listing.ignored(), layout, why, sources, rejected, labels, notes, read.examples
    )
    _check(dataset, tables)
    return dataset


def detect(listing: Listing, tables: Tables, options: Options) -> tuple[Layout, str]:
    """Returns the layout and, in words, why; the order of the rules is the order of the lines.

    Raises:
      UserError: two readings are possible, or none; the message names them.
    """
    if options.layout == "manifest":
        _check_tables(tables, options)
    _check_told(options)
    if options.layout != "auto":
        return options.layout, "as told"
    if options.manifest:
        return "manifest", " ".join(f"--manifest {name}" for name in options.manifest)
    if options.label_depth:
        return "folders", f"--label-depth {options.label_depth}"
    if options.label_pattern:
        return "filenames", "--label-pattern"
    shape = Shape.of(listing.images)
    if tables.labels:
        _check_tables(tables, options)
        return _by_tables(listing, shape, tables, options)
    if any(one.columns.likely for one in tables.unclear):
        raise UserError(no_label(next(one for one in tables.unclear if one.columns.likely), options))
    if tables.unreadable:
        name, why = tables.unreadable[0]
        raise UserError(
            f"{name}: {why}. If it says nothing of labels, --layout folders or --layout filenames leaves it aside"
        )
    return _by_places(listing, shape, tables, options)


def _by_tables(listing: Listing, shape: "Shape", tables: Tables, options: Options) -> tuple[Layout, str]:
    """Returns the layout where tables name images and labels; label folders beside them have to agree."""
    names = ", ".join(one.name for one in tables.labels[:3]) + (" …" if len(tables.labels) > 3 else "")
    name = "names" if len(tables.labels) == 1 else "name"
    if len(shape.labels) < 2 or not (shape.depths == {1} or shape.unlabelled):
        return "manifest", f"{names} {name} images and labels"
    both = overlap(listing.images, read_tables(listing, tables), shape.label_of)
    if both.contradiction or (both.stranger and not both.whole):
        labelled = both.contradiction or f"no folder is called {both.stranger!r} as the labels there"
        raise UserError(
            f"{options.src}: two readings are possible: {names} {name} files and labels, and the folders"
            f" {_some(shape.labels)} could be labels ({labelled}); say --layout manifest or --layout folders"
        )
    if both.whole:
        return "manifest", f"{names} {name} images and labels, as their folders do"
    inside = f"images lie in {shape.folders}{shape.in_splits}"
    return "folders", f"{inside}; {names} {name} the labels of others"


def _by_places(listing: Listing, shape: "Shape", tables: Tables, options: Options) -> tuple[Layout, str]:
    if sample := next((file.key for file in listing.others if file.suffix == ".cls"), ""):
        raise UserError(
            f"{options.src}: {sample} holds the class of one picture, as in a WebDataset, which is not read; write a"
            " table with a picture and its label a row, or --layout folders or filenames leaves such files aside"
        )
    if shape.odd_folders:
        raise UserError(
            f"{options.src}: the folders {_some(shape.split_folders)} are named like splits and"
            f" {_some(shape.odd_folders)} are not; move one kind away, or leave the second out"
            + _exclude(shape.odd_folders)
        )
    if shape.depths == {0}:
        return "filenames", "the images lie side by side" + shape.in_splits
    if shape.depths == {1}:
        return "folders", f"every image lies in {shape.folders}{shape.in_splits}"
    if shape.unlabelled:
        unlabelled = f"{', '.join(shape.unlabelled)} has no folders of labels"
        return "folders", f"every image lies in {shape.folders}, below {', '.join(shape.labelled)}; {unlabelled}"
    if tables.unclear:
        raise UserError(no_label(tables.unclear[0], options))
    raise UserError(_mixed_depths(listing, shape, options))


def _exclude(folders: list[str]) -> str:
    """Returns the option that leaves folders out; nothing where pictures lie in SRC itself."""
    if SRC_ITSELF in folders:
        return ""
    return " with " + " ".join(f"--exclude {shlex.quote(folder)}" for folder in folders)


def _check_told(options: Options) -> None:
    """Refuses options that the told layout does not use."""
    columns = ("manifest", "manifest_encoding", "file_column", "label_column", "split_column", "group_column")
    unused = {"folders": ("label_pattern", *columns), "filenames": ("label_depth", *columns)}
    for name in unused.get(options.layout, ()):
        if getattr(options, name):
            flag = f"--{name.replace('_', '-')}"
            raise UserError(f"{flag}: --layout {options.layout} does not use it; leave one of them out")


def _check_tables(tables: Tables, options: Options) -> None:
    """Refuses tables of which a user has to say more.

    Raises:
      UserError: there is none, or several that are not a split each.
    """
    found = tables.labels
    if not found and tables.unclear:
        raise UserError(no_label(tables.unclear[0], options))
    if not found and tables.unreadable:
        name, why = tables.unreadable[0]
        raise UserError(f"{name}: {why}")
    if not found:
        raise UserError(f"{options.src}: no manifest in this folder names its images; give one with --manifest")
    if len(found) > 1 and not all(one.split for one in found):
        names = " and ".join(one.name for one in found[:3])
        raise UserError(
            f"{options.src}: {names} each name images; say which with --manifest, such as --manifest {found[0].name}"
        )


def read_folders(listing: Listing, options: Options) -> Iterator[Source | Rejected]:
    """The label is the folder, or the first `label_depth` folders, below the split folder if there is one."""
    depth = options.label_depth or 1
    shape = Shape.of(listing.images, deeper=depth)
    for file in listing.images:
        split, folders = shape.split_and_folders(file.key.rpartition("/")[0])
        if split in shape.unlabelled_splits and len(folders) < depth:
            yield Rejected(file.key, Reason.NO_LABEL, f"it lies in {file.key.partition('/')[0]}/ itself")
        elif len(folders) < depth or (len(folders) > depth and not options.label_depth):
            raise UserError(_mixed_depths(listing, shape, options))
        else:
            yield labelled(file, "/".join(folders[:depth]), split)


def read_filenames(listing: Listing, options: Options) -> Iterator[Source | Rejected]:
    """The label is the name less its trailing number, or what `label_pattern` says.

    Digits without a separator (dog12) are a trailing number only where no name has one with (dog-12).
    """
    shape = Shape.of(listing.images)
    pattern = re.compile(options.label_pattern) if options.label_pattern else None
    stems = [PurePosixPath(file.key).stem for file in listing.images]
    separated = any(_SEPARATED_NUMBER.search(_COPY.sub("", stem)) for stem in stems)
    number = _SEPARATED_NUMBER if separated or any(map(_COPY.search, stems)) else _ATTACHED_NUMBER
    for file, stem in zip(listing.images, stems, strict=True):
        split, _ = shape.split_and_folders(file.key.rpartition("/")[0])
        if pattern is None:
            label = number.sub("", _COPY.sub("", stem)).rstrip("-_. ")
            yield labelled(file, "" if label.isdigit() else label, split)
        elif (match := pattern.match(stem)) is None:
            yield Rejected(file.key, Reason.NO_LABEL, f"the name does not match --label-pattern {pattern.pattern}")
        else:
            yield labelled(file, match["label"] or "", split)


_LAYOUTS = {"folders": read_folders, "filenames": read_filenames}


@dataclasses.dataclass(frozen=True)
class Shape:
    """Where images lie: `depths` counts the folders above them, and `labels` are those folders, below any split.

    A folder named after its content, as images/ is, does not count.
    """

    has_splits: bool
    depths: set[int]
    labels: list[str]
    split_folders: list[str]
    odd_folders: list[str]  # beside split folders, and not named like one
    skipped: frozenset[str]  # names of folders that do not count
    unlabelled: list[str]  # split folders whose images lie in no label's folder, though others' do

    @classmethod
    def of(cls, images: Files, deeper: int = 0) -> "Shape":
        """Returns the shape of a tree; `deeper` is how many folders make a label, where that was told."""
        folders = _folders_of(images)
        skipped = frozenset(name for parts in folders for name in parts if is_container(name))
        bare = {tuple(name for name in parts if name not in skipped) for parts in folders}
        tops = {parts[0] if parts else "" for parts in bare}
        split_folders = sorted(top for top in tops if split_named(top))
        has_splits = len(split_folders) == len(tops)
        if has_splits and deeper:  # train/ and test/ themselves are labels where nothing lies deeper
            has_splits = any(len(parts) > deeper for parts in bare)
        below = {(parts[0] if has_splits else "", parts[1:] if has_splits else parts) for parts in bare}
        by_split: dict[str, set[int]] = collections.defaultdict(set)
        for top, parts in below:
            by_split[top].add(len(parts))
        depths = {len(parts) for _, parts in below}
        unlabelled = sorted(top for top, found in by_split.items() if found == {0}) if has_splits else []
        return cls(
            has_splits=has_splits,
            depths=depths,
            labels=sorted({"/".join(parts) for _, parts in below if parts}),
            split_folders=split_folders,
            odd_folders=sorted(top or SRC_ITSELF for top in tops - set(split_folders)) if split_folders else [],
            skipped=skipped,
            unlabelled=unlabelled if len(depths) > 1 and depths - {0} in ({1}, {deeper}) else [],
        )

    @property
    def labelled(self) -> list[str]:
        """Returns the split folders with one folder per label."""
        return [name for name in self.split_folders if name not in self.unlabelled]

    @property
    def unlabelled_splits(self) -> set[str | None]:
        """Returns the splits whose images lie in no label's folder."""
        return {split_named(name) for name in self.unlabelled}

    @property
    def folders(self) -> str:
        """Returns the labels' folders, in words."""
        return f"one of {len(self.labels):,} folders" if len(self.labels) > 1 else f"the folder {self.labels[0]}"

    @property
    def in_splits(self) -> str:
        """Returns the split folders, in words."""
        return f", below the splits {', '.join(self.split_folders)}" if self.has_splits else ""

    def split_and_folders(self, folder: str) -> tuple[str | None, list[str]]:
        """Returns the split of a folder below SRC, and the folders that count below it."""
        folders = [name for name in folder.split("/") if name and name not in self.skipped]
        return (split_named(folders[0]), folders[1:]) if self.has_splits else (None, folders)

    def label_of(self, folder: str) -> str | None:
        """Returns the label of the images in a folder below SRC, where a folder makes a label."""
        folders = self.split_and_folders(folder)[1]
        return folders[0] if len(folders) == 1 else None


def _folders_of(images: Files) -> set[tuple[str, ...]]:
    """Returns the different folders that images lie in."""
    folders = pc.replace_substring_regex(images.rows["key"], r"/?[^/]*$", "").unique().to_pylist()
    return {tuple(folder.split("/")) if folder else () for folder in folders}


def _datasets_below(listing: Listing, tables: Tables, options: Options) -> list[str]:
    """Returns the names of the folders in SRC that are a dataset each, or nothing where SRC itself is the dataset."""
    images = listing.images
    told = options.layout != "auto" or options.manifest or options.label_depth or options.label_pattern
    if told or not images or tables.labels or tables.unclear or tables.unreadable:
        return []
    found = _folders_of(images)
    if min(map(len, found)) < 2 or Shape.of(images).split_folders:
        return []
    folders: dict[str, set[str]] = collections.defaultdict(set)
    for top, label, *_ in found:
        folders[top].add(label)
    if len(folders) == 1 and len(Shape.of(images).labels) > 1 and Shape.of(images).depths == {1}:
        return []
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
    return all(split_named(label) or is_container(label) for label in labels)


def _without_table(found: Iterable[Source | Rejected], layout: str) -> Read:
    """Returns the sources and the rejected files that a layout without tables finds."""
    rejected: list[Rejected] = []

    def only_sources() -> Iterator[Source]:
        for item in found:
            if isinstance(item, Source):
                yield item
            else:
                rejected.append(item)

    sources = Sources.of(only_sources())
    where = "its folder" if layout == "folders" else "its name"
    examples = first_of_each_label(Example(source.key, source.label, source.split, where) for source in sources)
    return Read(sources, rejected, [], examples)


def _grouped(sources: Sources, options: Options) -> Sources:
    """Returns the sources under the group that --group-pattern says."""
    if not options.group_pattern:
        return sources
    pattern = re.compile(options.group_pattern)
    return Sources.of(_with_group(source, pattern) for source in sources)


def _with_group(source: Source, pattern: re.Pattern[str]) -> Source:
    match = pattern.search(source.key)
    return dataclasses.replace(source, group=match["group"]) if match else source


def _labels(sources: Sources, options: Options) -> list[str]:
    """Returns the class names in the order of their numbers: sorted, as numbers where every name is one, or pinned."""
    if options.labels:
        return _pinned_labels(Path(options.labels))
    names = set(sources.distinct("label"))
    if all(_NUMBER.fullmatch(name) for name in names):
        return sorted(names, key=lambda name: (float(name), name))
    return sorted(names)


def _pinned_labels(path: Path) -> list[str]:
    try:
        lines = storage.read(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--labels {path}: {error}") from error
    labels = [unicodedata.normalize("NFC", line.strip()) for line in lines]
    while labels and not labels[-1]:
        labels.pop()
    for number, label in enumerate(labels, start=1):
        if not label or labels.index(label) != number - 1:
            raise UserError(f"--labels {path}: line {number} is {'a repetition of ' + label if label else 'blank'}")
    if not labels:
        raise UserError(f"--labels {path}: the file is empty; give one label per line")
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
    if None not in given and "validation" in given and "test" not in given:
        notes.append("the source gives no test split; --test-from validation:20 carves one")
    return notes


def _check(dataset: SourceDataset, tables: Tables) -> None:
    options, sources = dataset.options, dataset.sources
    unwanted = [reject for reject in dataset.rejected if not reject.is_asked_for]
    if unwanted and options.strict:
        raise UserError(f"{options.src}: --strict, and {len(unwanted)} would be rejected:\n{_lines(unwanted[:10])}")
    if not sources and tables.unclear and _is_guess(options, dataset.layout):
        raise UserError(no_label(tables.unclear[0], options))
    if not sources:
        raise UserError(
            f"{options.src}: no image has a label ({dataset.layout}, {dataset.why}):\n{_lines(dataset.rejected[:5])}"
            + _listed(tables.passed_over())
        )
    if _is_guess(options, dataset.layout):
        _check_guess(dataset, tables)
    carve = options.carve()
    if carve and carve[0] not in sources.distinct("split"):
        raise UserError(f"--test-from {options.test_from}: the source gives no {carve[0]} split to carve from")


def _listed(words: list[str]) -> str:
    return "".join(f"\n  {line}" for line in words)


def _lines(rejected: list[Rejected]) -> str:
    return "\n".join(f"  {reject.file}: {reject.reason}: {reject.detail}" for reject in rejected)


def _is_guess(options: Options, layout: Layout) -> bool:
    """Says whether nobody told where the labels are."""
    told = {"folders": options.label_depth, "filenames": options.label_pattern, "manifest": options.label_column}
    return options.layout == "auto" and not told[layout]


def _check_guess(dataset: SourceDataset, tables: Tables) -> None:
    """Refuses a label for all images, or one per image, where that was only guessed."""
    labels, sources, layout = dataset.labels, dataset.sources, dataset.layout
    if len(labels) > 1 and not len(labels) == len(sources) > _FEW:
        return
    if tables.unclear and layout != "manifest":
        raise UserError(no_label(tables.unclear[0], dataset.options))
    what = f"every image would have the label {labels[0]!r}" if len(labels) == 1 else "every image has another label"
    where = {
        "folders": "labels come from folders",
        "filenames": "the images lie side by side, so labels come from their names",
        "manifest": f"labels come from {', '.join(one.name for one in tables.labels[:3])}",
    }[layout]
    advice = {
        "folders": "--layout folders accepts them; otherwise give one folder per label, or a table",
        "filenames": "give --label-pattern, a manifest, or one folder per label; --layout filenames accepts the names",
        "manifest": "--layout manifest takes the table so; --label-column names another column",
    }[layout]
    such = f" (such as {sources[0].key})"
    raise UserError(f"{dataset.options.src}: {where}, but {what}{such}; {advice}{_listed(tables.passed_over())}")


def _no_images(listing: Listing, options: Options) -> str:
    ignored = ", ".join(f"{count} {suffix}" for suffix, count in listing.ignored().most_common(5))
    rejected = "".join(f"\n  {reject.file}: {reject.detail}" for reject in listing.rejected[:5])
    archive = next((file.key for file in listing.others if is_archive(str(listing.root / file.path))), "")
    advice = f"; to read the archive itself, give it as SRC: {options.src.rstrip('/')}/{archive}" if archive else ""
    only = f", only {ignored}" if ignored else ""
    return f"{options.src}: no images below this folder{only}{advice}{rejected}"


def _mixed_depths(listing: Listing, shape: Shape, options: Options) -> str:
    by_depth = {file.key.count("/"): file.key for file in reversed(listing.images)}
    examples = ", ".join(by_depth[depth] for depth in sorted(by_depth)[:3])
    if options.label_depth and min(by_depth) - shape.has_splits < options.label_depth:
        return f"{options.src}: --label-depth {options.label_depth}, but some images lie higher: {examples}"
    return (
        f"{options.src}: images lie at different depths or below nested folders ({examples}). {_depths(listing.images)}"
        "Move the files so that every image lies in its label's folder, or give a manifest"
    )


def _depths(images: Files) -> str:
    """Returns, in words, how many labels each depth of folders would make, where each image lies deep enough."""
    makes = []
    for depth in (1, 2, 3):
        shape = Shape.of(images, deeper=depth)
        below = [shape.split_and_folders("/".join(parts))[1] for parts in _folders_of(images)]
        labels = sorted({"/".join(folders[:depth]) for folders in below})
        if min(map(len, below)) >= depth and len(labels) > 1:
            makes.append(f"--label-depth {depth} makes {len(labels)} labels, such as {labels[0]!r}")
    return f"{'; '.join(makes)}. " if makes else ""


def _some(names: Iterable[str]) -> str:
    """Returns the first few names, quoted."""
    listed = list(itertools.islice(names, 6))
    return ", ".join(repr(name) for name in listed[:5]) + (" …" if len(listed) > 5 else "")
