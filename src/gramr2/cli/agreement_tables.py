"""What ``gramr2 eval`` shows of a judge's agreement with people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gramr2.cli.console import Grid, interval
from gramr2.text import coefficient, p_value, percent, signed

if TYPE_CHECKING:
    from gramr2.evaluation.agreement.records import AgreementReport, People

LISTED = 12
"""annotators in the table"""
CLOSE = "judge as close: the others agree with it as much at least; * it stands in for this annotator (Calderon et al. 2025)"
SHOWN = 3
"""categories that are told beside the table"""


def people_table(report: AgreementReport) -> Iterator[Grid]:
    """The judge beside every annotator; nothing without several."""
    people = report.people
    if people is None:
        return
    grid = Grid(title="the judge and its annotators")
    for name in (
        "annotator",
        "n",
        "same label",
        "95 % interval",
        "κ",
        "κ with the others",
        "judge as close",
    ):
        grid.add_column(name, justify="left" if name == "annotator" else "right")
    for each in people.annotators[:LISTED]:
        ahead = (
            "–" if each.advantage is None else f"{percent(each.advantage.judge)}{' *' if each.advantage.won else ''}"
        )
        same = (str(each.same.n), percent(each.same.value), interval(each.same.low, each.same.high))
        grid.add_row(each.name, *same, coefficient(each.kappa), coefficient(each.others), ahead)
    same = (str(people.majority.n), percent(people.majority.value), interval(people.majority.low, people.majority.high))
    grid.add_row("most of them", *same, coefficient(people.majority_kappa), "–", "–", style="bold")
    notes = [CLOSE] if people.replacing else []
    if len(people.annotators) > LISTED:
        notes.append(f"the {LISTED} of {len(people.annotators)} with most labels; all are in eval.json")
    grid.caption = "; ".join(notes) or None
    yield grid


def agreement_lines(report: AgreementReport) -> Iterator[str]:
    """The rest, a sentence each."""
    if report.people is not None:
        yield from _people(report.people)
    else:
        yield f"the judge agrees with the labels with κ = {coefficient(report.kappa)} (n = {report.kappa.n})"
    whole = report.needed[-1] if report.needed else None
    if whole is not None:
        design = f", design effect {whole.design:.2f}" if whole.design > 1 else ""
        yield (
            f"more labels: until the interval excludes {percent(report.bar)} (--bar) with 80 % power, if the accuracy is what it "
            f"seems{design}"
        )
    shown = [each for each in report.categories if each.shown and (each.gap.value or 0) > 0]
    for each in shown[:SHOWN]:
        yield (
            f"differs from people most in {each.name}: on {percent(each.differs.value)} of {each.differs.n}, "
            f"{signed(each.gap.value or 0)} points against all others, {p_value(each.adjusted)} corrected"
        )
    if report.people is not None and report.differing:
        first = report.differing[0]
        yield (
            f"differs on {report.differ} comparisons; most on {first.id!r}, where it says {first.label} and {first.against} of "
            f"{first.labels} annotators say otherwise"
        )
    yield from report.notes


def _people(people: People) -> Iterator[str]:
    split = f", without a majority {people.split}, which count as ties" if people.split else ""
    others = "".join(
        f", {name} κ {value:.2f}"
        for name, value in (("Cohen's", people.cohen), ("Fleiss'", people.fleiss))
        if value is not None
    )
    yield (
        f"{len(people.annotators)} annotators gave {people.labels} labels of {people.comparisons} comparisons; on "
        f"{people.several} with two or more: α {coefficient(people.alpha)}{others}, unanimous "
        f"{people.unanimous}{split}"
    )
    yield (
        f"with the judge as one more annotator α {coefficient(people.within)}, without it {coefficient(people.without)} "
        f"(n = {people.within.n}), change {coefficient(people.change)}"
    )
    found = people.replacing
    if found is not None:
        verdict = "is" if found.passes else "is not shown to be"
        yield (
            f"the judge {verdict} as good as a person: it stands in for {found.won} of {found.tested} annotators "
            f"(ε = {found.epsilon:g}), and the others agree with it at least as much on {percent(found.advantage)}"
        )
