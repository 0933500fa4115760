"""Shares of rationales that end, state, quote; each measure tells a good judge from one that lacks just that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conftest import make, vote
from gramr2.comparison import Label, LabeledComparison, Order
from gramr2.evaluation.rationales import Reasoned, Share, measure, reasoned_votes, share
from gramr2.judging.voting import decide
from gramr2.judgment import FinishReason, Judgment, Outcome, Reading

GOOD = "Feedback: Response A says “the moon is far”.\nConclusion: Response A is better."
ITEM = LabeledComparison(make("c", "The moon is far away from here.", "It is made of green cheese."), Label.A)
OTHER = LabeledComparison(make("d", "Boil the eggs for nine minutes.", "Fry them."), Label.A)


def votes_of(*judgments: Judgment) -> list[Reasoned]:
    return reasoned_votes([ITEM], [decide("c", judgments)], max_new_tokens=50)


def shares(text: str, outcome: Outcome = Outcome.A) -> dict[str, float | None]:
    return {name: each.share for name, each in measure(votes_of(vote(outcome, rationale=text))).items()}


def test_a_vote_is_measured_in_the_order_it_was_cast_in() -> None:
    (first, second) = votes_of(vote(Outcome.A), vote(Outcome.A, Order.BA))
    assert (first.verdict, first.truth, first.comparison) == (Label.A, Label.A, ITEM.comparison)
    assert (second.verdict, second.truth, second.comparison) == (Label.B, Label.B, ITEM.comparison.swap())
    assert first.group == second.group


def test_direct_votes_and_errors_are_no_rationales() -> None:
    direct = replace(vote(Outcome.A), reading=Reading.DIRECT)
    error = replace(vote(Outcome.ERROR, sample=1), finish_reason=FinishReason.ERROR)
    assert votes_of(direct, error) == []
    assert measure([])["states"] == Share(None, None, None, 0, "none")


@pytest.mark.parametrize(
    ("reason", "tokens", "ended"),
    [
        (FinishReason.STOP, 90, True),
        (FinishReason.CLOSED, 20, True),
        (FinishReason.CLOSED, 50, False),
        (FinishReason.LENGTH, 50, False),
    ],
)
def test_what_the_budget_cut_has_not_ended(reason: FinishReason, tokens: int, ended: bool) -> None:
    (each,) = votes_of(replace(vote(Outcome.A), finish_reason=reason, completion_tokens=tokens))
    assert each.ended is ended


def test_a_good_rationale() -> None:
    found = shares(GOOD)
    assert {name for name, value in found.items() if value == 1.0} == {
        "written", "ended", "decided", "right", "states", "quotes", "copies", "grounded"
    }  # fmt: skip
    assert (found["contradicts"], found["invented"], found["grounded_elsewhere"]) == (0.0, 0.0, None)


def test_each_lack_shows_in_its_own_share() -> None:
    assert shares("Feedback:")["written"] == 0.0
    assert shares(GOOD, Outcome.UNPARSEABLE)["decided"] == 0.0
    assert shares(GOOD, Outcome.UNPARSEABLE)["states"] is None
    other = shares(GOOD, Outcome.B)
    assert (other["states"], other["contradicts"], other["right"]) == (0.0, 1.0, 0.0)
    silent = shares("Response A is clear.")
    assert (silent["states"], silent["contradicts"], silent["grounded"], silent["invented"]) == (0.0, 0.0, 0.0, None)
    lie = shares("Response A says “the sun is near” and, from Prompt of c, “Prompt”.")
    assert (lie["quotes"], lie["invented"]) == (0.0, 0.5)
    copied = shares("Response A: the moon, is FAR away.")
    assert (copied["quotes"], copied["copies"], copied["grounded"]) == (0.0, 1.0, 1.0)


def test_what_would_also_fit_another_prompt_is_told_apart() -> None:
    vague = "It is said: boil the eggs for nine minutes, the moon is far away."
    decisions = [decide("c", [vote(Outcome.A, rationale=GOOD)]), decide("d", [vote(Outcome.A, rationale=vague)])]
    found = measure(reasoned_votes([ITEM, OTHER], decisions, 50))
    assert (found["grounded"].share, found["grounded_elsewhere"].share) == (1.0, 0.5)


def test_votes_on_one_prompt_are_not_independent() -> None:
    hits = [i % 2 == 0 for i in range(40) for _ in range(4)]
    together = share(hits, [str(i) for i in range(40) for _ in range(4)])
    apart = share(hits, [str(i) for i in range(160)])
    assert (together.interval, apart.interval) == ("group bootstrap", "wilson")
    assert together.low is not None and apart.low is not None and together.low < apart.low < 0.5


def test_certainty_is_counted_in_prompts() -> None:
    found = share([True] * 160, [str(i // 4) for i in range(160)])
    assert found.low == pytest.approx(40 / (40 + 1.96**2), abs=1e-3)
    assert (found.share, found.high, found.n) == (1.0, 1.0, 160)
