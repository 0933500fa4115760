"""An ablation on disk: one CSV row per cell, and its summary as Markdown and as one HTML file with error bars."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gramr2.backends.versions import versions
from gramr2.evaluation.power import comparisons_for, visible_difference
from gramr2.files import write_text
from gramr2.reporting import plots
from gramr2.research.ablation.marks import MARKS, comparable
from gramr2.research.ablation.resampling import RESAMPLES, by_cluster
from gramr2.research.ablation.statistics import Mean, Summary, discordant_share, share_of_the_way
from gramr2.research.ablation.variants import FULL, ORACLE, SEED_ONLY, Variant
from gramr2.text import p_value, percent

COLUMNS = (
    "variant",
    "seed",
    "n",
    "accuracy",
    "coverage",
    "order_flip_rate",
    "accepted_rounds",
    "judged",
    "kept",
    "kept_label_accuracy",
    "kept_rationale_correct",
    "rationale_correct",
    "right_label_wrong_derivation",
)


@dataclass(frozen=True, slots=True)
class Account:
    """The report of an ablation: summaries, notes on what is missing, and where the figures come from."""

    title: str
    summaries: Sequence[Summary]
    meanings: Mapping[str, str]
    notes: Sequence[str]
    provenance: str
    reference: str = FULL

    @property
    def headers(self) -> tuple[str, ...]:
        """Headers of the table's columns."""
        return (
            "configuration",
            "seeds",
            "accuracy",
            f"difference to {self.reference}, points",
            "flips",
            "kept",
            "labels right",
            "rationales right",
            "right for a wrong reason",
        )


def account(
    title: str,
    summaries: Sequence[Summary],
    variants: Sequence[Variant],
    results: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
    command: str,
    reference: str = FULL,
) -> Account:
    """Build the account; its first notes are the share of the way to the oracle, and the detectable difference.

    Args:
        command: the command that reproduces the figures.
        reference: the variant to compare with.
    """
    names = {each.name: each.meaning for each in variants}
    found = [note for note in (_way(results), _power(results)) if note]
    return Account(title, summaries, names, [*found, *notes], _provenance(results, command), reference)


def write_tables(out: Path, told: Account, results: Sequence[Mapping[str, Any]]) -> list[Path]:
    """Write ``ablation.csv``, ``ablation.md`` and ``ablation.html``."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in each.items()} for each in results)
    texts = {"csv": buffer.getvalue(), "md": markdown(told), "html": html(told)}
    paths = [out / f"ablation.{ending}" for ending in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        write_text(path, text)
    return paths


def markdown(told: Account) -> str:
    """The summary as a Markdown table with its notes."""
    lines = [f"# {told.title}", "", f"| {' | '.join(told.headers)} |", f"|{'---|' * len(told.headers)}"]
    lines += [f"| {' | '.join(cells(each))} |" for each in told.summaries]
    lines += ["", *(f"- {note}" for note in told.notes), "", told.provenance, ""]
    return "\n".join(lines)


def cells(each: Summary) -> list[str]:
    """A summary as the cells of its row."""
    return [
        each.variant,
        str(each.accuracy.n),
        _percents(each.accuracy),
        _points(each.difference),
        percent(each.flips),
        "–" if each.kept is None else f"{each.kept:.0f}",
        percent(each.label_accuracy),
        percent(each.rationale_correct),
        percent(each.lucky),
    ]


def html(told: Account) -> str:
    """The summary as one self-contained page."""
    environment = Environment(
        loader=PackageLoader("gramr2.research.ablation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    bars = [(each.variant, each.accuracy.value, each.accuracy.low, each.accuracy.high) for each in told.summaries]
    gaps = [
        (each.variant, each.difference.value, each.difference.low, each.difference.high)
        for each in told.summaries
        if each.difference
    ]
    return environment.get_template("ablation.html.j2").render(
        told=told,
        headers=told.headers,
        rows=[cells(each) for each in told.summaries],
        accuracy=Markup(plots.forest(bars, "accuracy on the test set, %")),
        differences=Markup(plots.forest(gaps, f"difference to {told.reference}, points", zero=True)) if gaps else None,
    )


def _percents(each: Mean) -> str:
    bounds = "" if each.low is None or each.high is None else f" ({100 * each.low:.1f} to {100 * each.high:.1f})"
    return f"{100 * each.value:.1f} %{bounds}"


def _points(each: Mean | None) -> str:
    if each is None:
        return "–"
    test = "" if each.p_value is None else f", {p_value(each.p_value)}"
    bounds = (
        "" if each.low is None or each.high is None else f" ({100 * each.low:+.1f} to {100 * each.high:+.1f}{test})"
    )
    return f"{100 * each.value:+.1f}{bounds}"


def _way(results: Sequence[Mapping[str, Any]]) -> str | None:
    found = {(each["variant"], each["seed"]): each["accuracy"] for each in results}
    seeds = [s for name, s in found if name == FULL and (SEED_ONLY, s) in found and (ORACLE, s) in found]
    low, reached, high = ([found[name, s] for s in seeds] for name in (SEED_ONLY, FULL, ORACLE))
    way = share_of_the_way(low, reached, high) if seeds else None
    if way is None:
        return None
    bounds = ""
    if way.low is not None and way.high is not None:
        bounds = f" (95 % bootstrap over {way.n} seeds: {way.low:.0%} to {way.high:.0%})"
    elif way.n > 1:
        bounds = f" (no interval: in too many draws of the {way.n} seeds the oracle is no better than seed-only)"
    return f"The full method goes {way.value:.0%} of the way from seed-only to the oracle{bounds}."


def _power(results: Sequence[Mapping[str, Any]]) -> str | None:
    """The difference this many comparisons can detect, given how often the full method and its seed judge differ."""
    share = discordant_share(results, FULL, SEED_ONLY)
    if share is None:
        return None
    n = len(results[0][MARKS].ids)
    if not share:
        return f"full and seed-only are right on exactly the same of the {n} test comparisons."
    return (
        f"Exactly one of full and seed-only is right on {percent(share)} of the test comparisons: with one seed, {n} independent "
        f"comparisons detect a difference of {100 * visible_difference(share, n):.1f} points (80 % power, 5 % level), and "
        f"detecting 5 points takes {comparisons_for(0.05, share)}."
    )


def _provenance(results: Sequence[Mapping[str, Any]], command: str) -> str:
    sizes = sorted({each["n"] for each in results})
    n = " or ".join(map(str, sizes))
    if comparable(results):
        unit = "prompts" if by_cluster(results[0][MARKS].clusters) else "comparisons"
        seeds = {each["seed"] for each in results}
        resampled = f"seeds and test {unit}" if len(seeds) > 1 else f"test {unit}, not seeds"
        intervals = f"95 % bootstrap intervals over {resampled} ({RESAMPLES} resamples), differences paired by both"
    else:
        intervals = "95 % t intervals over seeds, differences paired by seed"
    return f"{command}: n = {n} test comparisons; accuracy counts abstentions as wrong; intervals are {intervals}. {versions()}."
