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
    parquet: Annotated[Path | None, typer.Option(help="Also write the items as a Parquet file, for datasets.")] = None,
    rewardbench: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write RewardBench's result files into this folder.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write an evaluation as one HTML file: every item, to filter, search and link to. Also in layouts of other tools."""
    from gramr2.reporting.evaluation import write_view

    if out is not None and (not out.name or out.is_dir()):
        raise ConfigError(f"--out {out} is a folder: name the file to write")
    if parquet is not None and (not parquet.name or parquet.is_dir()):
        raise ConfigError(f"--parquet {parquet} is a folder: name the file to write")
    page = write_view(folder, out)
    written = [page]
    if parquet or rewardbench:
        from gramr2.evaluation.layouts import write_parquet, write_rewardbench
        from gramr2.evaluation.log import read_log

        log = read_log(folder)
        if parquet:
            write_parquet(log, parquet)
            written.append(parquet)
        if rewardbench:
            written += write_rewardbench(log, rewardbench)
    if not quiet:
        say("\n".join(map(str, written)))
    if show:
        typer.launch(page.resolve().as_uri())
