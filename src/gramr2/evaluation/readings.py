"""Which reading of a verdict to trust: weights fitted on labels, or, without labels, how far the two orders agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from gramr2.comparison import Label, Order
from gramr2.judging.voting import average, belief, top_label, weighted
from gramr2.judgment import FLOOR, Decision, LabelProbabilities, Reading, ReadingWeights

_MOST = 4.0
"""largest weight of a reading: a fit on a handful of comparisons may become arbitrarily certain"""
_RIDGE = 0.02
"""pull of both weights towards ½, per comparison in nats: without it separable comparisons have no best weight"""


@dataclass(frozen=True, slots=True)
class Fit:
    """Weights, and their mean negative log-likelihood in nats and accuracy on the comparisons that they were fitted on."""

    weights: ReadingWeights
    loss: float
    accuracy: float
    n: int


Readings = Mapping[Reading, LabelProbabilities]


def fit_weights(
    readings: Sequence[Readings], labels: Sequence[Label], use: Sequence[Reading], ties: bool = True
) -> Fit:
    """Weights of the readings in ``use`` (others 0) by maximum likelihood, in [0, 4], with a weak pull towards ½.

    Args:
        readings: what each reading says about a comparison, both orders combined; one that abstained is absent.
        labels: people's labels.
        ties: whether a tie is a possible verdict.
    """
    pairs = list(zip(readings, labels, strict=True))

    def weights_of(values: Sequence[float]) -> ReadingWeights:
        by_reading = dict(zip(use, (float(v) for v in values), strict=True))
        return ReadingWeights(by_reading.get(Reading.DIRECT, 0.0), by_reading.get(Reading.REASONED, 0.0), ties)

    def likelihood(values: Sequence[float]) -> float:
        weights = weights_of(values)
        return sum(-math.log(max(combined(found, weights)[label], FLOOR)) for found, label in pairs) / len(pairs)

    def objective(values: np.ndarray) -> float:
        return likelihood(values.tolist()) + _RIDGE * float(((values - 0.5) ** 2).sum())

    found = minimize(objective, np.full(len(use), 0.5), bounds=[(0.0, _MOST)] * len(use), method="Nelder-Mead")
    weights = weights_of([round(float(v), 3) for v in found.x])
    right = sum(top_label(combined(each, weights)) is label for each, label in pairs)
    return Fit(weights, likelihood([weights[r] for r in use]), right / len(pairs), len(pairs))


def combined(readings: Readings, weights: ReadingWeights) -> LabelProbabilities:
    """What the readings say together; if none of them counts, a uniform distribution over the possible labels."""
    found = [(probabilities, weights[reading]) for reading, probabilities in readings.items() if weights[reading] > 0]
    together = weighted(found) if found else LabelProbabilities(1 / 3, 1 / 3, 1 / 3)
    return together if weights.ties else together.without_tie()


def order_agreement(decisions: Sequence[Decision], reading: Reading, ties: bool = True) -> float | None:
    """Cohen's κ of the labels of the two orders, each decided separately: agreement beyond what their label shares give by
    chance.

    A judge that follows the position has a negative κ; one that always says tie has no agreement beyond chance (0). A
    comparison on which an order abstains counts as a disagreement. None if nothing was read.
    """
    pairs: list[tuple[Label | None, Label | None]] = []
    for decision in decisions:
        votes = [vote for vote in decision.judgments if vote.reading is reading]
        sides = [[b for vote in votes if vote.order is order and (b := belief(vote))] for order in Order]
        beliefs = [average(side) if side else None for side in sides]
        first, second = (None if b is None else top_label(b if ties else b.without_tie()) for b in beliefs)
        pairs.append((first, second))
    if not any(first and second for first, second in pairs):
        return None
    n = len(pairs)
    agreed = sum(first is second and first is not None for first, second in pairs) / n
    firsts, seconds = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    chance = sum(firsts[label] * seconds[label] for label in Label) / n**2
    return 0.0 if chance >= 1 else (agreed - chance) / (1 - chance)
