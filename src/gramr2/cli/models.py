"""``gramr2 models``: the named small models, which need no hub."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich import box

from gramr2.cli.console import Grid, Json, Quiet, say, say_json, set_up_logging, show, stderr
from gramr2.text import hint

app = typer.Typer(help="Named models that need no hub.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """Show the named models, which need no hub, and whether they are available here."""
    from gramr2.backends.registry import named

    models = named()
    if as_json:
        say_json([asdict(each) | {"path": str(each.path) if each.path else None} for each in models])
        return
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in ("name", "parameters", "licence", "here", "what"):
        grid.add_column(column, no_wrap=column != "what")
    for each in models:
        grid.add_row(each.name, each.parameters, each.license, "yes" if each.path else "no", each.description)
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
        raise ModelNotFoundError(
            f"there is no named model {name!r}{hint(name, NAMED_MODELS)}: take one of {', '.join(NAMED_MODELS)}"
        )
    if quiet:
        path = pull(name)
    else:
        with stderr.status(f"pulling {name}"):
            path = pull(name)
    say(str(path))
