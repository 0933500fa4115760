"""Temperature scaling of a judge's confidence on held-out labels (Guo et al. 2017), applied to averaged decisions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.optimize import minimize_scalar

from gramr2.comparison import Label
from gramr2.judgment import FLOOR, LabelProbabilities

MIN_ITEMS = 16
"""fewer decided comparisons than this say nothing reliable about a temperature"""
_BOUNDS = (0.25, 4.0)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A temperature and what it did to the mean negative log-likelihood (nats) of the labels it was fitted on."""

    temperature: float
    n: int
    nll_before: float
    nll_after: float

    def applied_to(self, probabilities: LabelProbabilities, ties: bool = True) -> LabelProbabilities:
        """p^(1/T), normalised; without ``ties`` over A and B alone."""
        return scaled(probabilities, self.temperature, ties)


def scaled(probabilities: LabelProbabilities, temperature: float, ties: bool = True) -> LabelProbabilities:
    """A distribution at another temperature: above 1 it is flatter. The order of the labels stays the same."""
    logits = [math.log(max(probabilities[label], FLOOR)) / temperature for label in Label]
    top = max(logits)
    weights = [math.exp(value - top) for value in logits]
    found = LabelProbabilities(*(weight / sum(weights) for weight in weights))
    # The floor would give a tie some probability where a tie is not a verdict.
    return found if ties else found.without_tie()


def fit_temperature(
    beliefs: Sequence[LabelProbabilities], labels: Sequence[Label], ties: bool = True
) -> Calibration | None:
    """The temperature in [1/4, 4] that minimises the negative log-likelihood; None with fewer than 16 items.

    Args:
        beliefs: averaged probabilities of decisions.
        labels: people's labels of the same comparisons.
        ties: whether a tie is a verdict.
    """
    if len(beliefs) < MIN_ITEMS:
        return None

    def loss(log_temperature: float) -> float:
        temperature = math.exp(log_temperature)
        losses = [
            -math.log(max(scaled(belief, temperature, ties)[label], FLOOR))
            for belief, label in zip(beliefs, labels, strict=True)
        ]
        return sum(losses) / len(losses)

    bounds = (math.log(_BOUNDS[0]), math.log(_BOUNDS[1]))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    temperature = round(math.exp(float(found.x)), 3)
    return Calibration(temperature, len(beliefs), loss(0.0), loss(math.log(temperature)))
