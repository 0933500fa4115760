"""Preference data from ranked samples: the best and the worst of n, in the columns that TRL's DPO and reward trainers read."""

from __future__ import annotations

from typing import Any

from gramr2.comparison import ResponseSet
from gramr2.rewards.ranking import Ranking


def preference_row(responses: ResponseSet, ranking: Ranking, least: float = 0.0) -> dict[str, Any] | None:
    """A row of ``prompt``, ``chosen``, ``rejected`` (chat messages) with both scores; None if nothing is preferred.

    Args:
        responses: what was ranked.
        ranking: the ranking of these responses.
        least: smallest difference between the two scores that counts as a preference; equal scores never do.
    """
    known = [place for place in ranking.places if place.score is not None]
    if len(known) < 2:
        return None
    best, worst = known[0], known[-1]
    difference = (best.score or 0.0) - (worst.score or 0.0)
    if difference <= 0 or difference < least:
        return None
    return {
        "id": responses.id,
        "prompt": [{"role": turn.role, "content": turn.content} for turn in responses.prompt],
        "chosen": [{"role": "assistant", "content": responses.responses[best.index]}],
        "rejected": [{"role": "assistant", "content": responses.responses[worst.index]}],
        "score_chosen": best.score,
        "score_rejected": worst.score,
    }
