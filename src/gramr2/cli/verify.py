"""``gramr2 verify``: whether a run folder is what its run wrote."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich import box

from gramr2.cli.console import Bars, Grid, Json, Quiet, say_json, show


def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder, finished or not.")],
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Check the files of a run against their digests, weights in full, and its data and models; changes nothing. Exit code 1 if
    something is damaged or changed."""
    from gramr2.selftraining.verify import verify as check

    with Bars(quiet or as_json, brief=True).task(f"check {run} (MB)") as progress:
        found = check(run, progress)
    whole = not any(each.state.bad for each in found)
    if as_json:
        say_json({"run": str(run), "whole": whole, "parts": [asdict(each) for each in found]})
    else:
        grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for name in ("part", "state", "why"):
            grid.add_column(name)
        for each in found:
            grid.add_row(each.place, each.state.value, each.why, style="red" if each.state.bad else None)
        show(grid)
    if not whole:
        raise typer.Exit(1)
