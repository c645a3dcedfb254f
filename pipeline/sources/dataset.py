"""One dataset as it was understood, and whether it may be built so."""

import collections
import dataclasses
from pathlib import Path

from imageshards.pipeline.options import Layout, Options
from imageshards.pipeline.source import Rejected, UserError
from imageshards.pipeline.sources.files import Sources
from imageshards.pipeline.sources.labels import twins
from imageshards.pipeline.sources.questions import some
from imageshards.pipeline.sources.tables import Tables, no_label
from imageshards.pipeline.sources.understood import Example

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


def notes_on(sources: Sources, labels: list[str]) -> list[str]:
    """Returns what to know of the labels and splits."""
    notes = []
    for names in twins(labels):
        how = "differ in case alone" if len(set(map(str.casefold, names))) == 1 else "look alike"
        notes.append(f"the labels {some(names)} {how}: one of them may be meant for the other")
    if len(labels) == 1:
        notes.append(f"there is a single label, {labels[0]!r}")
    given = set(sources.distinct("split"))
    if None not in given and "validation" in given and "test" not in given:
        notes.append("the source gives no test split; --test-from validation:20 carves one")
    return notes


def check(dataset: SourceDataset, tables: Tables) -> None:
    """Refuses a dataset that is empty, that was only guessed, or that is not as the options say.

    Raises:
      UserError: it may not be built so; the message says what to do.
    """
    options, sources = dataset.options, dataset.sources
    unwanted = [reject for reject in dataset.rejected if not reject.is_asked_for]
    if unwanted and options.strict:
        raise UserError(
            f"{options.src}: --strict allows nothing to be rejected, and {len(unwanted)} would be:\n"
            + _lines(unwanted[:10])
        )
    if not sources and tables.unclear and _is_guess(options, dataset.layout):
        raise UserError(no_label(tables.unclear[0], options))
    if not sources:
        raise UserError(
            f"{options.src}: no image has a label ({dataset.layout}, {dataset.why}):\n{_lines(dataset.rejected[:5])}"
            + _listed(tables.passed_over())
        )
    if _is_guess(options, dataset.layout):
        _check_guess(dataset, tables)
    _check_held_out(dataset, tables)
    carve = options.carve()
    if carve and carve[0] not in sources.distinct("split"):
        raise UserError(f"--test-from {options.test_from}: the source gives no {carve[0]} split to carve from")


def _check_held_out(dataset: SourceDataset, tables: Tables) -> None:
    options, held_out = dataset.options, dataset.options.held_out()
    if held_out and not tables.labels:
        raise UserError(f"--test-from {options.test_from}: {options.src} has no table with a column {held_out[0]!r}")
    if held_out and not any(one.holds(held_out[1]) for one in tables.labels):
        column, value = held_out
        raise UserError(f"--test-from {options.test_from}: no image has {value!r} in the column {column!r}")


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
        "folders": "give one folder per label, or a table; --layout folders builds it as it is",
        "filenames": "give --label-pattern, a manifest, or one folder per label; --layout filenames builds it as it is",
        "manifest": "--label-column names another column; --layout manifest builds it as it is",
    }[layout]
    such = f" (such as {sources[0].key})"
    raise UserError(f"{dataset.options.src}: {where}, but {what}{such}; {advice}{_listed(tables.passed_over())}")
