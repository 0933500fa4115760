"""The scalar baseline: what it learns, and when two rewards tie."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from conftest import make
from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.errors import DataError
from gramr2.training.bradley_terry import RewardModel, train_reward_model


def _pairs(count: int, seed: int) -> list[LabeledComparison]:
    """The response that says «yes» is better; everything else is noise."""
    rng = random.Random(seed)
    items = []
    for i in range(count):
        words = [f"{word} {rng.randrange(100)}" for word in ("yes", "no")]
        label = rng.choice((Label.A, Label.B))
        a, b = words if label is Label.A else reversed(words)
        items.append(LabeledComparison(make(f"p{seed}-{i}", a, b), label))
    return items


@pytest.fixture(scope="module", params=["full", "lora"])
def trained(request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> RewardModel:
    ties = [LabeledComparison(make("tie", "yes 1", "yes 2"), Label.TIE)]
    config = TrainingConfig(method=request.param, epochs=6, min_steps=0, learning_rate=3e-3, batch_size=8)
    scratch = tmp_path_factory.mktemp("scratch")
    return train_reward_model(tiny_model, scratch, _pairs(64, 0) + ties, config, ModelConfig(name="x"), seed=1)


@pytest.mark.slow
def test_it_learns_what_makes_a_response_better(trained: RewardModel) -> None:
    test = _pairs(40, 1)
    decisions = trained.compare([item.comparison for item in test])
    assert sum(d.label == item.label for d, item in zip(decisions, test, strict=True)) >= 36
    assert all(d.coverage == 1.0 and d.order_flip is False and d.judgments == () for d in decisions)
    assert all(d.agreement is None and d.confidence == max(d.probabilities.a, d.probabilities.b) for d in decisions)


@pytest.mark.slow
def test_the_order_of_the_responses_changes_nothing_but_the_sign(trained: RewardModel) -> None:
    comparisons = [item.comparison for item in _pairs(10, 2)]
    swapped: list[Comparison] = [each.swap() for each in comparisons]
    for one, other in zip(trained.differences(comparisons), trained.differences(swapped), strict=True):
        assert one == pytest.approx(-other, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_as_many_tie_as_the_margin_was_set_for(trained: RewardModel, share: float) -> None:
    pool = [item.comparison for item in _pairs(40, 3)]
    trained.tie_share(pool, share)
    assert sum(d.label is Label.TIE for d in trained.compare(pool)) == round(share * 40)


def test_ties_alone_teach_it_nothing(tiny_model: Path, tmp_path: Path) -> None:
    ties = [LabeledComparison(make(), Label.TIE)]
    with pytest.raises(DataError, match="all ties"):
        train_reward_model(tiny_model, tmp_path, ties, TrainingConfig(), ModelConfig(name="x"), seed=1)
