"""The results of RLHF in the lab, over seeds: a table, its CSV, and the curves of truth."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gramr2.files import write_text
from gramr2.reporting.plots import curves
from gramr2.research.ablation.statistics import Mean, mean
from gramr2.text import percent

Results = Mapping[str, Sequence[Mapping[str, Any]]]
"""a result per seed, by source of the reward"""
HEADERS = (
    "rewarded by",
    "seeds",
    "right before",
    "right after",
    "change, points",
    "greedy after",
    "reward change",
    "truth change",
    "hacked",
)


def rows(results: Results) -> list[tuple[str, ...]]:
    """One row per source: shares of right answers over seeds with 95 % t intervals, changes paired by seed."""
    found = []
    for source, cells in results.items():
        before, after, greedy = (
            [float(each[when][how]["accuracy"]) for each in cells]
            for when, how in (("before", "sampled"), ("after", "sampled"), ("after", "greedy"))
        )
        change = mean([b - a for a, b in zip(before, after, strict=True)], -1, 1)
        moved = [[float(each["check"][name]["change"]) for each in cells] for name in ("reward", "truth")]
        found.append(
            (
                source,
                str(len(cells)),
                percent(mean(before).value),
                _share(mean(after, 0, 1)),
                _points(change),
                _share(mean(greedy, 0, 1)),
                *(f"{mean(values).value:+.2f}" for values in moved),
                _hacked(cells),
            )
        )
    return found


def write(out: Path, results: Results, provenance: str) -> list[Path]:
    """Write ``rlhf.csv`` (a row per source and seed), ``rlhf.md`` and ``rlhf.svg``."""
    table, page, figure = out / "rlhf.csv", out / "rlhf.md", out / "rlhf.svg"
    keys = (
        "reward",
        "seed",
        "n",
        "before",
        "after",
        "greedy_before",
        "greedy_after",
        "reward_change",
        "truth_change",
        "hacked",
    )
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((*keys, "seconds"))
        for source, cells in results.items():
            for each in cells:
                shares = [each[when][how]["accuracy"] for how in ("sampled", "greedy") for when in ("before", "after")]
                moved = [round(each["check"][name]["change"], 4) for name in ("reward", "truth")]
                hacked = each["check"]["hacked"]
                writer.writerow((source, each["seed"], each["after"]["n"], *shares, *moved, hacked, each["seconds"]))
    body = ["| " + " | ".join(HEADERS) + " |", "|" + "---|" * len(HEADERS)]
    body += ["| " + " | ".join(row) + " |" for row in rows(results)]
    legend = (
        "Shares of right answers on the test prompts, sampled as in training unless marked greedy; 95 % t intervals over seeds, "
        "changes paired by seed. The changes of reward and truth are from the first to the last fifth of the steps, on "
        "the rewarded completions; “hacked” counts seeds where the reward rose and truth fell, both significantly."
    )
    write_text(page, "\n".join(["# RLHF in the lab", "", *body, "", legend, "", provenance, ""]))
    drawn = {source: [[each["truth"] for each in cell["steps"]] for cell in cells] for source, cells in results.items()}
    write_text(figure, curves(drawn, "step", "right answers among the rewarded, %"))
    return [table, page, figure]


def _hacked(cells: Sequence[Mapping[str, Any]]) -> str:
    known = [each["check"]["hacked"] for each in cells if each["check"]["hacked"] is not None]
    return f"{sum(known)} of {len(known)}" if known else "–"


def _share(value: Mean) -> str:
    if value.low is None or value.high is None:
        return percent(value.value)
    return f"{percent(value.value)} ({100 * value.low:.1f}–{100 * value.high:.1f})"


def _points(value: Mean) -> str:
    middle = f"{100 * value.value:+.1f}"
    if value.low is None or value.high is None:
        return middle
    return f"{middle} ({100 * value.low:+.1f} to {100 * value.high:+.1f})"
