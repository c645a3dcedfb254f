"""The Python door to the records job, as a script or a notebook uses it."""

import dataclasses
import inspect
from pathlib import Path

import pytest

from imageshards.pipeline import JobError, Records, UserError, make_records
from imageshards.pipeline.options import Options

from .conftest import draw_tree


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    names = [f"{label}/{number}.png" for label in ("ant", "bee") for number in range(6)]
    return draw_tree(tmp_path / "raw", names)


def test_a_dataset_is_made_and_then_up_to_date(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (raw / "ant" / "broken.jpg").write_bytes(b"no picture")
    seen: list[tuple[int, int]] = []
    made = make_records(
        str(raw), dataset="insects", out=str(tmp_path / "data"), size=32, progress=lambda *n: seen.append(n)
    )
    assert made.path == tmp_path / "data" / "insects" / "1.0.0"
    assert made.labels == ["ant", "bee"]
    assert sum(count for split in made.counts.values() for count in split.values()) == 12
    assert (made.rejected, made.up_to_date) == (1, False)
    assert seen[-1] == (13, 1)
    again = make_records(str(raw), dataset="insects", out=str(tmp_path / "data"), size=32)
    assert again == dataclasses.replace(made, up_to_date=True)
    assert capsys.readouterr() == ("", "")


def test_a_second_dataset_is_counted_from_nought(raw: Path, tmp_path: Path) -> None:
    def counted(name: str) -> int:
        seen: list[int] = []
        make_records(str(raw), dataset=name, out=str(tmp_path), size=8, progress=lambda done, _: seen.append(done))
        return seen[-1]

    assert (counted("first"), counted("second")) == (12, 12)


def test_errors_are_exceptions_in_the_commands_words(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        make_records(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="choose another folder with --out"):
        make_records(str(raw), out=str(raw / "data"))
    with pytest.raises(UserError, match="--encoding 'gif': give one of"):
        make_records(str(raw), encoding="gif")
    with pytest.raises(TypeError, match="unexpected keyword argument 'sise'"):
        make_records(str(raw), sise=3)
    assert issubclass(JobError, Exception)


def test_help_lists_every_option() -> None:
    parameters = inspect.signature(make_records).parameters
    for field in dataclasses.fields(Options):
        assert field.name in parameters
        assert f"  {field.name}: " in (make_records.__doc__ or "")
    assert Records.__doc__
