"""A command's options as keyword arguments of a Python function: declared once, in the command's dataclass."""

import dataclasses
import inspect
import shlex
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from simple_parsing import docstring

from imageshards.pipeline.source import UserError

_Function = TypeVar("_Function", bound=Callable[..., Any])


def takes_options_of(options: type) -> Callable[[_Function], _Function]:
    """Returns a decorator that lists the fields of `options` in a function's signature and documentation.

    The function itself takes the positional field first, then parameters of its own, and the rest as `**keywords`.
    """
    fields = [field for field in dataclasses.fields(options) if field.init]
    first = [field.name for field in fields if field.metadata.get("positional")]

    def decorate(function: _Function) -> _Function:
        own = inspect.signature(function)
        parameters = [
            *(parameter for parameter in own.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD),
            *(_parameter(field) for field in fields if field.name not in {*own.parameters, *first}),
        ]
        function.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        listed = [f"  {field.name}: {_described(options, field)}" for field in fields]
        function.__doc__ = "\n".join([inspect.getdoc(function) or "", "", "Options:", *listed])
        return function

    return decorate


def check_choices(options: Any) -> None:
    """Raises UserError where a field that has a fixed set of values holds another one.

    A command line cannot give another value, a caller in Python can.
    """
    types = typing.get_type_hints(type(options))
    for field in dataclasses.fields(options):
        choices = typing.get_args(types[field.name]) if typing.get_origin(types[field.name]) is Literal else ()
        value = getattr(options, field.name)
        if choices and value not in choices:
            flag = f"--{field.name.replace('_', '-')}"
            raise UserError(f"{flag} {value!r}: give one of {', '.join(map(str, choices))}")


def _parameter(field: "dataclasses.Field[Any]") -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, kind, default=_default(field), annotation=field.type)


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default


def _described(options: type, field: "dataclasses.Field[Any]") -> str:
    text = docstring.get_attribute_docstring(options, field.name).docstring_below
    default = _default(field)
    return f"{text} (default: {default})" if default and default is not inspect.Parameter.empty else text


def command_line(name: str, options: Any) -> str:
    """Returns the command that has these options: what is positional, then what differs from its default."""
    words = [name]
    flags: list[str] = []
    for field in dataclasses.fields(options):
        value, default = getattr(options, field.name), _default(field)
        values = [str(part) for part in value] if isinstance(value, (list, tuple)) else [str(value)]
        flag = f"--{field.name.replace('_', '-')}"
        if field.metadata.get("positional"):
            words += values if value else []
        elif value is True:
            flags.append(flag)
        elif value != default:
            flags += [word for one in values for word in (flag, one)]
    return shlex.join([*words, *flags])
