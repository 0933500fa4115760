"""What a run means, in three sentences, and what it was made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gramr2.reporting.run import RoundView, RunView
from gramr2.selftraining.run.history import Work
from gramr2.text import duration, p_value, percent


def sentences(view: RunView, final: RoundView | None) -> list[str]:
    """How right the final judge is, whether it beats what is cheap, and what it rests on; empty before anything is measured."""
    if final is None or final.metrics is None or final.metrics.gold.accuracy is None:
        return []
    return [_accuracy(final), _baseline(view), _grounds(view, final)]


def work(history: Sequence[Work]) -> str | None:
    """When, how long and with what; None for a run of an older version."""
    if not history:
        return None
    first, last = history[0], history[-1]
    spent = sum(each.seconds or 0 for each in history)
    killed = sum(each.ended is None for each in history[:-1])
    started = f"Started {first.started:%Y-%m-%d %H:%M} UTC"
    parts = [f"{started}, {duration(spent)} of work" if any(each.ended for each in history) else started]
    if len(history) > 1:
        parts.append(
            f"in {len(history)} parts" + (f" ({killed} of them killed, whose time is not known)" if killed else "")
        )
    made = f"{last.versions}, commit {last.commit}" if last.commit else last.versions
    return f"{', '.join(parts)}. {made}."


def _accuracy(final: RoundView) -> str:
    metrics = final.metrics
    assert metrics is not None
    gold = metrics.gold
    start = (
        f"The {'seed judge' if final.number == 0 else f'judge of {final.title}'} is right on {percent(gold.accuracy)}"
    )
    if gold.low is not None and gold.high is not None:
        start += f" ({percent(gold.low)} to {percent(gold.high)})"
    decided = gold.n if gold.decided is None else gold.decided
    start += f" of the {decided} gold comparisons that it decides"
    if decided < gold.n:
        start += f", of {gold.n}"
    test = metrics.since_seed
    if final.number == 0 or test is None:
        return f"{start}."
    low, high = test.low, test.high
    told = f"{100 * test.difference:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}, {p_value(test.p_value)})"
    if low > 0:
        return f"{start}: {told} on the seed judge."
    if high < 0:
        return f"{start}: {told}, so the seed judge was better."
    return f"{start}; self-training changed it by {told}, which is not shown to be a difference."


def _baseline(view: RunView) -> str:
    known = {name: record for name, record in view.baselines.items() if record.get("gold")}
    known = {name: record for name, record in known.items() if record["gold"]["accuracy"] is not None}
    if not known:
        return "It was not held against cheap baselines."
    name = max(known, key=lambda each: known[each]["gold"]["accuracy"])
    best = f"the best cheap baseline, {name}, has {percent(known[name]['gold']['accuracy'])}"
    test: Mapping[str, Any] | None = (view.last.get("against_baselines") or {}).get(name)
    if test is None:
        return f"{best[0].upper()}{best[1:]}."
    told = f"{100 * test['difference']:+.1f} points ({100 * test['low']:+.1f} to {100 * test['high']:+.1f})"
    ends = "is better" if test["low"] > 0 else "is worse" if test["high"] < 0 else "is not shown to be better"
    return f"{best[0].upper()}{best[1:]}: against it the judge has {told} and {ends}."


def _grounds(view: RunView, final: RoundView) -> str:
    assert final.metrics is not None
    gold = final.metrics.gold
    flips = "How often its verdict changes with the order of the responses is not known"
    if gold.order_flip_rate is not None:
        flips = f"Its verdict changes with the order of the responses on {percent(gold.order_flip_rate)}"
    judged = sum(len(each.kept) + len(each.dropped) for each in view.rounds)
    kept = sum(len(each.kept) for each in view.rounds)
    pool = f"; {kept} of {judged} judged comparisons passed the filters" if judged else ""
    learnt = f"; it learnt from {final.metrics.trained_on} comparisons" if final.metrics.trained_on is not None else ""
    return f"{flips}{learnt}{pool}."
