"""Win rates of a policy against a baseline, as a judge sees them, and the same with length taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gramr2.comparison import Label, Message
from gramr2.evaluation.benchmarks.base import Benchmark
from gramr2.evaluation.benchmarks.columns import Place, Row
from gramr2.evaluation.benchmarks.failures import OnFailure, mean
from gramr2.evaluation.benchmarks.items import Item, Pair, Verdict, placed
from gramr2.messages import BadRowError

REGULARISATION = 100.0
"""C of the logistic regression: weak, so that a policy that always wins has a finite coefficient"""


class WinRates(Benchmark):
    """A benchmark of a policy, which gramr2's own form has no place for."""

    def own(self, row: Row, place: Place) -> list[Item]:
        raise BadRowError("gramr2's own form does not say which response is the policy's: give the published layout")


def against(
    seed: int, name: str, prompt: tuple[Message, ...], candidate: str, baseline: str, category: str, **facts: Any
) -> Item:
    """A pair of a policy's response and the baseline's; nobody knows which is better, so it has no label."""
    pair = placed(seed, name, prompt, candidate, baseline, category=category)
    longer = len(candidate) - len(baseline)
    return replace(pair, label=None, facts={**facts, "candidate": pair.label, "longer": longer})


def win(item: Pair, verdict: Verdict, policy: OnFailure, *, probabilities: bool) -> float | None:
    """1 if the policy wins, 0.5 on a tie, 0 if it loses, averaged over the orders; or the judge's probability, if it gives one.

    A failed order is left out or, under ``half``, a tie. None if nothing is left.
    """
    first = item.facts["candidate"] is Label.A
    if probabilities and verdict.win is not None:
        return verdict.win if first else 1 - verdict.win
    worth = {Label.A: 1.0, Label.B: 0.0, Label.TIE: 0.5}
    failed = 0.5 if policy is OnFailure.HALF else None
    of_a = mean([failed if said is None else worth[said] for said in verdict.orders])
    return of_a if first or of_a is None else 1 - of_a


def length_controlled(wins: Sequence[float], longer: Sequence[int]) -> float | None:
    """The win rate if both responses were equally long (after Dubois et al. 2024, arXiv 2404.04475, section 3).

    Fits P(win) = σ(θ + φ·tanh(Δ/s)), with Δ the difference in characters and s its standard deviation, and returns σ(θ).
    Simpler than AlpacaEval 2, whose ``length_controlled_v1`` also has a difficulty of each instruction and is drawn towards
    versions of the baseline that were told to be brief or verbose: this is its ``length_controlled_minimal``, with a fixed L2
    penalty instead of an L1 penalty by cross-validation.
    """
    if not wins:
        return None
    gaps = np.array(longer, dtype=float)
    spread = float(np.std(gaps, ddof=1)) if len(gaps) > 1 else 0.0
    if not spread:
        return mean(wins)
    from sklearn.linear_model import LogisticRegression

    n = len(wins)
    features = np.column_stack([np.ones(n), np.tanh(gaps / spread)])
    won = np.array(wins, dtype=float)
    # A win of 0.7 is 0.7 of a won and 0.3 of a lost comparison.
    model = LogisticRegression(C=REGULARISATION, fit_intercept=False)
    model.fit(np.vstack([features, features]), np.repeat([1, 0], n), sample_weight=np.concatenate([won, 1 - won]))
    return float(1 / (1 + np.exp(-model.coef_[0][0])))
