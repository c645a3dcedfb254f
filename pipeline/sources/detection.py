"""Which layout SRC has, by where its images lie and what its tables say; a question where two readings are possible."""

import shlex
from collections.abc import Callable

from imageshards.pipeline.options import Layout, Options
from imageshards.pipeline.source import UserError
from imageshards.pipeline.sources.combined import overlap
from imageshards.pipeline.sources.listing import Listing
from imageshards.pipeline.sources.names import split_of_table
from imageshards.pipeline.sources.questions import mixed_depths, some
from imageshards.pipeline.sources.shape import SRC_ITSELF, Shape
from imageshards.pipeline.sources.tables import Tables, no_label
from imageshards.pipeline.sources.understood import Read

_FEW = 3  # so many images may each have a label of their own


def detect(listing: Listing, tables: Tables, read_tables: Callable[[], Read], options: Options) -> tuple[Layout, str]:
    """Returns the layout and, in words, why; the order of the rules is the order of the lines.

    `read_tables` returns what the tables say of the images.

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
        return _by_tables(listing, shape, tables, read_tables, options)
    if any(one.columns.likely for one in tables.unclear):
        raise UserError(no_label(next(one for one in tables.unclear if one.columns.likely), options))
    if tables.unreadable:
        name, why = tables.unreadable[0]
        raise UserError(
            f"{name}: {why}. If it says nothing of labels, --layout folders or --layout filenames leaves it aside"
        )
    return _by_places(listing, shape, tables, options)


def _by_tables(
    listing: Listing, shape: Shape, tables: Tables, read_tables: Callable[[], Read], options: Options
) -> tuple[Layout, str]:
    """Returns the layout where tables name images and labels; label folders beside them have to agree."""
    names = ", ".join(one.name for one in tables.labels[:3]) + (" …" if len(tables.labels) > 3 else "")
    name = "names" if len(tables.labels) == 1 else "name"
    labels = [label for label in shape.labels if split_of_table(label) is None]  # COCO's train2017 is no label
    one_each = len(labels) == len(listing.images) > _FEW  # as folders that share out many files
    if len(labels) < 2 or one_each or not (shape.depths == {1} or shape.unlabelled):
        return "manifest", f"{names} {name} images and labels"
    both = overlap(listing.images, read_tables(), shape.label_of)
    if both.contradiction or (both.stranger and not both.whole):
        labelled = both.contradiction or f"no folder is called {both.stranger!r} as the labels there"
        raise UserError(
            f"{options.src}: two readings are possible: {names} {name} files and labels, and the folders"
            f" {some(shape.labels)} could be labels ({labelled}); say --layout manifest or --layout folders"
        )
    if both.whole:
        return "manifest", f"{names} {name} images and labels, as their folders do"
    inside = f"images lie in {shape.folders}{shape.in_splits}"
    return "folders", f"{inside}; {names} {name} the labels of others"


def _by_places(listing: Listing, shape: Shape, tables: Tables, options: Options) -> tuple[Layout, str]:
    if sample := next((file.key for file in listing.others if file.suffix == ".cls"), ""):
        raise UserError(
            f"{options.src}: {sample} holds the class of one picture, as in a WebDataset, which is not read; write a"
            " table with a picture and its label in each row, or --layout folders or filenames leaves such files aside"
        )
    if shape.odd_folders:
        raise UserError(
            f"{options.src}: the folders {some(shape.split_folders)} are named like splits and"
            f" {some(shape.odd_folders)} are not; move one kind away, or leave the second out"
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
    raise UserError(mixed_depths(listing, shape, options))


def _exclude(folders: list[str]) -> str:
    """Returns the option that leaves folders out; nothing where pictures lie in SRC itself."""
    if SRC_ITSELF in folders:
        return ""
    return " with " + " ".join(f"--exclude {shlex.quote(folder)}" for folder in folders)


def _check_told(options: Options) -> None:
    """Refuses options that the told layout does not use."""
    columns = ("manifest", "manifest_encoding", "file_column", "label_column", "split_column", "group_column")
    unused = {"folders": ("label_pattern", *columns), "filenames": ("label_depth", *columns)}
    if options.layout in unused and options.held_out():
        raise UserError(
            f"--test-from {options.test_from}: --layout {options.layout} reads no table; leave one of them out"
        )
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
