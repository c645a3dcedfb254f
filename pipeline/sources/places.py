"""Labels from where images lie and how they are called: the layouts folders and filenames."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from imageshards.pipeline.options import Options
from imageshards.pipeline.source import Reason, Rejected, Source, UserError, labelled
from imageshards.pipeline.sources.files import Files, Sources
from imageshards.pipeline.sources.listing import Listing
from imageshards.pipeline.sources.names import is_unlabelled
from imageshards.pipeline.sources.questions import mixed_depths
from imageshards.pipeline.sources.shape import Shape
from imageshards.pipeline.sources.understood import Example, Read, first_of_each_label

_COPY = re.compile(r" ?\(\d+\)$")  # dog (1).jpg, as file managers number copies
_SEPARATED_NUMBER = re.compile(r"[-_. ]\d+$")
_ATTACHED_NUMBER = re.compile(r"\d+$")


def read(layout: str, listing: Listing, options: Options) -> Read:
    """Returns the sources and the rejected files that a layout without tables finds."""
    rejected: list[Rejected] = []

    def only_sources() -> Iterator[Source]:
        for item in _LAYOUTS[layout](listing, options):
            if isinstance(item, Source):
                yield item
            else:
                rejected.append(item)

    sources = Sources.of(only_sources())
    where = "its folder" if layout == "folders" else "its name"
    examples = first_of_each_label(Example(source.key, source.label, source.split, where) for source in sources)
    return Read(sources, rejected, [], examples)


def read_folders(listing: Listing, options: Options) -> Iterator[Source | Rejected]:
    """The label is the folder, or the first `label_depth` folders, below the split folder if there is one."""
    depth = options.label_depth or 1
    shape = Shape.of(listing.images, deeper=depth, all_folders=bool(options.label_depth))
    for file in listing.images:
        split, folders = shape.split_and_folders(file.key.rpartition("/")[0])
        if split in shape.unlabelled_splits and len(folders) < depth:
            yield Rejected(file.key, Reason.NO_LABEL, f"it lies in {file.key.partition('/')[0]}/ itself")
        elif len(folders) < depth or (len(folders) > depth and not options.label_depth):
            raise UserError(mixed_depths(listing, shape, options))
        elif folders and is_unlabelled(folders[0]) and options.layout != "folders":
            yield Rejected(
                file.key, Reason.NO_LABEL, f"it lies in {folders[0]}/; --layout folders takes that as a label"
            )
        else:
            yield labelled(file, "/".join(folders[:depth]), split)


def read_filenames(listing: Listing, options: Options) -> Iterator[Source | Rejected]:
    """The label is the name less its trailing number, or what `label_pattern` says.

    Digits without a separator (dog12) are a trailing number only where no name has one with (dog-12).
    """
    shape = Shape.of(listing.images)
    pattern = re.compile(options.label_pattern) if options.label_pattern else None
    for file, label in zip(listing.images, labels_by_name(listing.images), strict=True):
        split, _ = shape.split_and_folders(file.key.rpartition("/")[0])
        if pattern is None:
            yield labelled(file, label, split)
        elif (match := pattern.match(PurePosixPath(file.key).stem)) is None:
            yield Rejected(file.key, Reason.NO_LABEL, f"the name does not match --label-pattern {pattern.pattern}")
        else:
            yield labelled(file, match["label"] or "", split)


def labels_by_name(images: Files) -> Iterator[str]:
    """Yields the label that each image has by its name."""
    stems = [PurePosixPath(key).stem for key in images.rows["key"].to_pylist()]
    separated = any(_SEPARATED_NUMBER.search(_COPY.sub("", stem)) for stem in stems)
    number = _SEPARATED_NUMBER if separated or any(map(_COPY.search, stems)) else _ATTACHED_NUMBER
    for stem in stems:
        label = number.sub("", _COPY.sub("", stem)).rstrip("-_. ")
        yield "" if label.isdigit() else label


_LAYOUTS = {"folders": read_folders, "filenames": read_filenames}
