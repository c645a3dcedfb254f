"""What is asked where images or tables can be read in more than one way, in words that name what to do."""

import itertools
from collections.abc import Iterable

from imageshards.pipeline.options import Options
from imageshards.pipeline.sources.files import Files
from imageshards.pipeline.sources.listing import Listing
from imageshards.pipeline.sources.shape import Shape, folders_of


def mixed_depths(listing: Listing, shape: Shape, options: Options) -> str:
    """Returns the words about images that lie at different depths."""
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
        shape = Shape.of(images, deeper=depth, all_folders=True)
        below = [shape.split_and_folders("/".join(parts))[1] for parts in folders_of(images)]
        labels = sorted({"/".join(folders[:depth]) for folders in below})
        if min(map(len, below)) >= depth and len(labels) > 1:
            makes.append(f"--label-depth {depth} makes {len(labels)} labels, such as {labels[0]!r}")
    return f"{'; '.join(makes)}. " if makes else ""


def some(names: Iterable[str]) -> str:
    """Returns the first few names, quoted."""
    listed = list(itertools.islice(names, 6))
    return ", ".join(repr(name) for name in listed[:5]) + (" …" if len(listed) > 5 else "")
