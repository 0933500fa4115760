"""A temperature is found where there is one, and none is claimed from too few items."""

from __future__ import annotations

import random

import pytest

from gramr2.comparison import Label
from gramr2.evaluation.calibration import MIN_ITEMS, fit_temperature, scaled
from gramr2.judgment import LabelProbabilities


def sample(n: int, temperature: float, seed: int = 0) -> tuple[list[LabelProbabilities], list[Label]]:
    """Labels drawn from beliefs, and the beliefs made overconfident by ``temperature``."""
    rng = random.Random(seed)
    beliefs: list[LabelProbabilities] = []
    labels: list[Label] = []
    for _ in range(n):
        weights = [rng.random() ** 2 + 0.01 for _ in range(3)]
        honest = LabelProbabilities(*(w / sum(weights) for w in weights))
        labels.append(rng.choices(list(Label), [honest[label] for label in Label])[0])
        beliefs.append(scaled(honest, 1 / temperature))
    return beliefs, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_is_recovered(temperature: float) -> None:
    found = fit_temperature(*sample(3000, temperature))
    assert found is not None
    assert found.temperature == pytest.approx(temperature, rel=0.1)
    assert found.nll_after <= found.nll_before + 1e-9
    assert found.n == 3000


def test_too_few_items_say_nothing() -> None:
    assert fit_temperature(*sample(MIN_ITEMS - 1, 2.0)) is None
    assert fit_temperature(*sample(MIN_ITEMS, 2.0)) is not None


def test_hopeless_beliefs_end_at_the_bound() -> None:
    found = fit_temperature([LabelProbabilities(1, 0, 0)] * 20, [Label.B] * 20)
    assert found is not None
    assert found.temperature == pytest.approx(4.0, abs=0.01)


def test_scaling_keeps_the_order_and_the_sum() -> None:
    flat = scaled(LabelProbabilities(0.7, 0.3, 0.0), 2.0)
    assert flat.a > flat.b > flat.tie > 0
    assert flat.a + flat.b + flat.tie == pytest.approx(1)
    assert flat.a < 0.7
