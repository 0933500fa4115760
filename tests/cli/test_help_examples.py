"""The examples in the help are commands that the command line takes."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer

from gramr2.cli.examples import EXAMPLES
from gramr2.cli.main import app

TOP: Any = typer.main.get_command(app)


def commands(group: Any = TOP, before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, each in group.commands.items():
        found |= commands(each, f"{name} ") if hasattr(each, "commands") else {before + name: each}
    return found


def test_every_command_has_examples() -> None:
    assert set(EXAMPLES) == set(commands())
    assert all(1 <= len(each) <= 2 for each in EXAMPLES.values())


def parse(example: str) -> None:
    """Parse a command as typer does, without running it.

    Raises:
        AssertionError: an option is missing, or there is none of that name.
    """
    first, *words = shlex.split(example)
    assert first == "gramr2"
    name = next(
        each for each in sorted(commands(), key=len, reverse=True) if words[: len(each.split())] == each.split()
    )
    try:
        commands()[name].make_context(name, words[len(name.split()) :])
    except Exception as error:  # typer's own copy of click has its own classes
        raise AssertionError(f"{example}: {getattr(error, 'message', None) or error}") from error


@pytest.mark.parametrize("example", [each for examples in EXAMPLES.values() for each in examples])
def test_an_example_parses(example: str) -> None:
    parse(example)
    assert len(example) < 125


def test_one_that_does_not_parse_is_found() -> None:
    with pytest.raises(AssertionError, match="No such option: --modle"):
        parse("gramr2 judge --modle x --data y --out z")
    with pytest.raises(AssertionError, match="Missing parameter: out"):
        parse("gramr2 judge --model x --data y")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_help_ends_with_them_unbroken(cli, name: str) -> None:
    code, text, _ = cli(*name.split(), "--help")
    assert code == 0
    lines = text.rstrip().splitlines()
    assert [line.strip() for line in lines[-len(EXAMPLES[name]) :]] == list(EXAMPLES[name])
