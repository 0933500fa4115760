"""Ties of a model of log-odds: which comparisons tie where several are level, and how sure of it the decision is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import labeled, make
from gramr2.comparison import Label
from gramr2.judging.preference import CERTAIN, Ties, decided, margin_for, ties_of


def labels(margins: list[float], ties: Ties) -> str:
    found = decided([make(str(i)) for i in range(len(margins))], margins, ties)
    return "".join("T" if each.label is Label.TIE else str(each.label) for each in found)


@given(st.floats(-1e6, 1e6), st.floats(0, 2), st.floats(0, 1))
def test_no_label_is_likelier_than_the_one_that_is_decided(margin: float, width: float, chance: float) -> None:
    [found] = decided([make()], [margin], Ties(width, chance))
    assert found.probabilities is not None and found.confidence is not None
    assert found.confidence >= max(found.probabilities.as_dict().values()) - 1e-12
    assert (found.probabilities.tie > 0) == (found.label is Label.TIE)


@pytest.mark.parametrize(("chance", "tie"), [(0.0, 3 / 7), (0.2, 3 / 7), (0.5, 0.5), (1.0, 1.0)])
def test_a_tie_is_as_sure_as_it_was_right_but_no_less_likely_than_a_response(chance: float, tie: float) -> None:
    # P(A) is 3/4 and P(B) 1/4 of what the tie leaves.
    [found] = decided([make()], [math.log(3)], Ties(1.0, chance))
    assert found.probabilities is not None
    expected = ((1 - tie) * 3 / 4, (1 - tie) / 4, tie)
    assert (found.probabilities.a, found.probabilities.b, found.probabilities.tie) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "ABABA"), (1, "ABABA"), (2, "TTABA"), (3, "TTABA"), (4, "TTTTA"), (5, "TTTTT")]
)
def test_what_is_level_ties_together_or_not_at_all(count: int, expected: str) -> None:
    # Two pairs of equal strength: neither can be parted, and so fewer tie than asked.
    margins = [1.0, -1.0, 2.0, -2.0, 3.0]
    assert labels(margins, Ties(margin_for(margins, count))) == expected


def test_exactly_level_responses_tie_although_no_tie_is_expected() -> None:
    assert labels([0.0, -0.0, 1e-6, -1e-6], Ties()) == "TTAB"
    assert margin_for([], 0) == 0.0


def test_the_margin_lies_midway_between_the_last_tie_and_the_first_that_is_none() -> None:
    # |P(A) − P(B)| is 1/2 of the first and 4/5 of the second.
    assert margin_for([-math.log(9), math.log(3)], 1) == pytest.approx(0.65)


def test_where_no_tie_was_found_nothing_is_known_of_their_chance() -> None:
    # One of two level comparisons is a tie, and so no margin takes one without the other.
    margins = [0.5, -0.5, 4.0]
    ties = ties_of(margins, [labeled(str(i), label) for i, label in enumerate([Label.TIE, Label.B, Label.A])])
    assert labels(margins, ties) == "ABA"
    assert ties.probability == 0.5
    # Where all are ties everything ties, and by Laplace's rule 4 of 5 times rightly.
    everything = ties_of(margins, [labeled(str(i), Label.TIE) for i in range(3)])
    assert (labels(margins, everything), everything.probability) == ("TTT", 0.8)


def test_beyond_certainty_nothing_changes() -> None:
    [close] = decided([make()], [20.0], Ties())
    assert close.probabilities is not None
    assert close.probabilities.b == pytest.approx(math.exp(-20), rel=1e-6)
    far, further = decided([make(), make()], [CERTAIN, math.inf], Ties())
    assert far.probabilities == further.probabilities
    assert far.probabilities is not None and far.probabilities.b > 0
    assert labels([-math.inf, math.inf], Ties()) == "BA"


def test_a_margin_for_each_comparison() -> None:
    with pytest.raises(ValueError, match="zip"):
        decided([make(), make("other")], [1.0], Ties())


def test_a_model_that_diverged_decides_nothing() -> None:
    for ties in (Ties(), Ties(0.1, 0.3)):
        [decision] = decided([make("c")], [math.nan], ties)
        assert (decision.label, decision.probabilities, decision.coverage) == (None, None, 0.0)
