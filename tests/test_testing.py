"""The public stand-ins do what their page shows."""

from __future__ import annotations

from pathlib import Path

from gramr2 import Comparison, Label, LabeledComparison, self_train
from gramr2.judging.judge import Judge, Sampling
from gramr2.testing import ScriptedBackend, ScriptedEngine, verdict_text


def test_a_scripted_backend_judges() -> None:
    backend = ScriptedBackend(lambda request, seed: verdict_text(Label.A))
    (decision,) = Judge(backend, sampling=Sampling(votes=2)).compare([Comparison.of("p", "a", "b")])
    assert decision.label is Label.TIE, "A in both orders is a position, not an opinion"
    assert decision.order_flip
    assert len(backend.requests) == 2


def test_a_scripted_engine_trains_nothing_and_says_what_it_was_given(tmp_path: Path) -> None:
    items = [LabeledComparison(Comparison.of(f"p{i}", "aaa", "b"), Label.A) for i in range(4)]
    gold = [LabeledComparison(Comparison.of(f"g{i}", "aaa", "b"), Label.A) for i in range(4)]
    engine = ScriptedEngine()
    settings = {"judge": {"mode": "label"}, "rounds": 0, "baselines": []}
    trained = self_train(settings, model="none", out=tmp_path / "r", engine=engine, labeled=items, gold=gold)
    assert trained.rounds[0].gold.accuracy == 1.0
    ((_, learnt),) = engine.trained
    assert {item.comparison.id for item in learnt} == {item.comparison.id for item in items}
