"""A reader reads back what a rationale leads to, nothing where it leads nowhere, and not what it merely states."""

from __future__ import annotations

import random

import pytest

from conftest import make
from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Label
from gramr2.evaluation.rationales import Reasoned
from gramr2.evaluation.readers import TARGETS, features, frozen, read_back, words
from gramr2.judging.scripted import verdict_text
from gramr2.judging.template import CONCLUSIONS, JudgeTemplate, extract
from gramr2.judgment import FinishReason

VERDICT, TRUTH = TARGETS["verdict"], TARGETS["truth"]


def written(tell: bool, count: int = 60) -> list[Reasoned]:
    """Two votes a prompt; verdicts are drawn; ``tell`` has the reasons follow them."""
    rng = random.Random(3)
    votes = []
    for i in range(count):
        label = rng.choice([Label.A, Label.B])
        good = label if tell else rng.choice([Label.A, Label.B])
        text = f"Response {good.value} cites its source. Response {good.swap().value} is vague.\n{CONCLUSIONS[label]}"
        truth = rng.choice([Label.A, Label.B])
        votes.append(Reasoned(make(str(i)), text, label, truth, True, str(i // 2)))
    return votes


def test_words_read_a_verdict_back_from_its_reasons() -> None:
    found = read_back(written(tell=True), words, VERDICT)
    assert found is not None
    assert found.accuracy.share == 1.0
    assert 0.5 <= found.majority < 0.7
    assert 0.0 < found.low < found.difference == pytest.approx(1 - found.majority)


def test_words_do_not_read_a_conclusion_or_what_only_their_own_prompt_tells() -> None:
    stated = read_back(written(tell=False), words, VERDICT)
    wrong = read_back(written(tell=True), words, TRUTH)
    for each in (stated, wrong):
        assert each is not None and each.accuracy.share is not None
        assert each.low < 0.0 < each.high or each.difference < 0
        assert each.accuracy.share < 0.7
    # The same words learnt from the same prompt are not to be seen in the share.
    alone = [Reasoned(v.comparison, f"word{v.group}", Label.A, v.truth, True, v.group) for v in written(tell=True)]
    memory = read_back(alone, words, TRUTH)
    assert memory is not None and memory.accuracy.share is not None and memory.accuracy.share < 0.7


def test_one_prompt_or_one_label_or_no_verdict() -> None:
    votes = written(tell=True, count=2)
    alone = read_back(votes, words, VERDICT)
    assert alone is not None and (alone.unread, alone.accuracy.share) == (2, 0.0)
    same = [Reasoned(v.comparison, "", Label.A, Label.A, True, str(i)) for i, v in enumerate(votes)]
    constant = read_back(same, words, VERDICT)
    assert constant is not None and (constant.accuracy.share, constant.difference) == (1.0, 0.0)
    assert read_back([Reasoned(votes[0].comparison, "", None, Label.A, True, "1")], words, VERDICT) is None


def test_words_count_with_the_response_they_are_said_of() -> None:
    assert features("Response A cites. Response B is") == [
        "response a", "cites", "a:cites", "a: cites", "response b", "is", "b:is", "b: is"
    ]  # fmt: skip


def test_a_frozen_model_sees_prompt_and_reasons_only_and_its_leaning_cancels() -> None:
    seen: list[tuple[tuple[str, str, str], str]] = []

    def leaning(request: GenerationRequest, seed: int) -> Completion:
        seen.append((extract(request.messages), request.given))
        good = "A" if "Response A cites" in request.given else "B" if "Response B cites" in request.given else "A"
        # It leans to A by more than what it reads says, and to a tie most of all, which never occurs.
        logs = {"A": -1.0, "B": -2.0, "tie": -0.1}
        logs[good] += 0.5
        return Completion(verdict_text(Label.A), FinishReason.STOP, logs)

    reader = frozen(ScriptedBackend(leaning), JudgeTemplate())
    votes = written(tell=True, count=12)
    found = read_back(votes, reader, VERDICT)
    assert found is not None and found.accuracy.share == 1.0
    assert all(shown[1:] == ("(withheld)", "(withheld)") and shown[0].startswith("Prompt of") for shown, _ in seen)
    assert not any("Conclusion" in given or "is better" in given for _, given in seen)
    silent = [Reasoned(v.comparison, "Both are short.", v.verdict, v.truth, True, v.group) for v in votes]
    nothing = read_back(silent, reader, VERDICT)
    assert nothing is not None and nothing.unread == len(votes)
