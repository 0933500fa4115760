"""Two readings of a verdict: how they become one decision, and how a judge asks for them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make, vote
from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.journaled import JournaledBackend
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Label, Order
from gramr2.journal import Journal
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.scripted import verdict_text
from gramr2.judging.template import JudgeMode, JudgeTemplate, extract
from gramr2.judging.voting import decide, is_settled
from gramr2.judgment import (
    ANSWERED,
    BOTH,
    DIRECT,
    REASONED,
    Decision,
    FinishReason,
    Judgment,
    LabelProbabilities,
    Outcome,
    Reading,
    ReadingWeights,
)

Three = tuple[float, float, float]


def direct(order: Order, belief: Three | None) -> Judgment:
    """A direct vote for the likeliest label; a failed one where there is no belief."""
    outcome = Outcome.of(top(belief)) if belief else Outcome.ERROR
    return replace(vote(outcome, order, 0, belief, None), reading=Reading.DIRECT)


def reasoned(order: Order, belief: Three | None, sample: int = 0) -> Judgment:
    """A reasoned vote for the likeliest label; a truncated one where there is no belief."""
    return vote(Outcome.of(top(belief)) if belief else Outcome.TRUNCATED, order, sample, belief)


def top(belief: Three) -> Label:
    return max(zip(belief, Label, strict=True))[1]


def normalised(values: list[float]) -> Three:
    a, b, tie = (value / sum(values) for value in values)
    return a, b, tie


def as_tuple(found: LabelProbabilities | None) -> Three:
    assert found is not None
    return found.a, found.b, found.tie


FIRST, SECOND = (0.8, 0.15, 0.05), (0.3, 0.6, 0.1)
PAIR = [direct(Order.AB, FIRST), direct(Order.BA, SECOND)]
GEOMETRIC = normalised([math.sqrt(x * y) for x, y in zip(FIRST, SECOND, strict=True)])


def test_orders_of_a_direct_reading_are_combined_in_log_space() -> None:
    decision = decide("c", PAIR, DIRECT)
    assert as_tuple(decision.probabilities) == pytest.approx(GEOMETRIC)
    assert as_tuple(decision.probabilities) != pytest.approx((0.55, 0.375, 0.075), abs=0.02), "not their mean"
    assert decision.label is Label.A
    assert decision.confidence == pytest.approx(GEOMETRIC[0])
    assert decision.readings.keys() == {Reading.DIRECT}


def test_orders_of_a_reasoned_reading_are_averaged() -> None:
    decision = decide("c", [reasoned(Order.AB, FIRST), reasoned(Order.BA, SECOND)], REASONED)
    assert as_tuple(decision.probabilities) == pytest.approx((0.55, 0.375, 0.075))


@given(st.tuples(*[st.floats(0.001, 1)] * 3))
def test_a_direct_opinion_that_follows_the_position_is_no_opinion(values: Three) -> None:
    a, b, tie = normalised(list(values))
    decision = decide("c", [direct(Order.AB, (a, b, tie)), direct(Order.BA, (b, a, tie))], DIRECT)
    assert decision.label is Label.TIE
    found = as_tuple(decision.probabilities)
    assert found[0] == pytest.approx(found[1])


@pytest.mark.parametrize(("weights", "label"), [(ReadingWeights(2, 0.5), Label.A), (ReadingWeights(0.2, 1), Label.B)])
def test_readings_are_combined_by_their_weights(weights: ReadingWeights, label: Label) -> None:
    other = (0.2, 0.7, 0.1)
    decision = decide("c", [*PAIR, *(reasoned(order, other) for order in Order)], weights)
    expected = normalised([x**weights.direct * y**weights.reasoned for x, y in zip(GEOMETRIC, other, strict=True)])
    assert as_tuple(decision.probabilities) == pytest.approx(expected)
    assert decision.label is label
    assert as_tuple(decision.readings[Reading.DIRECT]) == pytest.approx(GEOMETRIC)
    assert as_tuple(decision.readings[Reading.REASONED]) == pytest.approx(other)


def test_a_reading_without_weight_is_not_heard() -> None:
    votes = [*PAIR, *(reasoned(order, (0.1, 0.8, 0.1)) for order in Order)]
    assert as_tuple(decide("c", votes, DIRECT).probabilities) == pytest.approx(GEOMETRIC)
    assert as_tuple(decide("c", votes, REASONED).probabilities) == pytest.approx((0.1, 0.8, 0.1))
    assert (DIRECT.asked, REASONED.asked, BOTH.asked) == ((Reading.DIRECT,), (Reading.REASONED,), ANSWERED)


def test_where_one_reading_abstains_the_other_decides() -> None:
    silent = decide("c", [*PAIR, reasoned(Order.AB, FIRST), reasoned(Order.BA, None)], BOTH)
    assert as_tuple(silent.probabilities) == pytest.approx(GEOMETRIC)
    assert silent.readings.keys() == {Reading.DIRECT}
    assert silent.coverage == 0.75
    failed = [direct(Order.AB, FIRST), direct(Order.BA, None), *(reasoned(order, SECOND) for order in Order)]
    assert as_tuple(decide("c", failed, BOTH).probabilities) == pytest.approx(SECOND)


@pytest.mark.parametrize("weights", [DIRECT, REASONED, BOTH])
def test_where_no_reading_has_both_orders_the_judge_abstains(weights: ReadingWeights) -> None:
    votes = [direct(Order.AB, FIRST), direct(Order.BA, None), reasoned(Order.AB, None), reasoned(Order.BA, FIRST)]
    decision = decide("c", votes, weights)
    assert (decision.label, decision.probabilities, decision.confidence) == (None, None, None)
    assert (decision.agreement, decision.order_flip, decision.coverage) == (None, None, 0.5)
    assert not decision.readings


def test_the_flip_is_that_of_the_orders_with_both_readings_in_them() -> None:
    assert decide("c", PAIR, DIRECT).order_flip is True
    agreeing = [reasoned(order, (0.9, 0.05, 0.05)) for order in Order]
    assert decide("c", [*PAIR, *agreeing], BOTH).order_flip is False, "the sure reading settles the second order"
    assert decide("c", [*PAIR, *agreeing], ReadingWeights(1, 0.1)).order_flip is True
    assert decide("c", PAIR[:1], DIRECT).order_flip is None


def test_agreement_is_that_of_the_votes_that_were_cast() -> None:
    assert decide("c", PAIR, DIRECT).agreement == 0.5
    votes = [reasoned(order, belief, s) for order in Order for s, belief in enumerate((FIRST, FIRST, SECOND))]
    assert decide("c", [*PAIR, *votes], BOTH).agreement == pytest.approx(4 / 6)


beliefs = st.tuples(*[st.floats(0.01, 1)] * 3).map(lambda values: normalised(list(values)))


@given(beliefs, beliefs, beliefs, beliefs, st.floats(0.1, 2), st.floats(0.1, 2))
def test_the_decision_turns_with_the_comparison(
    one: Three, two: Three, three: Three, four: Three, first: float, second: float
) -> None:
    weights = ReadingWeights(first, second)
    votes = [direct(Order.AB, one), direct(Order.BA, two), reasoned(Order.AB, three), reasoned(Order.BA, four)]
    other = {Order.AB: Order.BA, Order.BA: Order.AB}
    turned = [
        replace(
            v, order=other[v.order], outcome=v.outcome.swap(), probabilities=v.probabilities and v.probabilities.swap()
        )
        for v in votes
    ]
    decision, swapped = decide("c", votes, weights), decide("c", turned, weights)
    assert as_tuple(swapped.probabilities) == pytest.approx(
        as_tuple(decision.probabilities and decision.probabilities.swap())
    )
    assert sum(as_tuple(decision.probabilities)) == pytest.approx(1)


COMPARISONS = [make(f"c{i}", a="good", b="bad") for i in range(3)]
SHARES = {"A": 0.7, "B": 0.2, "tie": 0.1}


def asked_directly(request: GenerationRequest) -> bool:
    return request.prefill == JudgeTemplate(JudgeMode.LABEL).prefill


class Backend(ScriptedBackend):
    """Directly it finds the good response likely; its reasoning finds it too, or is cut off."""

    def __init__(self, *, truncates: bool = False) -> None:
        super().__init__(self._answer)
        self.truncates = truncates

    def _answer(self, request: GenerationRequest, seed: int) -> Completion:
        label = Label.A if extract(request.messages)[1] == "good" else Label.B
        if asked_directly(request):
            shares = SHARES if label is Label.A else {"A": SHARES["B"], "B": SHARES["A"], "tie": SHARES["tie"]}
            logprobs = {name: math.log(share) for name, share in shares.items()}
            return Completion(f"<answer>{label.value}</answer>", FinishReason.STOP, logprobs)
        if self.truncates:
            return Completion("<think>\nFeedback: and so on and", FinishReason.LENGTH)
        return Completion(verdict_text(label, "It is good."), FinishReason.STOP)


def judged(backend: Backend, weights: ReadingWeights, sampling: Sampling | None = None) -> list[Decision]:
    template = JudgeTemplate(principles=("Be right.",), readings=weights)
    return Judge(backend, template, sampling or Sampling(votes=2)).judge(COMPARISONS, seed=4)


def test_a_direct_verdict_is_one_prefill_of_the_label_template() -> None:
    backend = Backend()
    decisions = judged(backend, DIRECT)
    assert len(backend.requests) == 2 * len(COMPARISONS)
    rules = JudgeTemplate(JudgeMode.LABEL, ("Be right.",)).rules
    for request in backend.requests:
        assert asked_directly(request)
        assert request.messages[-1].content.startswith(rules)
        assert len(request.seeds) == 1
        assert (request.decoding.temperature, request.decoding.max_new_tokens) == (0, 1)
    for decision in decisions:
        assert [(v.order, v.reading) for v in decision.judgments] == [(order, Reading.DIRECT) for order in Order]
        assert as_tuple(decision.probabilities) == pytest.approx((0.7, 0.2, 0.1))
        assert (decision.rationale, decision.order_flip, decision.coverage) == (None, False, 1.0)


def test_both_readings_are_asked_and_combined() -> None:
    backend = Backend()
    seen: list[int] = []
    sampling = Sampling(votes=2)
    judge = Judge(backend, JudgeTemplate(readings=BOTH), sampling)
    decisions = judge.judge(COMPARISONS, on_decision=lambda index, decision: seen.append(index))
    assert sorted(seen) == [0, 1, 2]
    assert [len(r.seeds) for r in backend.requests if asked_directly(r)] == [1] * 6
    assert [len(r.seeds) for r in backend.requests if not asked_directly(r)] == [2] * 6
    for decision in decisions:
        assert [v.reading for v in decision.judgments] == 2 * [Reading.DIRECT] + 4 * [Reading.REASONED]
        assert decision.readings.keys() == set(ANSWERED)
        assert decision.label is Label.A
        assert decision.rationale is not None and "It is good." in decision.rationale


def test_a_reasoned_judge_is_not_asked_directly() -> None:
    backend = Backend()
    assert {v.reading for d in judged(backend, REASONED) for v in d.judgments} == {Reading.REASONED}
    assert not any(map(asked_directly, backend.requests))


def test_a_judge_whose_reasoning_never_ends_decides_directly() -> None:
    for decision in judged(Backend(truncates=True), BOTH):
        assert decision.label is Label.A
        assert as_tuple(decision.probabilities) == pytest.approx((0.7, 0.2, 0.1))
        assert decision.coverage == pytest.approx(2 / 6)
        assert decision.agreement == 1
    assert {d.label for d in judged(Backend(truncates=True), REASONED)} == {None}


def test_one_order_is_enough_where_one_is_asked() -> None:
    backend = Backend()
    decisions = judged(backend, BOTH, Sampling(votes=1, orders=Orders.FIRST))
    assert len(backend.requests) == 2 * len(COMPARISONS)
    assert {(d.label, d.order_flip) for d in decisions} == {(Label.A, None)}


def test_a_judge_of_labels_knows_one_reading() -> None:
    backend = Backend()
    judge = Judge(backend, JudgeTemplate(JudgeMode.LABEL, readings=BOTH), Sampling(votes=1, temperature=0))
    assert [d.label for d in judge.judge(COMPARISONS)] == 3 * [Label.A]
    assert len(backend.requests) == 6


def test_journaled_readings_are_not_paid_for_twice() -> None:
    backend, journal = Backend(), Journal()
    kept = JournaledBackend(backend, journal)
    judge = Judge(kept, JudgeTemplate(readings=BOTH), Sampling(votes=2))
    first = judge.judge(COMPARISONS)
    assert len(journal) == 3 * (2 + 4)
    asked = len(backend.requests)
    assert judge.judge(COMPARISONS) == first
    alone = Judge(kept, JudgeTemplate(readings=DIRECT), Sampling(votes=2)).judge(COMPARISONS)
    assert len(backend.requests) == asked, "the direct reading is the same by itself"
    assert [d.judgments for d in alone] == [d.judgments[:2] for d in first]


def test_where_ties_are_no_verdict_their_probability_goes_to_the_other_two() -> None:
    votes = [direct(Order.AB, (0.3, 0.1, 0.6)), direct(Order.BA, (0.2, 0.1, 0.7))]
    assert decide("c", votes).label is Label.TIE
    found = decide("c", votes, replace(BOTH, ties=False))
    assert found.label is Label.A
    assert as_tuple(found.probabilities)[2] == 0
    assert found.probabilities is not None and found.probabilities.a == pytest.approx(0.71, abs=0.01)
    assert (found.agreement, found.order_flip) == (1.0, False)
    assert found.judgments == tuple(votes), "what was said stays on record"


def test_a_vote_for_a_tie_and_nothing_else_is_no_preference() -> None:
    votes = [vote(Outcome.TIE, order, 0, None) for order in Order]
    assert decide("c", votes, replace(BOTH, ties=False)).label is Label.TIE


def test_a_judge_of_verdicts_alone_does_without_ties_too() -> None:
    def tie(request: GenerationRequest, seed: int) -> Completion:
        logs = {"A": math.log(0.3), "B": math.log(0.1), "tie": math.log(0.6)}
        return Completion("<answer>tie</answer>", FinishReason.STOP, logs)

    template = JudgeTemplate(JudgeMode.LABEL, readings=replace(DIRECT, ties=False))
    judge = Judge(ScriptedBackend(tie), template, Sampling(votes=1, temperature=0))
    (found,) = judge.judge([make("x")])
    # It names the first of the two in either order, so that A and B come out level.
    assert found.order_flip is True
    assert as_tuple(found.probabilities) == pytest.approx((0.5, 0.5, 0.0))


@pytest.mark.parametrize(("ties", "settled"), [(True, True), (False, False)])
def test_votes_for_ties_settle_nothing_where_ties_are_no_verdict(ties: bool, settled: bool) -> None:
    """Eight say tie; of A and B, to which they are put down, neither leads."""
    beliefs = [(0.2, 0.1, 0.7), (0.1, 0.2, 0.7)]
    votes = [reasoned(order, beliefs[sample % 2], sample) for order in Order for sample in range(4)]
    weights = replace(REASONED, ties=ties)
    assert is_settled(decide("c", votes, weights), 0.95, ties) is settled


def sure_of_some(request: GenerationRequest, seed: int) -> Completion | str:
    """Directly certain where a response says so, undecided elsewhere, and for B by reasoning."""
    _, a, b = extract(request.messages)
    if request.decoding.max_new_tokens > 1:
        asked.append(a)
        return verdict_text(Label.B if "right" in b else Label.A)
    first = 0.95 if "sure" in a else 0.05 if "sure" in b else 0.6
    logs = {"A": math.log(first), "B": math.log(1 - first - 0.01), "tie": math.log(0.01)}
    return Completion(f"<answer>{'A' if first > 0.5 else 'B'}</answer>", FinishReason.STOP, logs)


asked: list[str] = []


@pytest.mark.parametrize("weights", [REASONED, BOTH])
def test_no_rationale_where_the_direct_reading_is_certain(weights: ReadingWeights) -> None:
    asked.clear()
    judge = Judge(
        ScriptedBackend(sure_of_some), JudgeTemplate(readings=weights), Sampling(votes=2, direct_certainty=0.9)
    )
    seen: list[int] = []
    both = [make("0", "sure", "right"), make("1", "wrong", "right"), make("2", "right", "sure")]
    found = judge.judge(both, on_decision=lambda index, decision: seen.append(index))
    assert [each.label for each in found] == [Label.A, Label.B, Label.B]
    assert sorted(seen) == [0, 1, 2]
    assert {*asked} == {"wrong", "right"} and len(asked) == 4  # two votes in each order of the one that was not certain
    assert found[0].readings.keys() == {Reading.DIRECT}
    assert Reading.REASONED in found[1].readings and (Reading.DIRECT in found[1].readings) == (weights is BOTH)


def test_a_direct_reading_that_follows_the_position_is_not_certain() -> None:
    def first(request: GenerationRequest, seed: int) -> Completion | str:
        if request.decoding.max_new_tokens > 1:
            return verdict_text(Label.TIE)
        return Completion("<answer>A</answer>", FinishReason.STOP, {"A": -0.01, "B": -5.0, "tie": -6.0})

    judge = Judge(ScriptedBackend(first), sampling=Sampling(votes=1, temperature=0, direct_certainty=0.51))
    assert judge.judge([make("0")])[0].label is Label.TIE
