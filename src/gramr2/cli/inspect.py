"""``gramr2 inspect``: read what a round kept and dropped, and why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gramr2.cli.console import Grid, Json, say, say_json, show
from gramr2.errors import ConfigError
from gramr2.text import three_digits

if TYPE_CHECKING:
    from gramr2.reporting.examples import Example
    from gramr2.reporting.run import RoundView


def inspect(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder, finished or not.")],
    number: Annotated[int | None, typer.Option("--round", help="The round; default: the last one.")] = None,
    dropped_by: Annotated[str | None, typer.Option("--dropped-by", help="Only what this filter dropped.")] = None,
    kept: Annotated[bool, typer.Option("--kept", help="Only what was kept.")] = False,
    name: Annotated[str | None, typer.Option("--id", help="Only the comparison with this id.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most this many.")] = 5,
    as_json: Json = False,
) -> None:
    """Show comparisons of a round with their votes, their rationale, and why each was kept or dropped."""
    from gramr2.reporting.examples import example
    from gramr2.reporting.run import read_run

    view = read_run(run)
    rounds = {each.number: each for each in view.rounds if each.kept or each.dropped}
    if not rounds:
        raise ConfigError(f"{run}: no round has labelled the pool yet, so there is nothing to inspect")
    number = max(rounds) if number is None else number
    if number not in rounds:
        raise ConfigError(f"--round {number}: this run has labelled the pool in rounds {_listed(rounds)}")
    if kept and dropped_by:
        raise ConfigError("--kept and --dropped-by exclude each other: give one of them")
    round_ = rounds[number]
    known = round_.filters(view.stack)
    if dropped_by is not None and dropped_by not in known:
        raise ConfigError(
            f"--dropped-by {dropped_by!r}: in round {number} comparisons were dropped by {_listed(known)}"
        )
    rows = [(row, True) for row in round_.kept if dropped_by is None]
    rows += [(row, False) for row in round_.dropped if not kept and dropped_by in (None, row["filter"])]
    rows = [(row, stays) for row, stays in rows if name in (None, row["id"])]
    if not rows:
        raise ConfigError(f"round {number} has no such comparison{f' as {name!r}' if name else ''} in this selection")
    if as_json:
        for row, _ in rows[:limit]:
            say_json(row)
        return
    show(_counts(round_, known))
    for row, stays in rows[:limit]:
        _show(example(row, stays))
    if len(rows) > limit:
        say(f"{len(rows) - limit} more: raise --limit")


def _counts(round_: RoundView, filters: tuple[str, ...]) -> Grid:
    counts = Counter(row["filter"] for row in round_.dropped)
    grid = Grid(title=f"{round_.title}: {len(round_.kept) + len(round_.dropped)} judged")
    for title, justify in (("kept / dropped by", "left"), ("comparisons", "right")):
        grid.add_column(title, justify=justify)  # type: ignore[arg-type]
    grid.add_row("kept", str(len(round_.kept)), style="bold")
    for each in filters:
        grid.add_row(each, str(counts[each]))
    return grid


def _show(each: Example) -> None:
    say("")
    say(f"── {each.id} · {'kept' if each.kept else 'dropped'} · {each.fate}", style="green" if each.kept else "yellow")
    for title, text in (("Prompt", each.prompt), ("Response A", each.responses[0]), ("Response B", each.responses[1])):
        say(f"[{title}]", style="bold")
        say(text)
    flip = {None: "orders not both decided", True: "orders disagree", False: "orders agree"}[each.order_flip]
    say(
        f"label {each.label or 'none'} · confidence {three_digits(each.confidence)} · "
        f"agreement {three_digits(each.agreement)} · {flip}"
    )
    if each.measures:
        say(" · ".join(f"{key} {three_digits(value)}" for key, value in each.measures.items()))
    for vote in each.votes:
        beliefs = vote["probabilities"]
        numbers = " ".join(f"{key} {value:.2f}" for key, value in beliefs.items()) if beliefs else "no probabilities"
        say(f"  {vote['order']}  {vote['outcome']:<12} {numbers}")
    if each.rationale:
        order = " (written for the swapped order: its Response A is B here)" if each.rationale_swapped else ""
        say(f"[Rationale]{order}", style="bold")
        say(each.rationale)


def _listed(names: Any) -> str:
    return ", ".join(str(each) for each in names) or "no filter"
