"""``gramr2 models``: the small models that need no hub."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from gramr2.cli.console import Json, Quiet, say, set_up_logging, show, stderr

app = typer.Typer(help="Named models that need no hub.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """Show the named models and whether they are here."""
    from gramr2.backends.registry import available

    rows = available()
    if as_json:
        values = [
            {"name": m.name, "parameters": m.parameters, "license": m.license, "path": str(p) if p else None}
            for m, p in rows
        ]
        say(json.dumps(values))
        return
    grid = Table()
    for name in ("name", "parameters", "licence", "what", "where"):
        grid.add_column(name)
    for model, path in rows:
        grid.add_row(
            model.name, model.parameters, model.license, model.description, str(path) if path else "not pulled yet"
        )
    show(grid)


@app.command("pull")
def pull_model(
    name: Annotated[str, typer.Argument(help="A named model, see: gramr2 models list.")], quiet: Quiet = False
) -> None:
    """Download a named model, verify it and convert it; done once."""
    set_up_logging(quiet)
    from gramr2.backends.registry import NAMED_MODELS, pull
    from gramr2.errors import ModelNotFoundError

    if name not in NAMED_MODELS:
        raise ModelNotFoundError(f"there is no named model {name!r}: take one of {', '.join(NAMED_MODELS)}")
    if quiet:
        path = pull(name)
    else:
        with stderr.status(f"pulling {name}"):
            path = pull(name)
    say(str(path))
