"""A judge that asks a second view with every comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make, vote
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Comparison, Label, Order
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.second_view import Opinion, SecondView
from gramr2.judging.template import JudgeTemplate
from gramr2.judging.voting import decide
from gramr2.judgment import BOTH, DIRECT, LabelProbabilities, Outcome, Reading
from gramr2.testing import longer

PAIRS = [make("near", a="x" * 12, b="x" * 10), make("far", a="x" * 12, b="x" * 90)]


class Fixed:
    """The same margin for every comparison."""

    id = "fixed"

    def __init__(self, margin: float) -> None:
        self.margin = margin
        self.asked: list[list[str]] = []

    def margins(self, comparisons: Sequence[Comparison]) -> list[float]:
        self.asked.append([each.id for each in comparisons])
        return [self.margin] * len(comparisons)


def judged(view: SecondView | None, template: JudgeTemplate, sampling: Sampling | None = None) -> list[Label | None]:
    decisions = Judge(ScriptedBackend(longer), template, sampling or Sampling(votes=1, temperature=0), view).compare(
        PAIRS
    )
    return [decision.label for decision in decisions]


@pytest.mark.parametrize("template", [JudgeTemplate(), JudgeTemplate(readings=DIRECT), JudgeTemplate(readings=BOTH)])
@pytest.mark.parametrize("sampling", [Sampling(votes=2), Sampling(votes=4, stop_certainty=0.6)])
def test_the_view_decides_where_the_judge_is_in_doubt(template: JudgeTemplate, sampling: Sampling) -> None:
    assert judged(None, template, sampling) == [Label.A, Label.B]
    model = Fixed(-1.0)
    assert judged(SecondView(model, 1.0), template, sampling) == [Label.B, Label.B]
    assert model.asked == [["near", "far"]], "once for all comparisons, however often they are voted on"
    assert judged(SecondView(Fixed(1.0), 1.0), template, sampling) == [Label.A, Label.B]


def test_it_is_a_reading_of_its_own_and_casts_no_vote() -> None:
    alone, joined = (
        Judge(ScriptedBackend(longer), view=view).compare(PAIRS[:1])[0] for view in (None, SecondView(Fixed(-3.0), 2.0))
    )
    assert joined.judgments == alone.judgments
    assert joined.readings[Reading.REASONED] == alone.readings[Reading.REASONED]
    assert joined.readings[Reading.VIEW].a == pytest.approx(1 / (1 + math.exp(3.0)))
    assert joined.label is Label.B
    assert joined.agreement == 0
    assert joined.confidence == pytest.approx(joined.probabilities.b if joined.probabilities else 0)


def test_it_can_end_a_contradiction_of_the_orders() -> None:
    """Each order names its own first response with 0.6; a view of the same strength makes both say A."""
    votes = [
        vote(Outcome.A, Order.AB, probabilities=(0.6, 0.4, 0)),
        vote(Outcome.B, Order.BA, probabilities=(0.4, 0.6, 0)),
    ]
    alone = decide("x", votes)
    assert (alone.order_flip, alone.label) == (True, Label.TIE)
    joined = decide("x", votes, opinion=Opinion(1.0))
    assert (joined.order_flip, joined.label) == (False, Label.A)
    assert decide("x", votes, opinion=Opinion(0.1)).order_flip


def test_a_judge_that_abstains_is_not_replaced() -> None:
    decision = decide("x", [vote(Outcome.TRUNCATED)], opinion=Opinion(9.0))
    assert decision.label is None
    assert not decision.readings


def test_the_direct_form_of_a_judge_keeps_its_view() -> None:
    view = SecondView(Fixed(1.0), 1.0)
    judge = Judge(ScriptedBackend(longer), view=view)
    assert judge.direct.view is view
    assert judge.id.startswith(f"{judge.backend.id}+1*fixed-")
    ids = {each.id for each in (view, replace(view, weight=0.5), replace(view, scale=2.0), replace(view, most=1.0))}
    assert len(ids) == 4, "judges that decide differently have different ids"


chances = st.floats(0.01, 0.98)


@given(chances, st.floats(0, 0.01), st.floats(-30, 30), st.floats(0.1, 3), st.floats(0.1, 3), st.floats(0.5, 9))
def test_swapping_the_responses_swaps_the_belief(
    a: float, tie: float, margin: float, scale: float, weight: float, most: float
) -> None:
    belief = LabelProbabilities(a, 1 - a - tie, tie)
    there = Opinion(margin, scale, weight, most).joined(belief)
    back = Opinion(-margin, scale, weight, most).joined(belief.swap())
    assert (there.a, there.b, there.tie) == pytest.approx((back.b, back.a, back.tie))
    assert there.a + there.b + there.tie == pytest.approx(1)
    assert there.tie == tie
    assert Opinion(margin + 1, scale, weight, most).joined(belief).a >= there.a


def test_a_cap_limits_the_judge_and_not_the_view() -> None:
    sure = LabelProbabilities(0.999, 0.001, 0.0)
    assert Opinion(-2.0).joined(sure).a > 0.5
    assert Opinion(-2.0, most=1.0).joined(sure).a < 0.5
