"""What a bad rationale does to its label (``failed``), in each filter that looks at rationales: drop it, strip it, or auto."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from conftest import make, vote
from gramr2.comparison import Label, LabeledComparison, Order
from gramr2.config.schedules import Quantile
from gramr2.judging.voting import decide
from gramr2.judgment import LabelProbabilities, Outcome, Reading
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterConfig, FilterContext
from gramr2.selftraining.filters.pmi import PointwiseMutualInformation
from gramr2.selftraining.filters.rationale import Rationale
from gramr2.selftraining.filters.readback import Readback
from gramr2.selftraining.filters.stack import apply_filters, build

GOOD = "Feedback: Response A keeps the limit. Response B breaks it.\nConclusion: Response A is better."
POOR = "Feedback: Hm."
Failing = Callable[[Any], FilterConfig]
FILTERS: dict[str, Failing] = {
    "rationale": lambda failed: Rationale(failed=failed),
    "readback": lambda failed: Readback(failed=failed),
    "pmi": lambda failed: PointwiseMutualInformation(failed=failed, min_pmi=0.2),
}


class Readers:
    """Finds a good rationale's label in it, and nothing in any other; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    def read_back(self, examples: Sequence[LabeledComparison]) -> list[LabelProbabilities | None]:
        self.asked += [each.rationale for each in examples]
        return [LabelProbabilities(0.9, 0.1, 0.0) if each.rationale == GOOD else None for each in examples]

    def pmi(self, examples: Sequence[LabeledComparison]) -> list[float]:
        self.asked += [each.rationale for each in examples]
        return [0.5 if each.rationale == GOOD else 0.1 for each in examples]


def candidate(rationale: str | None, *, direct: bool, name: str = "c") -> Candidate:
    votes = [vote(Outcome.A, order, rationale=rationale) for order in Order]
    if direct:
        votes = [replace(each, reading=Reading.DIRECT, rationale=None) for each in votes] + votes
    decision = decide(name, votes)
    target = (0.8, 0.1, 0.1)
    return Candidate(make(name), decision, 0.9, LabeledComparison(make(name), Label.A, rationale, target))


def after(config: FilterConfig, *candidates: Candidate, readers: Readers | None = None) -> dict[str, str | None]:
    """What becomes of each candidate: the rationale it is learnt with (None: without), or «dropped»."""
    kept, dropped = apply_filters(build([config]), candidates, FilterContext(readers=readers or Readers()))
    found = {each.comparison.id: each.rationale for each in kept}
    assert {rejection.filter for _, rejection in dropped} <= {config.kind}
    return found | {each.comparison.id: "dropped" for each, _ in dropped}


@pytest.mark.parametrize("kind", list(FILTERS))
@pytest.mark.parametrize(
    ("failed", "direct", "poor"),
    [
        ("auto", True, None),
        ("auto", False, "dropped"),
        ("drop", True, "dropped"),
        ("drop", False, "dropped"),
        ("strip", True, None),
        ("strip", False, None),
    ],
)
def test_what_fails_is_dropped_or_stripped_and_what_passes_keeps_its_rationale(
    kind: str, failed: str, direct: bool, poor: str | None
) -> None:
    config = FILTERS[kind](failed)
    pair = candidate(POOR, direct=direct, name="poor"), candidate(GOOD, direct=direct, name="good")
    assert after(config, *pair) == {"poor": poor, "good": GOOD}


@pytest.mark.parametrize("kind", list(FILTERS))
@pytest.mark.parametrize(
    ("failed", "direct", "expected"),
    [
        ("auto", True, None),
        ("auto", False, "dropped"),
        ("drop", True, None),
        ("drop", False, "dropped"),
        ("strip", True, None),
        ("strip", False, None),
    ],
)
def test_without_a_rationale_a_direct_label_passes_and_nobody_is_asked(
    kind: str, failed: str, direct: bool, expected: str | None
) -> None:
    readers = Readers()
    assert after(FILTERS[kind](failed), candidate(None, direct=direct), readers=readers) == {"c": expected}
    assert readers.asked == ([] if expected is None or kind == "rationale" else [None])


@pytest.mark.parametrize("kind", list(FILTERS))
def test_a_stripped_example_keeps_all_else_and_says_who_stripped_it(kind: str) -> None:
    before = candidate(POOR, direct=True)
    [found], _ = apply_filters(build([FILTERS[kind]("auto")]), [before], FilterContext(readers=Readers()))
    assert before.example is not None
    assert found.example == replace(before.example, rationale=None)
    assert found.measures == {f"stripped_by_{kind}": 1.0}
    assert found.decision == before.decision


def test_a_stripped_rationale_is_not_looked_at_again() -> None:
    readers = Readers()
    stack = build([FILTERS["rationale"]("auto"), FILTERS["readback"]("auto"), FILTERS["pmi"]("auto")])
    kept, dropped = apply_filters(
        stack,
        [candidate(POOR, direct=True, name="poor"), candidate(GOOD, direct=True, name="good")],
        FilterContext(readers=readers),
    )
    assert readers.asked == [GOOD, GOOD]
    assert [list(each.measures) for each in kept] == [["stripped_by_rationale"], ["quality", "readback", "pmi"]]
    assert dropped == []


def test_a_quantile_goes_by_those_that_have_a_rationale() -> None:
    """Bare labels would otherwise stand among the worst, and the threshold fall."""
    half = PointwiseMutualInformation(min_pmi=Quantile(schedule="quantile", start=0.5, end=0.5))
    bare = [candidate(None, direct=True, name=f"bare{i}") for i in range(5)]
    written = [candidate(text, direct=True, name=f"w{i}") for i, text in enumerate([POOR, POOR, GOOD, GOOD])]
    found = after(half, *bare, *written)
    assert [found[f"w{i}"] for i in range(4)] == [None, None, GOOD, GOOD]
    assert all(found[each.comparison.id] is None for each in bare)
