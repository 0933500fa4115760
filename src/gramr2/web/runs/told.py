"""Runs, rounds and comparisons as the run browser shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gramr2.reporting import plots
from gramr2.reporting.examples import Example, example
from gramr2.reporting.run import RoundView, Row, RunView
from gramr2.selftraining.run.records import GateResult
from gramr2.text import three_digits
from gramr2.web.runs.shelf import NoSuchRunError

KEPT, DROPPED = "kept", "dropped"
PAGE = 50
"""comparisons in an answer"""


def summary(view: RunView) -> Row:
    """A run in a line: its model, and gold accuracy of the seed judge and of the last accepted one."""
    stands = [each for each in view.measured if each.metrics and each.metrics.verdict in (None, GateResult.ACCEPTED)]
    return {
        "model": view.config["model"]["name"],
        "seed": view.config["seed"],
        "finished": view.finished,
        "rounds": len([each for each in view.rounds if each.kept or each.dropped]),
        "first": _gold(view.measured[0]) if view.measured else None,
        "last": _gold(stands[-1]) if stands else None,
    }


def overview(view: RunView) -> Row:
    """A run with its rounds, what was dropped in each, and what a reader should know first."""
    return summary(view) | {
        "rationales": view.config.get("rationale", {}).get("source", "joint"),
        "longer": view.longer,
        "warnings": [*view.warnings],
        "alarms": [
            {"round": each.title, "message": alarm.message}
            for each in view.measured
            if each.metrics
            for alarm in each.metrics.alarms
        ],
        "rounds": [_round(view, each) for each in view.rounds],
        "plotted": any(_point(each) for each in view.measured),
    }


def round_of(view: RunView, number: int) -> RoundView:
    """A round that has judged the pool. Raises NoSuchRunError if there is none of this number."""
    for each in view.rounds:
        if each.number == number and (each.kept or each.dropped):
            return each
    raise NoSuchRunError(f"{view.path.name} has no round {number} that labelled the pool")


def found(view: RunView, round_: RoundView, fate: str, words: str, start: int) -> Row:
    """Comparisons of a round, a page of them from ``start`` on.

    Args:
        fate: ``kept``, ``dropped``, the name of a filter, or empty for all.
        words: all of them occur in the id, the prompt, a response or a rationale, in any case.
    """
    wanted = words.lower().split()
    rows = [
        (row, kept)
        for row, kept in _rows(round_)
        if fate in ("", KEPT if kept else DROPPED, row.get("filter")) and all(word in _text(row) for word in wanted)
    ]
    return {
        "count": len(rows),
        "of": len(round_.kept) + len(round_.dropped),
        "filters": {name: sum(row["filter"] == name for row in round_.dropped) for name in round_.filters(view.stack)},
        "kept": len(round_.kept),
        "rows": [_line(example(row, kept)) for row, kept in rows[start : start + PAGE]],
    }


def one(round_: RoundView, name: str) -> Row:
    """A comparison in full. Raises NoSuchRunError if the round has none of this id."""
    for row, kept in _rows(round_):
        if row["id"] == name:
            each = example(row, kept)
            measures = {key: three_digits(value) for key, value in each.measures.items()}
            return asdict(each) | {"measures": measures}
    raise NoSuchRunError(f"{round_.title} has no comparison {name!r}")


def accuracy_plot(view: RunView) -> str | None:
    """Accuracy on gold by round as SVG; None if nothing was measured."""
    judges = [each for each in view.measured if each.metrics and each.metrics.verdict is not GateResult.SKIPPED]
    if not any(map(_point, judges)):
        return None
    stands = [each.metrics is not None and each.metrics.verdict in (None, GateResult.ACCEPTED) for each in judges]
    return plots.accuracy([each.title for each in judges], [_point(each) for each in judges], stands, view.longer)


def histogram(round_: RoundView, key: str) -> str | None:
    """Confidence or agreement of a round's comparisons as SVG; None if there is nothing to draw."""
    kept = [row[key] for row in round_.kept if row[key] is not None]
    dropped = [row[key] for row in round_.dropped if row[key] is not None]
    label = {"confidence": "confidence", "agreement": "agreement of the votes"}[key]
    return plots.histogram(kept, dropped, label, round_.title) if kept or dropped else None


def _round(view: RunView, each: RoundView) -> Row:
    left = len(each.kept) + len(each.dropped)
    flow = [{"name": "judged", "taken": 0, "left": left}]
    for name in each.filters(view.stack):
        taken = sum(row["filter"] == name for row in each.dropped)
        left -= taken
        flow.append({"name": name, "taken": taken, "left": left})
    metrics = each.metrics
    return {
        "number": each.number,
        "title": each.title,
        "gold": _gold(each),
        "verdict": metrics.verdict if metrics else None,
        "trained_on": metrics.trained_on if metrics else None,
        "thresholds": {k: three_digits(v) for k, v in (metrics.thresholds or {}).items()} if metrics else {},
        "flow": flow if flow[0]["left"] else [],
    }


def _gold(each: RoundView) -> Row | None:
    gold = each.metrics.gold if each.metrics else None
    if gold is None:
        return None
    return {key: getattr(gold, key) for key in ("n", "accuracy", "low", "high", "order_flip_rate", "coverage")}


def _point(each: RoundView) -> tuple[float, float, float] | None:
    gold: Any = each.metrics.gold if each.metrics else None
    if gold is None or None in (gold.accuracy, gold.low, gold.high):
        return None
    return gold.accuracy, gold.low, gold.high


def _rows(round_: RoundView) -> list[tuple[Row, bool]]:
    return [*((row, True) for row in round_.kept), *((row, False) for row in round_.dropped)]


def _text(row: Row) -> str:
    prompt = row["prompt"]
    turns = [prompt] if isinstance(prompt, str) else [turn["content"] for turn in prompt]
    rationales = [vote.get("rationale") or "" for vote in row["votes"]]
    return "\n".join([row["id"], *turns, *row["responses"], row["rationale"] or "", *rationales]).lower()


def _line(each: Example) -> Row:
    return {
        "id": each.id,
        "kept": each.kept,
        "fate": each.fate,
        "label": each.label,
        "confidence": each.confidence,
        "order_flip": each.order_flip,
        "prompt": each.prompt[:200],
    }
