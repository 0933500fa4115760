"""The judge's own rationales for labels that were read directly: votes are cast for them, and only for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from conftest import make, vote
from gramr2.comparison import Comparison, Label, LabeledComparison, Order
from gramr2.judging.voting import decide
from gramr2.judgment import Decision, Judgment, Outcome, Reading
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection
from gramr2.selftraining.rationales.sources import Joint

GOOD = "Feedback: Response A keeps the limit. Response B breaks it.\nConclusion: Response A is better."
SWAPPED = GOOD.replace("Response A is", "Response B is")


def direct(name: str, label: Label = Label.A) -> Candidate:
    votes = [replace(vote(Outcome.of(label), order, rationale=None), reading=Reading.DIRECT) for order in Order]
    decision = decide(name, votes)
    return Candidate(make(name), decision, decision.confidence)


def reasoned(name: str) -> Candidate:
    decision = decide(name, [vote(Outcome.A, order, rationale=GOOD) for order in Order])
    return Candidate(make(name), decision, decision.confidence)


class Voter:
    """Casts the same votes on everything, and writes down on what."""

    def __init__(self, *votes: Judgment) -> None:
        self.votes, self.asked = votes, list[str]()

    def __call__(self, comparisons: Sequence[Comparison]) -> list[Decision]:
        self.asked += [each.id for each in comparisons]
        return [decide(each.id, self.votes) for each in comparisons]


def examples(candidates: Sequence[Candidate], voter: Voter | None) -> list[Candidate]:
    found = Joint(voter).review(candidates, FilterContext())
    kept = [each for each in found if isinstance(each, Candidate)]
    assert len(kept) == len(found)
    return kept


def test_votes_are_cast_only_for_what_was_read_directly() -> None:
    voter = Voter(vote(Outcome.A, Order.AB, rationale=GOOD), vote(Outcome.B, Order.BA, rationale="other"))
    first, second = examples([direct("silent"), reasoned("told")], voter)
    assert voter.asked == ["silent"]
    assert first.example == LabeledComparison(make("silent"), Label.A, GOOD)
    assert second.example == LabeledComparison(make("told"), Label.A, GOOD)
    # The decision keeps its own word, and the record has all votes.
    before = direct("silent").decision
    assert first.decision == replace(before, judgments=(*before.judgments, *voter.votes))
    voter = Voter()
    examples([reasoned("told")], voter)
    assert voter.asked == []


def test_a_rationale_stands_in_the_order_it_was_written_for() -> None:
    [found] = examples([direct("c")], Voter(vote(Outcome.A, Order.BA, rationale=SWAPPED)))
    assert found.swapped
    assert found.example == LabeledComparison(make("c").swap(), Label.B, SWAPPED)


@pytest.mark.parametrize(
    "votes",
    [(), (vote(Outcome.B, rationale=GOOD),), (vote(Outcome.TRUNCATED, rationale="Feedback: so"),)],
    ids=["none", "another label", "truncated"],
)
def test_a_label_that_no_vote_reaches_is_learnt_alone(votes: tuple[Judgment, ...]) -> None:
    [found] = examples([direct("c")], Voter(*votes))
    assert found.example == LabeledComparison(make("c"), Label.A)
    assert not found.swapped


def test_without_a_voter_too() -> None:
    [found] = examples([direct("c", Label.TIE)], None)
    assert found.example == LabeledComparison(make("c"), Label.TIE)


def test_a_reasoned_label_that_no_vote_states_is_dropped() -> None:
    """As when the orders cancel, or a second view has turned it."""
    turned = reasoned("c")
    turned = replace(turned, decision=replace(turned.decision, label=Label.B))
    voter = Voter(vote(Outcome.B))
    [found] = Joint(voter).review([turned], FilterContext())
    assert found == Rejection("abstained", "no single vote states the averaged label", Label.B, None)
    assert voter.asked == []
    # Read directly as well, the same label is learnt.
    both = decide("c", [*direct("c").decision.judgments, *turned.decision.judgments])
    [kept] = examples([replace(turned, decision=replace(both, label=Label.B))], voter)
    assert kept.example == LabeledComparison(make("c"), Label.B)
