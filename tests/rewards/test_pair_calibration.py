"""Scores against pairwise verdicts: the slope that made them is found, and too little says nothing."""

from __future__ import annotations

import math
import random

import pytest

from gramr2.comparison import Label, Message, SingleResponse
from gramr2.judgment import Decision, LabelProbabilities
from gramr2.rewards.calibration import calibrate, comparison_of, draw_pairs

ITEMS = [SingleResponse(str(i), (Message("user", f"p{i % 4}"),), f"r{i}") for i in range(40)]
SCORES: dict[str, float | None] = {str(i): random.Random(i).uniform(1, 10) for i in range(40)}


def verdict(a: float, b: float, slope: float) -> Decision:
    chance = 1 / (1 + math.exp(-slope * (a - b)))
    label = Label.A if chance > 0.5 else Label.B
    return Decision("x", (), label, LabelProbabilities(chance, 1 - chance, 0.0), chance, 1.0, False, 1.0)


def test_pairs_share_a_prompt_and_do_not_depend_on_the_order() -> None:
    pairs = draw_pairs(ITEMS, 30, 1)
    assert len(pairs) == 30
    assert all(a.prompt == b.prompt and a.response != b.response for a, b in pairs)
    ids = {frozenset((a.id, b.id)) for a, b in pairs}
    assert len(ids) == 30
    assert len(draw_pairs(ITEMS, 10_000, 1)) == 4 * 45
    for count in (30, 10_000):
        assert draw_pairs(ITEMS[::-1], count, 1) == draw_pairs(ITEMS, count, 1)
    assert comparison_of(pairs[0]).responses == (pairs[0][0].response, pairs[0][1].response)


@pytest.mark.parametrize("slope", [0.2, 0.8, 2.5])
def test_the_slope_that_made_the_verdicts_is_found(slope: float) -> None:
    pairs = draw_pairs(ITEMS, 60, 1)
    decisions = [verdict(SCORES[a.id] or 0, SCORES[b.id] or 0, slope) for a, b in pairs]
    found = calibrate(pairs, decisions, SCORES)
    assert found is not None
    assert found.slope == pytest.approx(slope, rel=0.02)
    assert found.agreement == 1.0 and found.low is not None and found.low < 1
    assert found.nll_after < found.nll_before == pytest.approx(math.log(2))
    assert found.strength(3.0) == pytest.approx(3 * found.slope)


def test_scores_that_say_the_opposite_get_no_slope() -> None:
    pairs = draw_pairs(ITEMS, 60, 1)
    found = calibrate(pairs, [verdict(-(SCORES[a.id] or 0), -(SCORES[b.id] or 0), 1.0) for a, b in pairs], SCORES)
    assert found is not None
    assert found.slope == pytest.approx(0.0, abs=0.01)
    assert found.agreement == 0.0


def test_too_few_pairs_and_failures_say_nothing() -> None:
    pairs = draw_pairs(ITEMS, 20, 1)
    failed = Decision("x", (), None, None, None, None, None, 0.0)
    decisions = [failed] * 5 + [verdict(1, 2, 1.0)] * 15
    assert calibrate(pairs, decisions, SCORES) is None
    assert calibrate(pairs, [verdict(1, 2, 1.0)] * 20, {}) is None
