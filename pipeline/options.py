"""What a records job can be told: one frozen dataclass, from which the command line is made."""

import dataclasses
import os
import re
import unicodedata
from pathlib import Path
from typing import Any, Literal

from simple_parsing import field

from imageshards.pipeline.errors import UserError
from imageshards.pipeline.host import available_cpus
from imageshards.pipeline.images import Color, Encoding, Fit, Normalization
from imageshards.pipeline.images.settings import LARGEST_SIZE, PILLOW_MAX_PIXELS
from imageshards.pipeline.keywords import command_line
from imageshards.pipeline.source import LONE_SURROGATE, SPLITS

Layout = Literal["auto", "folders", "filenames", "manifest"]

_PATHS = ("src", "out", "manifest", "labels", "corrections")  # the bytes of a path may not be UTF-8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Turns labelled images into sharded TFRecords that TensorFlow Datasets reads directly."""

    src: str = field(positional=True, metavar="SRC")
    """The folder with the images, or a .zip, .tar or .tar.gz of it, which is unpacked beside OUT; also a folder of
    such folders, each of which becomes a dataset of its own."""

    dataset: str = field(default="", metavar="NAME")
    """The dataset's name, as in tfds.load(name); the name of SRC's folder unless given."""

    out: str = field(default="data", metavar="FOLDER")
    """Where datasets are published, as OUT/<dataset>/<version>."""

    version: str = field(default="1.0.0", metavar="X.Y.Z")
    """The dataset's version, three numbers; building the same version again replaces it."""

    layout: Layout = "auto"
    """Where labels come from: folders (one folder per label), filenames (dog-1.jpg) or manifest (a table)."""

    dry_run: bool = field(default=False, action="store_true")
    """Print what was understood (layout, labels, images per split, ignored files) and build nothing."""

    split: str = field(default="80/10/10", metavar="A/B/C")
    """Percentages of train/validation/test, or train/validation, for images whose split the source does not give."""

    test_from: str = field(default="", metavar="SPLIT:PERCENT")
    """Carve a test split from a given one: validation:20 makes 20 percent of the given validation images test. Or
    COLUMN:VALUE of a manifest: fold:0 makes the images whose fold is 0 test, and all others train."""

    replace: bool = field(default=False, action="store_true")
    """Replace a version that was made of other images, or with another size, color or encoding, and delete it."""

    redraw_splits: bool = field(default=False, action="store_true")
    """Draw new splits instead of keeping those of the dataset's previous build."""

    size: int = field(default=224, metavar="PIXELS")
    """Width and height of the stored images, in pixels."""

    color: Color = "rgb"
    """Three channels (rgb) or one (gray)."""

    encoding: Encoding = "jpeg"
    """How images are stored: jpeg is small, png is lossless."""

    quality: int = field(default=90, metavar="Q")
    """JPEG quality, 1 to 100, without chroma subsampling."""

    max_pixels: int = field(default=100_000_000, metavar="N")
    """Reject images whose header announces more pixels than this, before they are decoded."""

    keep_truncated: bool = field(default=False, action="store_true")
    """Keep pictures that end early, gray or black where pixels are missing, instead of rejecting them."""

    fit: Fit = "crop"
    """How a picture that is not square fits: crop (its centre), pad (all of it, with borders) or stretch."""

    pad_color: str = field(default="white", metavar="COLOR")
    """The borders' color for --fit pad: a name such as black, or #RRGGBB."""

    label_depth: int = field(default=0, metavar="N")
    """Layout folders: take so many nested folder names as the label, joined by a slash."""

    label_pattern: str = field(default="", metavar="REGEX")
    """Layout filenames: a regular expression with (?P<label>…), matched against the file name without extension."""

    group_pattern: str = field(default="", metavar="REGEX")
    """A regular expression with (?P<group>…), searched in the path below SRC; one group's images share a split."""

    group_near_duplicates: bool = field(default=False, action="store_true")
    """Let pictures that look alike share a split, as copies of one file always do."""

    labels: str = field(default="", metavar="FILE")
    """A text file with one label per line, which fixes the label numbers; sorted names unless given."""

    manifest: list[str] = field(default_factory=list, action="append", nargs=None, metavar="FILE")
    """Layout manifest: the CSV, TSV, JSON or JSONL file; found in SRC unless given. May be given several times."""

    manifest_encoding: str = field(default="", metavar="NAME")
    """The manifest's character encoding; what its first bytes say, or UTF-8, unless given."""

    file_column: str = field(default="", metavar="COLUMN")
    """Manifest column of the file or id, by name or number (the first is 1); found by common names unless given."""

    label_column: str = field(default="", metavar="COLUMN")
    """Manifest column of the label, by name or number."""

    split_column: str = field(default="", metavar="COLUMN")
    """Manifest column of the split, by name or number."""

    group_column: str = field(default="", metavar="COLUMN")
    """Manifest column of the group, by name or number."""

    corrections: str = field(default="", metavar="FILE")
    """A CSV table with the columns file and label that overrules all labels; one without a label leaves its image
    out. corrections.csv in SRC unless given."""

    strict: bool = field(default=False, action="store_true")
    """Stop when a file or a manifest row would be rejected, instead of listing it in rejected.csv."""

    exclude: list[str] = field(default_factory=list, action="append", nargs=None, metavar="GLOB")
    """Leave out files and folders of SRC that fit, such as 'thumbs' or 'train/*.gif'; may be given several times."""

    include: list[str] = field(default_factory=list, action="append", nargs=None, metavar="GLOB")
    """Take only pictures that fit one of these; may be given several times."""

    follow_outside: bool = field(default=False, action="store_true")
    """Follow links that lead out of SRC."""

    shards: int = field(default=0, metavar="N")
    """Shards per split; one for every 256 MB unless given."""

    workers: int = field(default=0, metavar="N")
    """Threads that decode; as many as this process may use CPUs unless given."""

    def __post_init__(self) -> None:
        _check(1 <= self.size <= LARGEST_SIZE, f"--size {self.size}: give 1 to {LARGEST_SIZE} pixels")
        for name in (option.name for option in dataclasses.fields(self) if option.name not in _PATHS):
            value = getattr(self, name)
            said = " ".join(value) if isinstance(value, list) else str(value)
            _check(
                not LONE_SURROGATE.search(said),
                f"--{name.replace('_', '-')} {said}: it is not UTF-8; write it in UTF-8",
            )
        _check(1 <= self.quality <= 100, f"--quality {self.quality}: give a number from 1 to 100")
        _check(
            1 <= self.max_pixels <= PILLOW_MAX_PIXELS,
            f"--max-pixels {self.max_pixels}: give a number from 1 to {PILLOW_MAX_PIXELS}, Pillow's own limit",
        )
        for name in ("label_depth", "shards", "workers"):
            _check(getattr(self, name) >= 0, f"--{name.replace('_', '-')} {getattr(self, name)}: give 0 or more")
        _check(
            re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", self.version, re.ASCII) is not None,
            f"--version {self.version!r}: give three numbers such as 1.0.0",
        )
        if self.fit == "pad":
            _check_color("--pad-color", self.pad_color)
        _check(
            self.fit == "pad" or self.pad_color == "white",
            f"--pad-color {self.pad_color}: only --fit pad has borders; give that too",
        )
        _check_pattern("--label-pattern", self.label_pattern, "label")
        _check_pattern("--group-pattern", self.group_pattern, "group")
        _check(not isinstance(self.manifest, str), f"manifest={self.manifest!r}: give a list of files")
        self.shares()
        self.carve()

    def parameters(self) -> dict[str, Any]:
        """Returns the options that decide what the dataset holds, and not where it is or how it is made."""
        elsewhere = {"src", "out", "dataset", "version", "dry_run", "redraw_splits", "replace", "workers"}
        elsewhere |= {"manifest", "labels", "exclude", "include", "corrections"}  # the sources tell
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in elsewhere}

    def command(self) -> str:
        """Returns the command that makes this dataset: files by their last names, and nothing of this machine."""
        return command_line(
            "imageshards-records",
            dataclasses.replace(
                self,
                src=_last_name(self.src),
                manifest=[_last_name(file) for file in self.manifest],
                labels=self.labels and _last_name(self.labels),
                corrections=self.corrections and _last_name(self.corrections),
                out="data",
                workers=0,
                dry_run=False,
                replace=False,
                redraw_splits=False,
            ),
        )

    def normalization(self) -> Normalization:
        """Returns what decides the stored pixels."""
        return Normalization(
            size=self.size,
            color=self.color,
            encoding=self.encoding,
            quality=self.quality if self.encoding == "jpeg" else 0,
            max_pixels=self.max_pixels,
            keep_truncated=self.keep_truncated,
            fit=self.fit,
            pad_color=self.pad_color,
        )

    def shares(self) -> tuple[float, float, float]:
        """Returns the shares of train, validation and test, which sum to 1."""
        try:
            percent = [float(part) for part in self.split.split("/")]
        except ValueError:
            percent = []
        _check(
            1 <= len(percent) <= len(SPLITS) and abs(sum(percent) - 100) < 1e-6 and min(percent) >= 0,
            f"--split {self.split!r}: give one to three percentages that sum to 100, such as 80/10/10, 90/10 or 100",
        )
        percent += [0.0] * (len(SPLITS) - len(percent))
        return percent[0] / 100, percent[1] / 100, percent[2] / 100

    def carve(self) -> tuple[str, float] | None:
        """Returns the given split that test is carved from, and the share of it; or None."""
        if not self.test_from:
            return None
        name, _, percent = self.test_from.rpartition(":")
        if name and percent and name not in SPLITS:
            return None
        _check(
            name in SPLITS[:2] and re.fullmatch(r"\d+(\.\d+)?", percent) is not None and 0 < float(percent) < 100,
            f"--test-from {self.test_from!r}: give a split and a percentage, such as validation:20, or a column and a"
            " value, such as fold:0",
        )
        return name, float(percent) / 100

    def held_out(self) -> tuple[str, str] | None:
        """Returns the manifest's column and the value in it that makes images test, and all others train."""
        column, _, value = self.test_from.rpartition(":")
        return (column, value) if self.test_from and not self.carve() else None

    def carved_shares(self) -> tuple[float, float, float]:
        """Returns the shares of the split that test is carved from."""
        name, share = self.carve() or ("train", 0.0)
        return (1 - share if name == "train" else 0.0), (1 - share if name == "validation" else 0.0), share

    def worker_count(self) -> int:
        """Returns how many threads decode."""
        return self.workers or available_cpus()

    def dataset_name(self) -> str:
        """Returns the given name, or one made of SRC's folder name."""
        if self.dataset:
            fixed = _as_name(self.dataset)
            _check(
                re.fullmatch(r"[a-z][a-z0-9_]*", self.dataset) is not None,
                f"--dataset {self.dataset!r}: TFDS wants small letters, digits and _ , a letter first"
                + (f"; {fixed!r} would do" if fixed else ""),
            )
            return self.dataset
        folder = _last_name(self.src)
        name = _as_name(folder)
        _check(
            bool(name), f"{self.src}: no dataset name can be made of the folder name {folder!r}; give --dataset NAME"
        )
        return name


def _last_name(path: str) -> str:
    """Returns the last name of a path or URL. What is not UTF-8 in it is shown as �."""
    if "://" in path:
        return path.rstrip("/").rpartition("/")[2]
    return os.fsencode(Path(path).resolve().name).decode(errors="replace")


def _as_name(text: str) -> str:
    """Returns what TFDS takes as a name: été 2024 becomes ete_2024; nothing where letters would be lost."""
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(letter)
    )
    if any(letter.isalpha() and not letter.isascii() for letter in plain):
        return ""
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return f"d{name}" if name[:1].isdigit() else name


def _check_pattern(flag: str, pattern: str, group: str) -> None:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f"{flag} {pattern!r}: {error}") from error
    _check(not pattern or group in compiled.groupindex, f"{flag} {pattern!r}: it needs a named group (?P<{group}>…)")


def _check_color(flag: str, color: str) -> None:
    from PIL import ImageColor  # --help need not wait for it

    try:
        opaque = len(ImageColor.getrgb(color)) == 3
    except ValueError:
        opaque = False
    _check(opaque, f"{flag} {color!r}: give a color's name such as black, or #RRGGBB")


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(message)
