"""Words for the app: Streamlit reads all text as Markdown."""


def escaped(text: str) -> str:
    """Returns `text` so that Markdown shows it as it is, line by line."""
    marks = {letter: f"\\{letter}" for letter in r"\`*_{}[]()<>#+-.!|~$:&"} | {"\n": "  \n"}
    return "".join(marks.get(letter, letter) for letter in text)
