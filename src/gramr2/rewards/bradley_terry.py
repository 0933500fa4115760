"""Strengths from results: the Bradley-Terry model with a weak prior, on matrices of wins.

``wins[…, i, j]`` is what i scored against j, a tie being half a win each; shapes are (…, n, n), so that a bootstrap is one call.
"""

from __future__ import annotations

import numpy as np

PRIOR = 0.25
"""wins and losses added against an average response, which keep the strength of an undefeated response finite"""
STEPS = 50
TOLERANCE = 1e-8


def fit(wins: np.ndarray, prior: float = PRIOR) -> np.ndarray:
    """Log-strengths, shape (…, n), by Newton's method; P(i beats j) = 1 / (1 + exp(θⱼ − θᵢ)).

    The prior is ``prior`` wins and as many losses against a response of strength 0, so an unplayed response has strength 0.
    """
    games = wins + np.swapaxes(wins, -1, -2)
    strengths = np.zeros(wins.shape[:-1])
    for _ in range(STEPS):
        chances = _chances(strengths)
        gradient = wins.sum(-1) - (games * chances).sum(-1) + prior - 2 * prior * _chance(strengths)
        step = np.linalg.solve(_hessian(games, chances, strengths, prior), gradient[..., None])[..., 0]
        # A full Newton step may overshoot where results are one-sided; two units of log-odds at once are plenty.
        step *= np.minimum(1, 2 / np.maximum(np.abs(step).max(-1, keepdims=True), 1e-12))
        strengths = strengths + step
        if np.abs(step).max() < TOLERANCE:
            break
    return strengths


def information(wins: np.ndarray, strengths: np.ndarray, prior: float = PRIOR) -> np.ndarray:
    """Fisher information at these strengths, shape (…, n, n): its inverse is the Laplace covariance."""
    return _hessian(wins + np.swapaxes(wins, -1, -2), _chances(strengths), strengths, prior)


def _hessian(games: np.ndarray, chances: np.ndarray, strengths: np.ndarray, prior: float) -> np.ndarray:
    weight = games * chances * (1 - chances)
    own = _chance(strengths)
    diagonal = weight.sum(-1) + 2 * prior * own * (1 - own)
    hessian: np.ndarray = -weight
    i = np.arange(games.shape[-1])
    hessian[..., i, i] += diagonal
    return hessian


def _chances(strengths: np.ndarray) -> np.ndarray:
    return _chance(strengths[..., :, None] - strengths[..., None, :])


def _chance(difference: np.ndarray) -> np.ndarray:
    chance: np.ndarray = 1 / (1 + np.exp(-difference))
    return chance
