"""Labels in a sentence."""

from collections.abc import Sequence

_NAMED = 6


def listed(labels: Sequence[str], word: str, rest: str) -> str:
    """Returns "cat, dog or fox", with `word` before the last; of many a few and `rest`, whose {} is their number."""
    named = labels if len(labels) <= _NAMED else [*labels[: _NAMED - 1], rest.format(len(labels) - _NAMED + 1)]
    *first, last = named
    return f"{', '.join(first)} {word} {last}" if first else last
