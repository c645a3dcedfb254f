"""Words for the app: Streamlit reads all text as Markdown."""

from collections.abc import Sequence

_NAMED = 6


def escaped(text: str) -> str:
    """Returns `text` so that Markdown shows it as it is, line by line."""
    marks = {letter: f"\\{letter}" for letter in r"\`*_{}[]()<>#+-.!|~$:&"} | {"\n": "  \n"}
    return "".join(marks.get(letter, letter) for letter in text)


def listed(labels: Sequence[str]) -> str:
    """Returns a few labels by name, as text: "cat, dog and 4 more"."""
    named = labels if len(labels) <= _NAMED else [*labels[: _NAMED - 1], f"{len(labels) - _NAMED + 1} more"]
    return " and ".join(filter(None, [", ".join(named[:-1]), named[-1]]))
