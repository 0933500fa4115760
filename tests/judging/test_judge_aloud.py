"""A judge that is listened to decides as one that is not, and every vote that writes is heard under its own name."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import make
from gramr2.backends.base import GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Label, Order
from gramr2.judging.aloud import judge_aloud
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.prompts import prompts
from gramr2.judging.prompts.base import FieldTemplate
from gramr2.judging.scripted import verdict_text
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import BOTH, DIRECT, REASONED

ONE = make("c1", "x", "a longer one")


def coin(request: GenerationRequest, seed: int) -> str:
    return verdict_text(Label.A if seed % 2 else Label.B, f"Response A and Response B, {seed}.")


@pytest.mark.parametrize("readings", [REASONED, BOTH, DIRECT])
@pytest.mark.parametrize("stop", [None, 0.99])
@pytest.mark.parametrize("orders", [Orders.BOTH, Orders.FIRST])
def test_who_listens_changes_nothing(readings: object, stop: float | None, orders: Orders) -> None:
    sampling = Sampling(votes=5, orders=orders, temperature=0.7, stop_certainty=stop)
    judge = Judge(ScriptedBackend(coin), JudgeTemplate(readings=readings), sampling)  # type: ignore[arg-type]
    heard: dict[tuple[Order, int], str] = {}
    found = judge_aloud(judge, ONE, 3, lambda order, sample, text: heard.update({(order, sample): text}))
    assert [found] == judge.compare([ONE], 3)
    wrote = {(each.order, each.sample): each for each in found.judgments if each.reading.value == "reasoned"}
    assert set(heard) == set(wrote), "a direct reading is not heard, and a vote that was not needed neither"
    assert {place[0] for place in heard} == (set(orders.shown) if readings is not DIRECT else set())
    for place, text in heard.items():
        assert f", {wrote[place].seed}." in text


def test_a_verdict_alone_is_silent() -> None:
    judge = Judge(ScriptedBackend(coin), JudgeTemplate(mode=JudgeMode.LABEL), Sampling(votes=1, temperature=0))
    heard: list[object] = []
    assert [judge_aloud(judge, ONE, 0, lambda *told: heard.append(told))] == judge.compare([ONE], 0)
    assert not judge.template.reasons


def test_a_prompt_of_the_field_is_heard_too() -> None:
    template = FieldTemplate(prompt=prompts()["mt-bench"])
    judge = Judge(ScriptedBackend(lambda request, seed: "B says it. [[B]]"), template, Sampling(votes=1, temperature=0))
    heard: list[tuple[Order, int, str]] = []
    found = judge_aloud(judge, ONE, 0, lambda *told: heard.append(told))
    assert [found] == judge.compare([ONE], 0)
    assert heard == [(order, 0, "B says it. [[B]]") for order in Order]


def test_a_model_is_heard_token_by_token(tiny_model: Path) -> None:
    sampling = Sampling(votes=2, temperature=1.0, max_new_tokens=16, close_on_budget=True)
    judge = Judge(TransformersBackend(tiny_model), JudgeTemplate(readings=BOTH), sampling)
    heard: dict[tuple[Order, int], list[str]] = defaultdict(list)
    found = judge_aloud(judge, ONE, 1, lambda order, sample, text: heard[order, sample].append(text))
    (same,) = judge.compare([ONE], 1)
    assert [vote.rationale for vote in found.judgments] == [vote.rationale for vote in same.judgments]
    assert found.probabilities is not None and same.probabilities is not None
    assert found.probabilities.a == pytest.approx(same.probabilities.a, abs=1e-4)
    assert set(heard) == {(order, sample) for order in Order for sample in range(2)}
    for texts in heard.values():
        assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
        assert len(set(texts)) > 8
