"""``gramr2 report``: one self-contained HTML file about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramr2.cli.console import Json, say, say_json


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder, finished or not.")],
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; default: RUN/report.html.")] = None,
    as_json: Json = False,
) -> None:
    """Write a report of a run: accuracy, what the filters did, confidence, and judged examples."""
    from gramr2.reporting.report import write_report

    path = write_report(run, out)
    if as_json:
        say_json({"report": str(path)})
    else:
        say(str(path))
