"""``gramr2 init``: data in, a commented run file out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gramr2.cli.console import Bars, Json, Quiet, say, say_json, set_up_logging
from gramr2.cli.reading import reads
from gramr2.config.data import Layout


@reads
def init(
    data: Annotated[
        list[str], typer.Argument(metavar="DATA…", help="Comparisons with and without labels: files, hub data sets.")
    ],
    layout: Layout,
    out: Annotated[Path, typer.Option("--out", "-o", help="The run file to write.")] = Path("run.yaml"),
    gold: Annotated[
        list[str] | None,
        typer.Option(
            "--gold", help="Labelled comparisons to measure on; default: a part of the labelled ones. Repeat it."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model to train; default: one that needs no hub.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that exists.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Write a commented run file for your data: what is learnt from, judged and measured, and settings that were measured."""
    set_up_logging(quiet=True)
    from gramr2.starting.machine import this_machine
    from gramr2.starting.propose import propose

    bars = Bars(quiet or as_json, brief=True)
    found = propose(data, out, this_machine(), layout=layout, gold=gold or (), model=model, force=force, observer=bars)
    parts = found.parts
    numbers = {"seed": len(parts.learnt), "pool": len(parts.unlabelled), "gold": len(parts.measured)}
    if as_json:
        say_json({"out": str(out), "model": found.model, **numbers, "told": found.told, "cost": found.cost})
        return
    if not quiet:
        for each in found.told:
            say(f"- {each}")
    say(
        f"{out}: {numbers['seed']} seed, {numbers['pool']} unlabelled, {numbers['gold']} gold comparisons, {found.model}. Next:\n"
        f"  gramr2 check {out} --cost\n  gramr2 train {out}"
    )
