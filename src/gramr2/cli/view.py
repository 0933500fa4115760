"""``gramr2 view``: an evaluation as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramr2.cli.console import Quiet, say
from gramr2.errors import ConfigError


def view(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that gramr2 eval wrote.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Default: view.html in the folder.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write an evaluation as one HTML file: every item, to filter, search and link to."""
    from gramr2.reporting.evaluation import write_view

    if out is not None and (not out.name or out.is_dir()):
        raise ConfigError(f"--out {out} is a folder: name the file to write")
    page = write_view(folder, out)
    if not quiet:
        say(str(page))
    if show:
        typer.launch(page.resolve().as_uri())
