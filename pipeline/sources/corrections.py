"""Labels that a person has put right: corrections.csv in SRC, or --corrections, which overrules every layout.

    file,label
    cat/17.jpg,dog
    cat/18.jpg,             an empty label leaves the image out

A file is named by its path from SRC, as index.parquet and the reports name it. Other columns are passed over, so a
report's list of doubtful labels can be kept as it is but for the labels.
"""

import csv
import dataclasses
import io
import posixpath
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from imageshards.pipeline import storage
from imageshards.pipeline.options import Options
from imageshards.pipeline.source import SPLIT_NAMES, Reason, Rejected, Source, UserError, counted, labelled, printable
from imageshards.pipeline.sources.files import Sources
from imageshards.pipeline.sources.listing import Listing

NAME = "corrections.csv"
_MENDED = frozenset(  # what a label from elsewhere puts right
    {Reason.BAD_LABEL, Reason.CONFLICTING_ROWS, Reason.NO_LABEL, Reason.NO_ROW, Reason.UNKNOWN_LABEL}
)


@dataclasses.dataclass(frozen=True)
class Corrections:
    """What a table says: the line and the label by the file's key. An empty label leaves it out."""

    name: str
    rows: Mapping[str, tuple[int, str]]
    repeated: list[Rejected]


def take_corrections(listing: Listing, options: Options) -> tuple[Listing, Path | None]:
    """Returns the listing without the table of corrections, so that no layout takes it for a manifest; and the table.

    Raises:
      UserError: --corrections names no file.
    """
    path = None
    if options.corrections:
        candidates = [storage.place(options.corrections), listing.root / options.corrections]
        path = next((place for place in candidates if storage.exists(place) and not place.is_dir()), None)
        if path is None:
            raise UserError(f"--corrections {options.corrections}: no such file, neither here nor in {options.src}")
    elif pc.any(pc.equal(listing.others.rows["key"], NAME)).as_py():
        path = listing.root / NAME
    if path is None:
        return listing, None
    real = storage.real(path)
    key = real.relative_to(listing.root).as_posix() if real.is_relative_to(listing.root) else ""
    others = listing.others.where(pc.not_equal(listing.others.rows["key"], key))
    return dataclasses.replace(listing, others=others), path


def read_corrections(path: Path) -> Corrections:
    """Reads a table of corrections.

    Raises:
      UserError: it cannot be read, has no columns `file` and `label`, or says two things of one file.
    """
    rows: dict[str, tuple[int, str]] = {}
    repeated = []
    for line, file, label in _rows(path):
        key = unicodedata.normalize("NFC", posixpath.normpath(file.replace("\\", "/")))
        before, said = rows.setdefault(key, (line, label))
        if said != label:
            raise UserError(
                f"{path.name}: line {before} says {said!r} of {printable(key)}, line {line} says {label!r}; keep one"
            )
        if before != line:
            detail = f"{printable(key)!r} has the same row in line {before}"
            repeated.append(Rejected(f"{path.name}:{line}", Reason.ROW_DUPLICATE, detail))
    return Corrections(path.name, rows, repeated)


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yields line, file and label."""
    data = storage.read(path)
    try:
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name}: not UTF-8; save it as CSV with UTF-8") from error
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        if not {"file", "label"} <= set(header):
            words = printable(first.strip()) or "empty"
            raise UserError(f"{path.name}: its first line is {words!r}; it has to name the columns file and label")
        file, label = header.index("file"), header.index("label")
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) <= max(file, label):
                    raise UserError(f"{path.name}: line {reader.line_num} has too few cells for a file and a label")
                yield reader.line_num, cells[file].strip(), cells[label].strip()
    except csv.Error as error:
        raise UserError(f"{path.name}: line {reader.line_num}: {error}") from error


def correct(
    sources: Sources, rejected: list[Rejected], listing: Listing, corrections: Corrections
) -> tuple[Sources, list[Rejected], list[str]]:
    """Returns the sources and rejects as the corrections have them, and notes of what that changed."""
    named = pa.array(list(corrections.rows), pa.large_string())
    theirs = pc.is_in(sources.rows["key"], named)
    known = {source.key: source for source in sources.where(theirs)}
    files = {file.key: file for file in listing.images.where(pc.is_in(listing.images.rows["key"], named))}
    mended = {reject.file for reject in rejected if reject.reason in _MENDED and reject.file in corrections.rows}
    splits = _splits_of_folders(sources)
    rejected = [reject for reject in rejected if reject.file not in mended] + corrections.repeated
    right: list[Source] = []
    for key, (line, label) in corrections.rows.items():
        where, old = f"{corrections.name}:{line}", known.get(key)
        if key not in files:
            rejected.append(Rejected(where, Reason.ROW_NO_FILE, f"{printable(key)!r} is not a picture in SRC"))
        elif not old and key not in mended:
            continue  # it is rejected for what no label puts right
        elif not label:
            rejected.append(Rejected(key, Reason.LEFT_OUT, f"{where} has no label for it"))
        else:
            split, group = (old.split, old.group) if old else (splits.get(key.partition("/")[0]), None)
            new = labelled(files[key], label, split, group)
            (right if isinstance(new, Source) else rejected).append(new)  # type: ignore[arg-type]
    notes = _notes(corrections, sources, known, right, rejected)
    return Sources.joined([sources.where(pc.invert(theirs)), Sources.of(right)]).in_order("key"), rejected, notes


def _notes(
    corrections: Corrections,
    sources: Sources,
    known: Mapping[str, Source],
    right: list[Source],
    rejected: list[Rejected],
) -> list[str]:
    same = sum(source.key in known and known[source.key].label == source.label for source in right)
    left_out = sum(reject.reason == Reason.LEFT_OUT for reject in rejected)
    said = f"{counted(len(right) - same, 'label')} changed, {counted(left_out, 'picture')} left out, {same} as before"
    elsewhere = set(sources.distinct("label"))
    new = dict.fromkeys(source.label for source in right if source.label not in elsewhere)
    return [f"{corrections.name}: {said}", *(f"{corrections.name}: no other picture has the label {n!r}" for n in new)]


def _splits_of_folders(sources: Sources) -> dict[str, str]:
    """Returns the split of each upper folder that is called like one, where all in it have one split."""
    found: dict[str, set[str | None]] = {}
    for source in sources:
        top = source.key.partition("/")[0]
        if top.lower() in SPLIT_NAMES:
            found.setdefault(top, set()).add(source.split)
    return {top: split for top, (split, *more) in found.items() if split and not more}
