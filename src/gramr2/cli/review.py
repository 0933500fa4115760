"""``gramr2 review``: the pseudo-labels that are most worth a person's look, and the labels that a person gave them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from gramr2.cli.console import Quiet, say
from gramr2.cli.opening import require_free
from gramr2.errors import ConfigError


def review(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .csv or .jsonl.")],
    number: Annotated[
        int | None, typer.Option("--round", "-r", min=1, help="Default: the last that labelled the pool.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Write at most this many.")] = 100,
    take: Annotated[
        Path | None,
        typer.Option(
            "--take", metavar="FILE", help="Such a file with its labels filled in: write them as a seed file."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write what a person should label, as a table; with --take, turn the filled-in table into labelled comparisons."""
    from gramr2.files import write_jsonl, write_text
    from gramr2.reporting.review import as_csv, as_table, read_back, worth_a_look
    from gramr2.reporting.run import read_run

    require_free({"--out": out}, {"--take": None if take is None else str(take)})
    view = read_run(run)
    kind = out.suffix.lower()
    if kind not in ((".jsonl",) if take else (".csv", ".jsonl")):
        raise ConfigError(f"--out {out}: end its name in .jsonl{'' if take else ' or .csv'}")
    if take is not None:
        rows = read_back(take, view)
        write_jsonl(out, rows)
        told = ", ".join(f"{label} {count}" for label, count in sorted(Counter(row["label"] for row in rows).items()))
        if not quiet:
            say(f"{len(rows)} labels ({told}) → {out}: add it to data.seed")
        return
    rounds = {each.number: each for each in view.rounds if each.kept or each.dropped}
    if not rounds or (number is not None and number not in rounds):
        there = ", ".join(map(str, rounds)) or "none yet"
        raise ConfigError(f"{run}: rounds that have labelled the pool: {there}")
    chosen = worth_a_look(rounds[max(rounds) if number is None else number], limit)
    table = as_table(chosen)
    if kind == ".csv":
        write_text(out, as_csv(table))
    else:
        write_jsonl(out, table)
    if not quiet:
        told = ", ".join(f"{count} {why}" for why, count in Counter(each.why.value for each in chosen).items())
        say(f"{len(table)} comparisons ({told}) → {out}: fill in its column label (A, B, tie), then --take it")
