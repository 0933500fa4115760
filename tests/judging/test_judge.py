"""The judge on the scripted backend: orders, seeds, failures, journaled answers."""

from __future__ import annotations

import math

import pytest

from conftest import make
from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.journaled import JournaledBackend
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Label, Order
from gramr2.errors import ConfigError, ModelNotFoundError, PromptTooLongError
from gramr2.journal import Journal
from gramr2.judging.budget import overlong, refuse
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.scripted import scripted, verdict_text
from gramr2.judging.template import JudgeTemplate, extract
from gramr2.judgment import Decision, FinishReason, Outcome

COMPARISONS = [make(f"c{i}", a="x" * (i + 1), b="yyy") for i in range(5)]


def test_longer_prefers_the_longer_in_both_orders() -> None:
    decisions = Judge(scripted("longer"), sampling=Sampling(votes=2)).judge(COMPARISONS)
    assert [d.label for d in decisions] == [Label.B, Label.B, Label.TIE, Label.A, Label.A]
    assert all(d.order_flip is False and d.agreement == 1 for d in decisions)


def test_always_a_has_no_opinion_in_both_orders() -> None:
    both = Judge(scripted("always-a")).judge(COMPARISONS)
    assert {d.label for d in both} == {Label.TIE}
    first = Judge(scripted("always-a"), sampling=Sampling(votes=1, orders=Orders.FIRST)).judge(COMPARISONS)
    assert {d.label for d in first} == {Label.A}


def test_votes_are_not_copies_and_do_not_depend_on_the_batch() -> None:
    judge = Judge(scripted("random"), sampling=Sampling(votes=4))
    together = judge.judge(COMPARISONS, seed=5)
    seeds = [vote.seed for decision in together for vote in decision.judgments]
    assert len(set(seeds)) == len(seeds) == 40
    assert [judge.judge([c], seed=5)[0] for c in reversed(COMPARISONS)] == together[::-1]
    assert judge.judge(COMPARISONS, seed=6) != together


def test_probabilities_are_turned_back_into_the_stored_order() -> None:
    def script(request: GenerationRequest, seed: int) -> Completion:
        logprobs = {"A": math.log(0.7), "B": math.log(0.2), "tie": math.log(0.1)}
        return Completion(verdict_text(Label.A), FinishReason.STOP, logprobs)

    decision = Judge(ScriptedBackend(script), sampling=Sampling(votes=1)).judge([make()])[0]
    swapped = next(vote for vote in decision.judgments if vote.order is Order.BA)
    assert swapped.outcome is Outcome.B
    assert swapped.probabilities is not None
    assert swapped.probabilities.b == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("completion", "outcome"),
    [
        (Completion("<think>and", FinishReason.LENGTH), Outcome.TRUNCATED),
        (Completion("hm", FinishReason.STOP), Outcome.UNPARSEABLE),
        (Completion("<answer>A</answer>", FinishReason.ERROR, error="lost"), Outcome.ERROR),
    ],
)
def test_a_failure_is_never_a_score(completion: Completion, outcome: Outcome) -> None:
    decision = Judge(ScriptedBackend(lambda request, seed: completion)).judge([make()])[0]
    assert {vote.outcome for vote in decision.judgments} == {outcome}
    assert (decision.label, decision.confidence, decision.coverage) == (None, None, 0.0)


def test_what_is_in_a_journal_is_not_paid_for_twice() -> None:
    journal, backend = Journal(), scripted("random")

    def judge(votes: int) -> list[Decision]:
        return Judge(JournaledBackend(backend, journal), sampling=Sampling(votes=votes)).judge(COMPARISONS)

    first = judge(3)
    assert len(journal) == 30
    asked = len(backend.requests)
    assert judge(3) == first
    assert len(backend.requests) == asked
    more = judge(4)
    assert [d.judgments[:3] + d.judgments[4:7] for d in more] == [d.judgments for d in first]
    assert [len(r.seeds) for r in backend.requests[asked:]] == [1] * 10
    assert len(journal) == 40


def test_progress_and_decisions_are_reported_once() -> None:
    seen: list[tuple[int, int]] = []
    order: list[int] = []
    Judge(scripted("longer")).judge(
        COMPARISONS, progress=lambda d, t: seen.append((d, t)), on_decision=lambda i, d: order.append(i)
    )
    assert seen == [(i, 5) for i in range(1, 6)]
    assert sorted(order) == [0, 1, 2, 3, 4]


def test_budget_names_the_first_that_does_not_fit() -> None:
    backend = ScriptedBackend(lambda r, s: "", context_length=140)
    items = [(make("small"), ""), (make("big", a="word " * 200), "")]
    found = overlong(backend, JudgeTemplate(), items, new_tokens=10)
    assert [each.id for each in found] == ["big"]
    with pytest.raises(PromptTooLongError, match="1 of 2 comparisons .*'big'"):
        refuse(found, 2, "pool")
    assert [each.id for each in overlong(backend, JudgeTemplate(), items, new_tokens=10, max_prompt_tokens=5)] == [
        "small",
        "big",
    ]


def test_impossible_sampling_and_unknown_scripts() -> None:
    with pytest.raises(ConfigError, match="would be identical"):
        Sampling(votes=2, temperature=0)
    with pytest.raises(ModelNotFoundError, match="always-a, longer, random"):
        scripted("best")


def says(outcomes: str) -> ScriptedBackend:
    """One vote after the other, of the comparison as it is stored, in either order."""
    turns = {True: iter(outcomes), False: iter(outcomes)}

    def script(request: GenerationRequest, seed: int) -> str:
        stored = extract(request.messages)[1] == COMPARISONS[0].responses[0]
        label = Label(next(turns[stored]))
        return verdict_text(label if stored else label.swap())

    return ScriptedBackend(script)


@pytest.mark.parametrize(
    ("outcomes", "certainty", "votes"),
    [("AA", 0.95, 4), ("AAAA", 0.98, 8), ("AAABAAAA", 0.95, 4), ("ABABABAB", 0.95, 16)],
)
def test_voting_stops_when_the_outcome_is_settled(outcomes: str, certainty: float, votes: int) -> None:
    backend = says(outcomes)
    seen: list[tuple[int, int]] = []
    judge = Judge(backend, sampling=Sampling(votes=8, stop_certainty=certainty))
    [decision] = judge.judge(COMPARISONS[:1], progress=lambda d, t: seen.append((d, t)))
    assert len(decision.judgments) == votes
    assert sum(len(r.seeds) for r in backend.requests) == votes
    assert seen[-1] == (1, 1)


def test_unsettled_voting_ends_with_the_votes_of_a_judge_that_always_takes_all() -> None:
    whole = Judge(scripted("random"), sampling=Sampling(votes=5)).judge(COMPARISONS)
    adaptive = Judge(scripted("random"), sampling=Sampling(votes=5, stop_certainty=0.999)).judge(COMPARISONS)
    assert adaptive == whole
