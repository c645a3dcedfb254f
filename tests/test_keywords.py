"""Options as keyword arguments: declared once, in the dataclass that the command line is made from."""

import dataclasses
import inspect
from typing import Any, Literal

import pytest
from simple_parsing import field

from imageshards.pipeline.keywords import check_choices, command_line, takes_options_of
from imageshards.pipeline.source import UserError
from imageshards.train import train
from imageshards.train.options import Options as TrainOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """For a test."""

    src: str = field(positional=True)
    """Where from."""

    color: Literal["rgb", "gray"] = "rgb"
    """Channels."""

    only: list[str] = field(default_factory=list)
    """What alone to take."""

    strict: bool = False
    """Stop early."""


@takes_options_of(Options)
def make(src: str, *, progress: object = None, **options: Any) -> None:
    """Makes it."""


def test_a_function_shows_every_option_and_its_own_parameters() -> None:
    assert list(inspect.signature(make).parameters) == ["src", "progress", "color", "only", "strict"]
    assert inspect.signature(make).parameters["color"].default == "rgb"
    assert inspect.getdoc(make) == (
        "Makes it.\n\nOptions:\n  src: Where from.\n  color: Channels. (default: rgb)\n"
        "  only: What alone to take.\n  strict: Stop early."
    )


def test_a_value_that_is_no_choice_is_refused_as_the_command_does() -> None:
    check_choices(Options(src="x"))
    with pytest.raises(UserError, match="--color 'red': give one of rgb, gray"):
        check_choices(Options(src="x", color="red"))  # type: ignore[arg-type]


def test_the_command_that_has_the_same_options() -> None:
    options = Options(src="my pictures", only=["a", "b"], strict=True)
    assert command_line("make", options) == "make 'my pictures' --only a --only b --strict"
    assert command_line("make", Options(src="x")) == "make x"


def test_training_as_a_function_lists_the_options_of_the_command() -> None:
    documented = inspect.getdoc(train) or ""
    for option in dataclasses.fields(TrainOptions):
        assert option.name in inspect.signature(train).parameters
        assert f"\n  {option.name}: " in documented
    with pytest.raises(UserError, match="--model 'resnet': give one of mobilenet, mnist, cnn"):
        train("pexels", model="resnet")
