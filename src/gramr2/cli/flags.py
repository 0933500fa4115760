"""Flags that several commands share: they stand on the command line one by one, and reach the command as one object."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

Command = Callable[..., None]


def replacing(
    parameter: str, flags: Mapping[str, tuple[Any, Any]], made: Callable[..., Any]
) -> Callable[[Command], Command]:
    """A decorator that gives a command these flags instead of a parameter, which receives what ``made`` makes of them.

    Args:
        parameter: name of the command's parameter.
        flags: by name, the annotation that typer reads and the default.
        made: called with the flags by name.
    """

    def decorated(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [each for name, each in signature.parameters.items() if name != parameter]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, (kind, default) in flags.items()
        ]

        @functools.wraps(command)
        def run(**given: Any) -> None:
            command(**{parameter: made(**{name: given.pop(name) for name in flags})}, **given)

        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own] + added
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": None}
        return run

    return decorated
