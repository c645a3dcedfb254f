"""Where images lie: how deep, and below folders of what names."""

import collections
import dataclasses
import posixpath

import pyarrow.compute as pc

from imageshards.pipeline.sources.files import Files
from imageshards.pipeline.sources.names import is_container, is_unlabelled, split_named

SRC_ITSELF = "(SRC itself)"


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
    wrapper: tuple[str, ...]  # folders around all others
    unlabelled: list[str]  # split folders whose images lie in no label's folder, though others' do

    @classmethod
    def of(cls, images: Files, deeper: int = 0, *, all_folders: bool = False) -> "Shape":
        """Returns the shape of a tree.

        Args:
          images: all of them.
          deeper: how many folders make a label, where that was told.
          all_folders: whether folders around all others count too.
        """
        folders = folders_of(images)
        skipped = frozenset(name for parts in folders for name in parts if is_container(name))
        bare = {tuple(name for name in parts if name not in skipped) for parts in folders}
        wrapper = () if all_folders else _wrapper(bare)
        bare = {parts[len(wrapper) :] for parts in bare}
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
            labels=sorted({"/".join(parts) for _, parts in below if parts and not is_unlabelled(parts[0])}),
            split_folders=split_folders,
            odd_folders=sorted(top or SRC_ITSELF for top in tops - set(split_folders)) if split_folders else [],
            skipped=skipped,
            wrapper=wrapper,
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
        folders = [name for name in folder.split("/") if name and name not in self.skipped][len(self.wrapper) :]
        return (split_named(folders[0]), folders[1:]) if self.has_splits else (None, folders)

    def label_of(self, folder: str) -> str | None:
        """Returns the label of the images in a folder below SRC, where a folder makes a label."""
        folders = self.split_and_folders(folder)[1]
        return folders[0] if len(folders) == 1 and not is_unlabelled(folders[0]) else None


def _wrapper(folders: set[tuple[str, ...]]) -> tuple[str, ...]:
    """Returns the folders around all others, as in photos/pets/train/cat; a split's folder is none."""
    if len(folders) < 2:
        return ()
    common = posixpath.commonprefix(sorted(folders))
    splits = [place for place, name in enumerate(common) if split_named(name)]
    return tuple(common[: splits[0]] if splits else common)


def folders_of(images: Files) -> set[tuple[str, ...]]:
    """Returns the different folders that images lie in."""
    folders = pc.replace_substring_regex(images.rows["key"], r"/?[^/]*$", "").unique().to_pylist()
    return {tuple(folder.split("/")) if folder else () for folder in folders}
