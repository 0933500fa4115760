"""Where a number of the model is none, the vote is an error with its reason; the other votes stand, and no file has a NaN."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import make
from gramr2.backends.base import Completion, Decoding, GenerationRequest, VerdictReading
from gramr2.backends.journaled import JournaledBackend
from gramr2.backends.sampling import Row, usable
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Label, Message, SingleResponse
from gramr2.files import strict_json, write_jsonl
from gramr2.journal import Journal
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.reading import verdicts_given
from gramr2.judging.records import decision_row
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import Decision, FinishReason, LabelProbabilities, Outcome
from gramr2.rewards.adapters.trl import TRLReward
from gramr2.rewards.groups import Group, ReferenceReward
from gramr2.rewards.pointwise import grade
from gramr2.rewards.ranking import result_of
from gramr2.testing import ScriptedBackend
from gramr2.wire import DecisionBody, RewardResponse

NAN = float("nan")
BAD = [NAN, math.inf]
GUIDED = VerdictReading()


@pytest.fixture(scope="module")
def backend(tiny_model: Path) -> TransformersBackend:
    return TransformersBackend(tiny_model, device="cpu", dtype="float32")


def request(prefill: str = "<think>\n", temperature: float = 0.0, **options: Any) -> GenerationRequest:
    return GenerationRequest((Message("user", "Q"),), (0,), Decoding(temperature, 0.9, 8), prefill, **options)


def rows_of(backend: TransformersBackend, asked: GenerationRequest, count: int = 2) -> list[Row]:
    return [backend._stepper.start(asked, i, 0, 1) for i in range(count)]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_token_is_not_chosen_by_numbers_that_are_none(
    backend: TransformersBackend, bad: float, temperature: float
) -> None:
    spoilt, sound = rows_of(backend, request(temperature=temperature))
    logits = torch.zeros(2, backend.config.vocab_size)
    logits[:, 65] = 90.0
    logits[0, 7] = bad
    assert backend._stepper.step([spoilt, sound], logits, {}) == [0, 65]
    assert (spoilt.finish, sound.finish) == (FinishReason.ERROR, None)
    completion = backend._stepper.completion(spoilt)
    assert completion.error and "NaN or infinite after 0 tokens" in completion.error


@pytest.mark.parametrize("bad", [*BAD, -math.inf])
@pytest.mark.parametrize("guided", [True, False])
def test_a_label_is_not_chosen_by_numbers_that_are_none(backend: TransformersBackend, bad: float, guided: bool) -> None:
    verdict = VerdictReading(guided=guided)
    spoilt, sound = rows_of(backend, request("<answer>", verdict=verdict))
    spoilt.at_verdict = sound.at_verdict = True
    labels = backend.encoder.label_ids(verdict)
    logits = torch.zeros(2, backend.config.vocab_size)
    logits[0, labels["tie"]] = bad
    backend._stepper.step([spoilt, sound], logits, labels)
    assert spoilt.finish is FinishReason.ERROR
    assert spoilt.label_logprobs is None and spoilt.label is None
    assert sound.finish is not FinishReason.ERROR and sound.label_logprobs is not None


def test_minus_infinity_only_rules_a_token_out() -> None:
    logits = torch.tensor([[-math.inf, 1.0], [NAN, 1.0], [math.inf, 1.0], [-math.inf, -math.inf]])
    assert usable(logits).tolist() == [True, False, False, False]


def test_one_prompt_that_overflows_is_an_error_and_the_others_are_judged(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = backend._prefilled

    def overflows(*arguments: Any) -> Any:
        most = 0
        for caches in inner(*arguments):
            # The longest prompts come first.
            most = max(most, *(length for found, _ in caches for length in found.lengths))
            for found, _ in caches:
                spoilt = torch.tensor([length == most or everything for length in found.lengths])
                found.logits[spoilt] = NAN
            yield caches

    everything = False
    monkeypatch.setattr(backend, "_prefilled", overflows)
    judge = Judge(backend, JudgeTemplate(JudgeMode.LABEL), Sampling(votes=1, temperature=0.0))
    long, short = judge.judge([make("long", a="x" * 50), make("short", a="y", b="z")])
    assert (long.label, long.coverage, short.coverage) == (None, 0.0, 1.0)
    assert all(vote.outcome is Outcome.ERROR and "NaN" in (vote.error or "") for vote in long.judgments)
    assert short.confidence is not None and math.isfinite(short.confidence)
    everything = True
    # Alone in its batch, a prompt must not cost more than in company.
    (alone,) = judge.judge([make("long", a="x" * 50)])
    assert all(vote.outcome is Outcome.ERROR for vote in alone.judgments)


def engine(value: float) -> ScriptedBackend:
    """Answers with the first label, and with ``value`` as the logarithm of each label's probability."""

    def script(request: GenerationRequest, seed: int) -> Completion:
        labels = request.verdict.labels if request.verdict else ()
        text = request.given.partition("<answer>")[0] + f"</think>\n<answer>{labels[0]}</answer>"
        return Completion(text, FinishReason.STOP, dict.fromkeys(labels, value))

    return ScriptedBackend(script)


