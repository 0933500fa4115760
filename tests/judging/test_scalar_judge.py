"""Rewards become decisions: log-odds, abstention, and rewards that are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from conftest import make
from gramr2.comparison import Label, Message
from gramr2.journal import Journal
from gramr2.judging.judge import compare_with
from gramr2.judging.scalar import CHUNK, ScalarJudge, Text


class Lengths:
    """The reward of a response is its length in tens; some responses have none."""

    id, context_length = "lengths@1", 12

    def __init__(self) -> None:
        self.asked: list[int] = []

    def count(self, prompt: tuple[Message, ...], response: str) -> int:
        return len(response)

    def rewards(self, texts: Sequence[Text]) -> list[float]:
        self.asked.append(len(texts))
        odd = {"nan": math.nan, "inf": math.inf}
        return [odd.get(response, len(response) / 10) for _, response in texts]


def test_the_difference_of_two_rewards_is_the_log_odds() -> None:
    judge = ScalarJudge(Lengths())
    better, level = judge.compare([make("1", "aaaaa", "b"), make("2", "aa", "bb")])
    assert better.label is Label.A and better.confidence == pytest.approx(1 / (1 + math.exp(-0.4)))
    assert (better.order_flip, better.coverage, better.judgments) == (False, 1.0, ())
    assert level.label is Label.TIE
    assert judge.margins([make("1", "aaaaa", "b")]) == pytest.approx([0.4])


@pytest.mark.parametrize("broken", ["nan", "inf"])
def test_what_is_no_number_is_no_decision(broken: str) -> None:
    for decision in ScalarJudge(Lengths()).compare([make("1", broken, "b"), make("2", "b", broken)]):
        assert (decision.label, decision.probabilities, decision.coverage) == (None, None, 0.0)
    assert ScalarJudge(Lengths()).compare([make("1", "inf", "inf")])[0].label is None


def test_each_text_is_computed_once() -> None:
    model = Lengths()
    prompt = make().prompt
    assert ScalarJudge(model).rewards([(prompt, "a"), (prompt, "bb"), (prompt, "a")]) == [0.1, 0.2, 0.1]
    assert model.asked == [2]
    ScalarJudge(model).rewards([(prompt, "x" * n) for n in range(CHUNK + 3)])
    assert model.asked == [2, CHUNK, 3]


def test_rewards_are_kept_and_those_that_failed_asked_for_again() -> None:
    model, journal, prompt = Lengths(), Journal(), make().prompt
    texts = [(prompt, "a"), (prompt, "nan")]
    first = ScalarJudge(model, journal).rewards(texts)
    assert ScalarJudge(model, journal).rewards(texts)[0] == first[0] and model.asked == [2, 2]
    assert ScalarJudge(model, journal).rewards(texts[:1]) == first[:1] and model.asked == [2, 2]
    other = Lengths()
    other.id = "another@1"
    ScalarJudge(other, journal).rewards(texts[:1])
    assert other.asked == [1]


def test_an_interrupted_chunk_keeps_what_was_there() -> None:
    journal, prompt = Journal(), make().prompt
    ScalarJudge(Lengths(), journal).rewards([(prompt, "a")])

    class Longer(Lengths):
        def rewards(self, texts: Sequence[Text]) -> list[float]:
            return [each + 1 for each in super().rewards(texts)]

    # The same weights in another batch give other last digits: the first ones stay.
    assert ScalarJudge(Longer(), journal).rewards([(prompt, "a"), (prompt, "bb")]) == [0.1, 1.2]


def test_what_does_not_fit_is_told_before() -> None:
    judge = ScalarJudge(Lengths())
    (found,) = judge.overlong([make("1", "a", "b"), make("2", "a" * 13, "b")])
    assert (found.id, found.tokens, found.allowed) == ("2", 13, 12)


def test_a_long_list_is_told_along_the_way() -> None:
    items = [make(str(n), "x" * (n + 1), "y") for n in range(CHUNK)]
    seen: list[tuple[int, int]] = []
    told: dict[int, str] = {}
    decisions = compare_with(
        ScalarJudge(Lengths()),
        items,
        progress=lambda *each: seen.append(each),
        on_decision=lambda index, decision: told.update({index: decision.id}),
    )
    assert seen == [(CHUNK // 2, CHUNK), (CHUNK, CHUNK)]
    assert told == {n: str(n) for n in range(CHUNK)}
    assert [each.id for each in decisions] == [each.id for each in items]
    assert compare_with(ScalarJudge(Lengths()), []) == []
