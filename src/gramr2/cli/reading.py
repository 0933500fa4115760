"""The flags that say how data are to be read; they are the keys of a source in a run file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from gramr2.cli.flags import replacing
from gramr2.config.data import Layout
from gramr2.errors import ConfigError

FLAGS: dict[str, tuple[Any, Any]] = {
    "split": (
        Annotated[str | None, typer.Option("--split", help="Split of a hub or saved data set that has several.")],
        None,
    ),
    "columns": (
        Annotated[
            list[str] | None,
            typer.Option("--columns", help="prompt=q, responses=a,b or label=pref: which column is what; repeat it."),
        ],
        None,
    ),
    "label_map": (
        Annotated[
            list[str] | None,
            typer.Option("--label-map", help="left=A: what a label means (A, B or tie); repeat it."),
        ],
        None,
    ),
    "ignore": (
        Annotated[
            list[str] | None,
            typer.Option("--ignore", help="Column, or field of messages, that the judge is not to see; repeat it."),
        ],
        None,
    ),
    "margin": (
        Annotated[float, typer.Option("--margin", help="Scores or ranks that differ by at most this much are a tie.")],
        0.0,
    ),
}


def reads(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of a ``Layout`` instead of its parameter ``layout``, which receives them as one object."""
    return replacing("layout", FLAGS, layout_of)(command)


def layout_of(
    split: str | None = None,
    columns: Sequence[str] | None = None,
    label_map: Sequence[str] | None = None,
    ignore: Sequence[str] | None = None,
    margin: float = 0.0,
) -> Layout:
    """The flags as a layout.

    Raises:
        ConfigError: a flag is not NAME=VALUE, or its value cannot be.
    """
    named = {
        target: names.split(",") if "," in names else names for target, names in _pairs(columns, "--columns").items()
    }
    content = {
        "split": split,
        "columns": named,
        "label_map": _pairs(label_map, "--label-map"),
        "ignore": list(ignore or ()),
        "margin": margin,
    }
    try:
        return Layout.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        flag = str(first["loc"][0]).replace("_", "-")
        raise ConfigError(f"--{flag}: {first['msg'].removeprefix('Value error, ')}") from error


def _pairs(given: Sequence[str] | None, flag: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given or ():
        # A label may contain an equals sign (“A=B=tie”), the name of a column of gramr2 does not.
        name, equals, value = each.partition("=") if flag == "--columns" else each.rpartition("=")
        if not (name and equals and value):
            raise ConfigError(f"{flag} {each}: write it as NAME=VALUE")
        if name in found:
            raise ConfigError(f"{flag}: {name} is given twice")
        found[name] = value
    return found
