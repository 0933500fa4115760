"""A set of responses that a judge has ranked: a line of ``sets.jsonl``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, JsonValue


class RankedSet(BaseModel):
    """The prompt and its responses, what people and the judge say about them, and what that took.

    Responses are named by their index. ``chosen`` are right or best; ``ranks`` are the judge's places from 1, shared by equal
    scores, and None where no comparison was decided. ``games`` are all comparisons: first, second, and the result from 1 for the
    first to 0, None if undecided. ``score`` is what the set counts by itself under the benchmark's policy for failures (see
    ``gramr2.evaluation.benchmarks.Benchmark.credits``), None if it is left out.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    prompt: str | list[dict[str, JsonValue]]
    responses: tuple[str, ...]
    chosen: tuple[int, ...]
    category: str | None = None
    group: str | None = None
    ranks: tuple[int | None, ...]
    scores: tuple[float | None, ...]
    games: tuple[tuple[int, int, float | None], ...] = ()
    score: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def scored(self) -> bool:
        """Whether its score was written; the first versions wrote none."""
        return "score" in self.model_fields_set

    @property
    def tops(self) -> tuple[int, ...] | None:
        """The responses in first place; None if one of the responses has no place."""
        return None if None in self.ranks else tuple(i for i, rank in enumerate(self.ranks) if rank == 1)

    @property
    def state(self) -> str:
        """``right`` if the first place alone is a chosen response, ``tie`` if it is shared, ``undecided`` if there is none."""
        if self.tops is None:
            return "undecided"
        return "tie" if len(self.tops) > 1 else "right" if self.tops[0] in self.chosen else "wrong"


def numbered(places: tuple[int, ...]) -> str:
    """Responses as a reader counts them: “1, 3”."""
    return ", ".join(str(place + 1) for place in sorted(places))
