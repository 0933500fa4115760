"""One self-contained HTML file about a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml
from markupsafe import Markup

from gramr2.evaluation.audit import Audit, audit, by_fate
from gramr2.evaluation.probes import titles
from gramr2.evaluation.reliability import Bin, expected_calibration_error, reliability_bins
from gramr2.files import write_text
from gramr2.reporting import plots
from gramr2.reporting.examples import Example, chosen, missed
from gramr2.reporting.pages import template
from gramr2.reporting.run import RoundView, Row, RunView, read_run
from gramr2.reporting.summary import sentences, work
from gramr2.selftraining.run.records import GateResult
from gramr2.text import warm_up_line


@dataclass(frozen=True, slots=True)
class Flow:
    """One step of a round's flow: the filter, how many it dropped, and how many are left."""

    name: str
    taken: int
    left: int


@dataclass(frozen=True, slots=True)
class Section:
    """A round as the template needs it."""

    round: RoundView
    flow: tuple[Flow, ...]
    confidence: Markup | None
    agreement: Markup | None
    examples: tuple[Example, ...]
    audit: dict[str, Audit]


def write_report(run: Path, out: Path | None = None) -> Path:
    """Write the report of a run, finished or not, and return where it is (``RUN/report.html`` by default).

    Raises:
        RunError: the folder is not a run.
    """
    target = out or run / "report.html"
    # Half of a surrogate pair is shown, since no file can hold it.
    write_text(target, render(read_run(run)).encode("utf-8", "backslashreplace").decode())
    return target


def render(view: RunView) -> str:
    """The report as HTML."""
    measured = view.measured
    stands = _in_force(measured)
    judges = [each for each in measured if each.metrics and each.metrics.verdict is not GateResult.SKIPPED]
    final = next((each for each in measured if each.number == max(stands, default=None)), None)
    figure = judges and plots.accuracy(
        [each.title for each in judges],
        [_point(each) for each in judges],
        [each.number in stands for each in judges],
        view.longer,
    )
    return template("report.html.j2").render(
        view=view,
        summary=sentences(view, final),
        work=work(view.history),
        categories=_categories(final),
        missed=missed(final.gold) if final else [],
        final=final,
        warmup=warm_up_line(view.warmup) if view.warmup else None,
        rows=[each.metrics for each in measured],
        titles=[each.title for each in measured],
        longer=view.longer,
        last=max(stands, default=None),
        accuracy=Markup(figure) if figure else None,
        alarms=[(each.title, alarm) for each in measured if each.metrics for alarm in each.metrics.alarms],
        probes=titles(),
        reasoning=_reasoning(measured),
        sections=[_section(view, each) for each in view.rounds if each.kept or each.dropped],
        reliability=_reliability(view, stands),
        config=yaml.safe_dump(view.config, sort_keys=False, allow_unicode=True, width=100),
    )


def _categories(final: RoundView | None) -> list[tuple[str, Row]]:
    """The final judge's accuracy on gold by category, the largest first; empty where there is only one."""
    found: Row = (final.metrics.gold.by_category or {}) if final and final.metrics else {}
    return sorted(found.items(), key=lambda each: -each[1]["n"]) if len(found) > 1 else []


def _in_force(measured: tuple[RoundView, ...]) -> list[int]:
    """Rounds whose judge was accepted, the seed judge included."""
    stands = (None, GateResult.ACCEPTED)
    return [each.number for each in measured if each.metrics and each.metrics.verdict in stands]


def _point(each: RoundView) -> tuple[float, float, float] | None:
    gold = each.metrics.gold if each.metrics else None
    if gold is None or gold.accuracy is None or gold.low is None or gold.high is None:
        return None
    return gold.accuracy, gold.low, gold.high


def _section(view: RunView, each: RoundView) -> Section:
    left = len(each.kept) + len(each.dropped)
    flow = [Flow("judged", 0, left)]
    filters = each.filters(view.stack)
    for name in filters:
        taken = sum(row["filter"] == name for row in each.dropped)
        left -= taken
        flow.append(Flow(name, taken, left))

    def histogram(key: str, label: str) -> Markup | None:
        kept = [row[key] for row in each.kept if row[key] is not None]
        dropped = [row[key] for row in each.dropped if row[key] is not None]
        # Safe as markup: a figure is made of numbers, without any text from the data.
        return Markup(plots.histogram(kept, dropped, label, each.title)) if kept or dropped else None

    return Section(
        each,
        tuple(flow),
        histogram("confidence", "confidence"),
        histogram("agreement", "agreement of the votes"),
        tuple(chosen(each, filters)),
        by_fate(each.kept, each.dropped, filters),
    )


def _reasoning(measured: tuple[RoundView, ...]) -> list[tuple[str, Audit]]:
    """The program's check of the rationales on gold; empty outside the lab."""
    found = [(each.title, audit(each.gold)) for each in measured if each.gold]
    return [(title, result) for title, result in found if result is not None and result.reasoned]


def _reliability(view: RunView, stands: list[int]) -> list[tuple[str, Markup, list[Bin], float | None, int]]:
    """Diagrams of the first and the last accepted judge: (title, figure, bins, ECE, n)."""
    found: list[tuple[str, Markup, list[Bin], float | None, int]] = []
    for each in view.measured:
        if each.gold and each.number in {min(stands), max(stands)}:
            pairs = [(row["confidence"], row["label"] == row["truth"]) for row in each.gold if row["label"] is not None]
            bins = reliability_bins(pairs)
            if bins:
                figure = Markup(plots.reliability(bins, each.title))
                found.append((each.title, figure, bins, expected_calibration_error(bins), len(pairs)))
    return found
