"""Drops near-copies: of each other, of comparisons kept before, of the seed, and above all of gold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gramr2.comparison import Comparison
from gramr2.config.schedules import FixedShare
from gramr2.data import near_duplicates
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterConfig, FilterContext, Rejection

_OWN = "pool "


def text_of(comparison: Comparison) -> str:
    """The text that is compared: prompt and responses, with the responses sorted so that their order does not matter."""
    return "\n".join([comparison.prompt_text, *sorted(comparison.responses)])


class Duplicates(FilterConfig):
    """Keep the most confident of near-copies, and nothing close to the seed, gold, or earlier rounds: word 3-grams, Jaccard."""

    kind: Literal["duplicates"] = "duplicates"
    max_similarity: FixedShare = 0.6
    """maximum overlap of word 3-grams (Jaccard) of prompt and responses"""

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        limit = context.limit("duplicates.max_similarity", self.max_similarity, at_least=False)
        # Keys get a prefix: a comparison may have the id “gold 7”, which is also the key of a gold comparison.
        texts = {f"{_OWN}{c.comparison.id}": text_of(c.comparison) for c in candidates}
        rank = {f"{_OWN}{c.comparison.id}": (-(c.confidence or 0.0), c.comparison.id) for c in candidates}
        twins: dict[str, list[tuple[str, float]]] = {}
        for first, second, similarity in near_duplicates({**context.known, **texts}, texts, threshold=limit):
            if first != second and similarity > limit:
                twins.setdefault(second, []).append((first, similarity))
        gone: dict[str, Rejection] = {}
        for name in sorted(texts, key=lambda name: rank[name]):
            for other, similarity in twins.get(name, ()):
                stands = (
                    other in context.known if other not in texts else rank[other] < rank[name] and other not in gone
                )
                if stands:
                    reason = f"nearly the same as {other.removeprefix(_OWN)}"
                    gone.setdefault(name, Rejection(self.name, reason, round(similarity, 4), limit))
        return [gone.get(f"{_OWN}{c.comparison.id}", c) for c in candidates]
