"""``gramr2 compare``: judges on the same items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gramr2.cli.console import Grid, Json, interval, say, say_json, show
from gramr2.errors import ConfigError
from gramr2.text import more_of, p_value, percent

if TYPE_CHECKING:
    from gramr2.evaluation.compare import Compared, Difference

KINDS = (".html", ".md")
FEW = 3
"""pairs of judges whose categories fit on a screen"""


def compare(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR DIR…", help="Folders that gramr2 eval wrote.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write it: .html or .md.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the bootstrap.")] = 0,
    ties: Annotated[
        bool,
        typer.Option(
            "--ties/--no-ties",
            help="--no-ties: a judge's ties go to the response it finds likelier; items labelled as ties are left out.",
        ),
    ] = True,
    as_json: Json = False,
) -> None:
    """Compare judges on the items that all of them have: differences, intervals, and what so many items can show."""
    from gramr2.evaluation.compare import compare as compared
    from gramr2.evaluation.log import read_log
    from gramr2.files import write_text
    from gramr2.reporting.comparison import as_html, as_markdown, untied, verdict

    if out is not None and (out.suffix.lower() not in KINDS or out.is_dir()):
        raise ConfigError(f"--out {out}: end its name in .html or .md")
    found = compared([read_log(folder) for folder in folders], seed, ties=ties)
    if out is not None:
        write_text(out, as_html(found) if out.suffix.lower() == ".html" else as_markdown(found))
    if as_json:
        say_json(asdict(found))
        return
    for what, part in found.parts:
        show(_standings(part, what))
        parted = [pair for pair in part.pairs if pair.categories]
        for pair in parted if len(parted) <= FEW else ():
            show(_categories(pair.second, pair.first, pair.categories, what))
        for pair in part.pairs:
            kappa = "" if pair.kappa is None else f" Labels agree with κ = {pair.kappa:.2f}."
            differ = "labels" if what == "items" else "first places"
            say(f"{verdict(pair, what)}{kappa} Different {differ}: {len(pair.disagreements)} of {part.n}.")
        if len(parted) > FEW:
            say(f"the categories of {len(parted)} pairs of judges: --out comparison.html, or name fewer folders")
        if part.left_out:
            say(f"{part.left_out} {what} that not all judges have are left out")
        if what == "items":
            for line in untied(part):
                say(line)
    if out is not None:
        say(str(out))


def _standings(found: Compared, what: str) -> Grid:
    from gramr2.reporting.comparison import COLUMNS

    grid = Grid(title=f"{found.benchmark}: {found.n} {what}")
    for name in ("judge", *COLUMNS[what], "group"):
        grid.add_column(name, justify="left" if name in ("judge", "group") else "right")
    for each in found.standings:
        bounds, flips = interval(each.low, each.high), percent(each.order_flip_rate)
        cells = (percent(each.accuracy), bounds, percent(each.strict), str(each.decided), flips)
        grid.add_row(each.name, *cells[: len(COLUMNS[what])], each.groups)
    grid.caption = "Judges that share a letter are not significantly different."
    return grid


def _categories(second: str, first: str, rows: Sequence[Difference], what: str) -> Grid:
    grid = Grid(title=f"{second} against {first}")
    for name in ("category", "n", "points", "95 % interval", "corrected", f"more {what}"):
        grid.add_column(name, justify="left" if name == "category" else "right")
    for row in rows:
        test = row.test
        bounds = f"{100 * test.low:+.1f} to {100 * test.high:+.1f}"
        grid.add_row(
            row.name,
            str(row.n),
            f"{100 * test.difference:+.1f}",
            bounds,
            p_value(row.adjusted),
            more_of(row.more, "shown"),
        )
    grid.caption = f"more {what}: how many would show the difference with 80 % power, if it is as large as it seems"
    return grid