@pytest.mark.parametrize("value", [*BAD, 800.0])
def test_no_engine_can_make_a_verdict_of_nan(value: float, tmp_path: Path) -> None:
    backend = engine(value)
    with Journal(tmp_path / "j.jsonl") as journal:
        judge = Judge(JournaledBackend(backend, journal), sampling=Sampling(votes=1, temperature=0.0))
        [decision] = judge.judge([make()])
        asked = len(backend.requests)
        judge.judge([make()])
        assert len(backend.requests) == 2 * asked, "an answer that is none is asked for again"
    assert (decision.label, decision.confidence, decision.coverage) == (None, None, 0.0)
    assert all(vote.outcome is Outcome.ERROR and "not numbers" in (vote.error or "") for vote in decision.judgments)
    write_jsonl(tmp_path / "o.jsonl", [decision_row(decision)])
    for file in tmp_path.iterdir():
        assert "NaN" not in file.read_text() and "Infinity" not in file.read_text()
    assert verdicts_given(backend, JudgeTemplate(), [(make(), "r")]) == [None]
    item = SingleResponse("s", (Message("user", "q"),), "r", ())
    assert grade(backend, [item], Sampling(votes=1, temperature=0.0))[0].score is None
    reward = TRLReward(ReferenceReward(judge))
    assert reward(["q"], ["a"], reference=["b"]) == [None]


def test_a_nan_in_an_old_journal_is_asked_for_again(tmp_path: Path) -> None:
    backend = engine(-1.0)
    with Journal(tmp_path / "j.jsonl") as journal:
        Judge(JournaledBackend(backend, journal), sampling=Sampling(votes=1, temperature=0.0)).judge([make()])
    (tmp_path / "j.jsonl").write_text((tmp_path / "j.jsonl").read_text().replace('"A": -1.0', '"A": NaN'))
    with Journal(tmp_path / "j.jsonl") as journal:
        judge = Judge(JournaledBackend(again := engine(-1.0), journal), sampling=Sampling(votes=1, temperature=0.0))
        [decision] = judge.judge([make()])
    assert len(again.requests) == 2 and decision.coverage == 1.0


def test_a_probability_of_zero_survives_the_journal(tmp_path: Path) -> None:
    for _ in range(2):
        backend = engine(-math.inf)
        with Journal(tmp_path / "j.jsonl") as journal:
            wrapped = JournaledBackend(backend, journal)
            [(_, [found])] = wrapped.generate([request(verdict=GUIDED)])
        assert found.label_logprobs == dict.fromkeys(("A", "B", "tie"), -math.inf)
    assert not backend.requests
    assert "Infinity" not in (tmp_path / "j.jsonl").read_text()


def test_no_reward_and_no_answer_of_nan() -> None:
    odd = Decision("d", (), Label.A, LabelProbabilities(NAN, 0.5, NAN), NAN, None, None, 1.0)
    assert result_of(odd) is None
    assert result_of(replace(odd, probabilities=LabelProbabilities(0.5, 0.25, 0.25))) == 0.625

    class Constant:
        def __call__(self, groups: Sequence[Group]) -> list[list[float | None]]:
            return [[NAN, math.inf, 0.5, None]]

    assert TRLReward(Constant())(["q"] * 4, ["a", "b", "c", "d"]) == [None, None, 0.5, None]
    with pytest.raises(ValueError, match="finite"):
        RewardResponse(judge={"model": "m", "template": "t"}, rewards=[NAN], reasons=[None])
    with pytest.raises(ValueError, match="finite"):
        DecisionBody.model_validate_json(
            '{"id":"x","label":"A","confidence":NaN,"agreement":null,"order_flip":null,"coverage":1,"probabilities":null,'
            '"readings":{},"rationale":null,"rationale_order":null,"reason":null}'
        )


def test_strict_json() -> None:
    odd = {"a": [NAN, 1.5, (math.inf, "NaN")], "b": {"c": -math.inf}}
    assert json.loads(strict_json(odd), parse_constant=pytest.fail) == {
        "a": [None, 1.5, [None, "NaN"]],
        "b": {"c": None},
    }
    assert strict_json({"é": 1.0}) == '{"é": 1.0}'
    assert strict_json("é", ensure_ascii=True) == '"\\u00e9"'
    assert strict_json([1], indent=1) == "[\n 1\n]"
