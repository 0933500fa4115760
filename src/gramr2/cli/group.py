"""The group of commands: its help, and what it says to a choice that there is not."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperGroup

from gramr2.text import hint

_CHOICE = re.compile(r"(?:Value error, )?'(.*)' is not one of (.+?)\.?", re.DOTALL)


class Group(TyperGroup):
    """Commands and options are suggested by typer; this adds the values of options."""

    def invoke(self, ctx: Any) -> Any:
        """See click.

        Raises:
            typer.BadParameter: a value is not one of its choices; with the one that was probably meant.
        """
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            if found := _CHOICE.fullmatch(error.message):
                given, choices = found.groups()
                meant = hint(given, re.findall("'([^']*)'", choices))
                error.message = f"{given!r} is not one of {choices}{meant}"
            raise
