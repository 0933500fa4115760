"""What ``gramr2 eval`` shows of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gramr2.cli.agreement_tables import agreement_lines, people_table
from gramr2.cli.console import Grid, interval
from gramr2.text import counted, duration, more_of, percent

if TYPE_CHECKING:
    from gramr2.evaluation.log import Summary

FAILURES = ("unparseable", "truncated", "error")


def tables(summary: Summary, others: Mapping[str, Any] | None = None) -> Iterator[Grid]:
    """Accuracy by category, and of the parts that a shortcut would treat differently; ``others`` are what ``LeftOut`` tells."""
    result: Mapping[str, Any] = summary.result
    grid = Grid(title=f"{summary.benchmark}: {summary.judge}")
    for column in ("category", "n", "accuracy", "95 % interval", "more labels"):
        grid.add_column(column, justify="left" if column == "category" else "right")
    needed = summary.agreement.needed if summary.agreement else ()
    whole = more_of(needed[-1].more, "settled") if needed else "–"
    more = {each.name: more_of(each.more, "settled") for each in needed[:-1]}
    for category, row in result["by_category"].items():
        bounds = interval(row["low"], row["high"])
        grid.add_row(
            category, str(row["n"]), percent(row["accuracy"]), bounds, more.get(category, "–") if more else whole
        )
    bounds = interval(result["low"], result["high"])
    grid.add_row("all", str(result["n"]), percent(result["accuracy"]), bounds, whole, style="bold")
    if others is not None:
        name, bounds = f"all but {others['left_out']} (--without)", interval(others["low"], others["high"])
        grid.add_row(name, str(others["n"]), percent(others["accuracy"]), bounds, "–", style="bold")
    yield grid
    if summary.agreement is not None:
        yield from people_table(summary.agreement)
    parts: Mapping[str, Any] = summary.measures.get("slices") or {}  # type: ignore[assignment]
    if not any(len(each) > 1 for each in parts.values()):
        return
    grid = Grid(title="by length and place of the better response")
    for column in ("part", "n", "decided", "accuracy", "95 % interval"):
        grid.add_column(column, justify="left" if column == "part" else "right")
    shown: set[str] = set()
    for each in parts.values():
        for name, row in each.items():
            if name in shown:
                continue
            shown.add(name)
            cells = (str(row["n"]), str(row["decided"]), percent(row["accuracy"]), interval(row["low"], row["high"]))
            grid.add_row(name, *cells)
    yield grid


def lines(summary: Summary) -> Iterator[str]:
    """The rest, a sentence each."""
    result: Mapping[str, Any] = summary.result
    skipped = f", {len(summary.skipped)} bad rows skipped" if summary.skipped else ""
    yield (
        f"decided {result['decided']} of {result['n']}, order flips {percent(result['order_flip_rate'])}, "
        f"ties {percent(result['tie_rate'])}, interval: {result['interval']}; "
        f"always the longer response: {percent(summary.longer)}{skipped}"
    )
    yield (
        f"accuracy where undecided counts as wrong {percent(result['accuracy_strict'])}; votes for the response shown first "
        f"{percent(result['first_position_rate'])}; {_outcomes(result['outcomes'])}"
    )
    forced: Mapping[str, Any] = summary.measures.get("without_ties") or {}  # type: ignore[assignment]
    if result["tie_rate"] and forced.get("decided"):
        bounds = interval(forced["low"], forced["high"])
        yield (
            f"accuracy without ties {percent(forced['accuracy'])} ({bounds}; n = {forced['decided']}): "
            "each tie given to the likelier response, items labelled as ties left out"
        )
    if summary.agreement is not None:
        yield from agreement_lines(summary.agreement)
    found: Mapping[str, Any] = summary.measures.get("calibration") or {}  # type: ignore[assignment]
    if found.get("ece") is not None:
        yield f"confidence: calibration error {percent(found['ece'])}, Brier score {found['brier']:.3f} (n = {found['n']})"
    if summary.prompt_tokens or summary.completion_tokens:
        yield (
            f"{counted(summary.prompt_tokens)} prompt tokens, {counted(summary.completion_tokens)} written, "
            f"{duration(summary.seconds)}"
        )


def _outcomes(outcomes: Mapping[str, int]) -> str:
    votes = sum(outcomes.values())
    failed = [f"{outcomes[name]} {name}" for name in FAILURES if outcomes.get(name)]
    if not votes:
        return "no votes"
    return f"{votes} votes" + (f" ({', '.join(failed)})" if failed else "")
