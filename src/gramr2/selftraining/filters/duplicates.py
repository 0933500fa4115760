"""Drops near-copies: of each other, of comparisons kept before, of the seed, and above all of gold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gramr2.comparison import Comparison
from gramr2.config.schedules import FixedShare
from gramr2.data import near_duplicates, similarity
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterConfig, FilterContext, Rejection

_OWN = "pool "


def text_of(comparison: Comparison) -> str:
    """The text that is compared: prompt and responses, with the responses sorted so that their order does not matter."""
    return "\n".join([comparison.prompt_text, *sorted(comparison.responses)])


class Duplicates(FilterConfig):
    """Keep the most confident of near-copies, and nothing close to the seed, gold, or earlier rounds: word 3-grams, Jaccard.
    Comparisons that only share a prompt and one response are no copies, except of gold."""

    kind: Literal["duplicates"] = "duplicates"
    max_similarity: FixedShare = 0.6
    """maximum overlap of word 3-grams (Jaccard) of prompt and responses"""

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        limit = context.limit("duplicates.max_similarity", self.max_similarity, at_least=False)
        # Keys get a prefix: a comparison may have the id “gold 7”, which is also the key of a gold comparison.
        own = {f"{_OWN}{c.comparison.id}": c.comparison for c in candidates}
        rank = {f"{_OWN}{c.comparison.id}": (-(c.confidence or 0.0), c.comparison.id) for c in candidates}
        learnt = context.learnt | own
        texts = {name: text_of(each) for name, each in own.items()}
        before = {name: text_of(each) for name, each in context.learnt.items()}
        twins: dict[str, list[tuple[str, float]]] = {}
        for first, second, overlap in near_duplicates({**context.known, **before, **texts}, texts, threshold=limit):
            if first == second or overlap <= limit:
                continue
            if first in context.known or same_responses(learnt[first], own[second], limit):
                twins.setdefault(second, []).append((first, overlap))
        gone: dict[str, Rejection] = {}
        for name in sorted(texts, key=lambda name: rank[name]):
            for other, overlap in twins.get(name, ()):
                if other not in texts or (rank[other] < rank[name] and other not in gone):
                    reason = f"nearly the same as {other.removeprefix(_OWN)}"
                    gone.setdefault(name, Rejection(self.name, reason, round(overlap, 4), limit))
        return [gone.get(f"{_OWN}{c.comparison.id}", c) for c in candidates]


def same_responses(one: Comparison, other: Comparison, limit: float) -> bool:
    """Whether each response of the one is close to a different one of the other."""
    (a, b), (c, d) = one.responses, other.responses
    return any(similarity(a, x) > limit and similarity(b, y) > limit for x, y in ((c, d), (d, c)))
