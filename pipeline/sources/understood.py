"""What was understood, shown on a few images: file → label → split, and where that was read."""

import dataclasses
from collections.abc import Iterable

from imageshards.pipeline.source import Rejected, counted
from imageshards.pipeline.sources.files import Sources

EXAMPLES = 20
"""Labels of which an image is shown."""


@dataclasses.dataclass(frozen=True)
class Example:
    """One image and what was read of it. `where` is a row of a table, such as `labels.csv:12`, a folder, or a name."""

    file: str
    label: str
    split: str | None
    where: str


@dataclasses.dataclass
class Read:
    """What a layout makes of the images."""

    sources: Sources
    rejected: list[Rejected]
    notes: list[str]
    examples: list[Example]


def first_of_each_label(found: Iterable[Example]) -> list[Example]:
    """Returns the first image of each of a few labels."""
    examples: dict[str, Example] = {}
    for example in found:
        if len(examples) == EXAMPLES:
            break
        examples.setdefault(example.label, example)
    return list(examples.values())


def lines(examples: list[Example], labels: int) -> list[str]:
    """Returns the lines that show examples of a dataset that has so many labels."""
    if not examples:
        return []
    width = min(60, max(len(example.file) for example in examples))
    shown = [
        f"{example.file.ljust(width)} → {example.label}"
        + (f" → {example.split}" if example.split else "")
        + f"  ({example.where})"
        for example in sorted(examples, key=lambda example: example.label)
    ]
    more = labels - len(examples)
    return [*shown, f"… and {counted(more, 'more label')}"] if more > 0 else shown
