"""What training tells its caller while it works."""

import dataclasses
from collections.abc import Callable, Mapping


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a step is: `done` of `total` images or epochs; `values` has the losses and accuracies of an epoch."""

    step: str
    done: int
    total: int
    values: Mapping[str, float] = dataclasses.field(default_factory=dict)


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Tells nobody."""
