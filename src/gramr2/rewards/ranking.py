"""Ranking 2 to 64 responses to a prompt by comparing pairs of them; best-of-n is its first place."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gramr2.comparison import Comparison, ResponseSet
from gramr2.judging.judge import compare_with
from gramr2.judging.preference import PreferenceModel
from gramr2.judgment import Decision
from gramr2.randomness import derive_seed
from gramr2.rewards.aggregation import Aggregation, Match, Standing, cycles, standings
from gramr2.rewards.tournaments import Champion, Knockout, Pair, Play, RoundRobin, Tournament
from gramr2.rewards.tournaments.base import winner

PROBE = 8


@dataclass(frozen=True, slots=True)
class Ranked:
    """A response's place: ``rank`` counts from 1 and is shared by equal scores; None if no comparison was decided.

    The winner of a bracket has rank 1, also where another response has a higher score.
    """

    index: int
    rank: int | None
    score: float | None
    low: float | None
    high: float | None
    comparisons: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """A set in order, best first; what could not be ranked comes last. ``matches`` name responses by their index.

    ``coverage`` is the share of comparisons that the judge decided, ``cycles`` how many triples of responses beat each other
    in a circle, out of ``triples`` that could have. The tokens are those of all votes.
    """

    id: str
    places: tuple[Ranked, ...]
    matches: tuple[Match, ...]
    coverage: float
    cycles: int
    triples: int
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def best(self) -> int | None:
        """Index of the first place; None where nothing was decided."""
        return self.places[0].index if self.places[0].rank is not None else None


def result_of(decision: Decision) -> float | None:
    """The score of the first response: its probability to win plus half that of a tie; None without a decision, or if its
    probabilities are not numbers."""
    believed = decision.probabilities
    if decision.label is None or believed is None:
        return None
    score = believed.a + believed.tie / 2
    return score if math.isfinite(score) else None


def rank(
    judge: PreferenceModel,
    sets: Sequence[ResponseSet],
    scheme: Tournament | None = None,
    *,
    aggregation: Aggregation = Aggregation.BRADLEY_TERRY,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Ranking]:
    """Rank every set. In each step, the comparisons of all sets are judged together.

    Ties and beliefs count as fractions of a win. A comparison that the judge does not decide counts for neither response and
    lowers the coverage; if a scheme must advance one of the two, it is the first in an order drawn at random (seeded).
    Responses with the same text share a place and are compared once.

    Places follow the scores, except that the response that a knockout or a champion scheme leaves over is first: a score also
    counts by how much the others were beaten, and would put one that lost the final before the one that won it. If the last
    comparison was not decided, or was a tie, the scores alone decide.

    Args:
        judge: any preference model.
        sets: prompts with their responses.
        scheme: which pairs are compared; default: all.
        aggregation: how results become scores.
        seed: for random draws and the judge's votes.
        progress: called with (comparisons done, comparisons expected).
    """
    scheme = scheme or RoundRobin()
    tables = [_Table(each, scheme, seed) for each in sets]
    total, done = sum(table.expected for table in tables), 0
    while live := [table for table in tables if table.pairs]:
        comparisons = [table.comparison(pair) for table in live for pair in table.pairs]
        before = done

        def told(finished: int, _: int, before: int = before) -> None:
            if progress:
                progress(before + finished, total)

        decisions = iter(compare_with(judge, comparisons, seed=seed, progress=told))
        for table in live:
            table.take([next(decisions) for _ in table.pairs])
        done += len(comparisons)
    if progress:
        progress(total, total)
    return [table.ranking(aggregation, seed) for table in tables]


def ranking_row(each: ResponseSet, ranking: Ranking) -> dict[str, Any]:
    """A ranking as the row that ``gramr2 rank`` writes; places best first, ``matches`` as [first, second, result]."""
    return {
        "id": ranking.id,
        "best": ranking.best,
        "best_response": None if ranking.best is None else each.responses[ranking.best],
        "places": [
            {key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(place).items()}
            for place in ranking.places
        ],
        "coverage": round(ranking.coverage, 4),
        "cycles": ranking.cycles,
        "triples": ranking.triples,
        "matches": [
            [match.first, match.second, None if match.result is None else round(match.result, 4)]
            for match in ranking.matches
        ],
    }


def comparisons_of(sets: Sequence[ResponseSet], scheme: Tournament) -> int:
    """How many comparisons a ranking takes, or takes at most if a scheme may end early."""
    return sum(scheme.comparisons(distinct) for each in sets if (distinct := len(set(each.responses))) > 1)


def longest(responses: ResponseSet) -> Comparison:
    """The pair that takes the most room in a prompt."""
    a, b = sorted(responses.responses, key=len)[-2:]
    return Comparison(responses.id, responses.prompt, (a, b))


def seconds_per_comparison(judge: PreferenceModel, sets: Sequence[ResponseSet], seed: int) -> float:
    """Measured on a few comparisons that a ranking may need; a judge with a journal does not have to repeat them."""
    probes = [
        _Table(each, RoundRobin(), seed).comparison((0, 1)) for each in sets[:PROBE] if len(set(each.responses)) > 1
    ]
    start = time.perf_counter()
    compare_with(judge, probes, seed=seed)
    return (time.perf_counter() - start) / max(1, len(probes))


class _Table:
    """A scheme that is being played on one set, over its distinct texts."""

    def __init__(self, responses: ResponseSet, scheme: Tournament, seed: int) -> None:
        self.set, self.seed = responses, seed
        self.one_is_left = isinstance(scheme, Knockout | Champion)
        self.texts = list(dict.fromkeys(responses.responses))
        n = len(self.texts)
        self.expected = scheme.comparisons(n) if n > 1 else 0
        self.matches: list[Match] = []
        self.prompt_tokens = self.completion_tokens = 0
        self.play: Play = scheme.play(n, random.Random(derive_seed(seed, "rank", responses.id)))
        self.pairs: list[Pair] = next(self.play, []) if n > 1 else []

    def comparison(self, pair: Pair) -> Comparison:
        """The pair as it is judged; the same in every scheme, whichever response comes first in the scheme's pair."""
        a, b = self._shown(pair)
        texts = (self.texts[a], self.texts[b])
        return Comparison(f"{self.set.id}/{a}-{b}", self.set.prompt, texts, group=self.set.id)

    def _shown(self, pair: Pair) -> Pair:
        # At random (seeded): a judge that sees only one order would otherwise prefer the response that is listed first.
        low, high = sorted(pair)
        return (high, low) if derive_seed(self.seed, "side", self.set.id, low, high) % 2 else (low, high)

    def take(self, decisions: Sequence[Decision]) -> None:
        votes = [vote for decision in decisions for vote in decision.judgments]
        self.prompt_tokens += sum(vote.prompt_tokens for vote in votes)
        self.completion_tokens += sum(vote.completion_tokens for vote in votes)
        results: list[float | None] = []
        for pair, decision in zip(self.pairs, decisions, strict=True):
            result = result_of(decision)
            results.append(result if result is None or self._shown(pair) == pair else 1 - result)
            self.matches.append(Match(*pair, results[-1]))
        try:
            self.pairs = self.play.send(results)
        except StopIteration:
            self.pairs = []

    def _left_over(self) -> int | None:
        """The winner of a bracket's final, if there is a bracket and its final was decided."""
        final = self.matches[-1] if self.one_is_left and self.matches else None
        if final is None or final.result in (None, 0.5):
            return None
        return winner((final.first, final.second), final.result)

    def ranking(self, aggregation: Aggregation, seed: int) -> Ranking:
        n = len(self.texts)
        alone = n == 1  # nothing but copies: all share the first place, unscored
        found = standings(n, self.matches, aggregation, derive_seed(seed, "standings", self.set.id))
        won = self._left_over()
        played = [sum(i in (m.first, m.second) for m in self.matches) for i in range(n)]
        places = [
            Ranked(index, 1 if alone else _rank(found, i, won), found[i].score, found[i].low, found[i].high, played[i])
            for index, text in enumerate(self.set.responses)
            for i in [self.texts.index(text)]
        ]
        first = [self.set.responses.index(text) for text in self.texts]
        decided = sum(match.result is not None for match in self.matches)
        return Ranking(
            self.set.id,
            tuple(sorted(places, key=lambda place: (place.rank is None, place.rank or 0, place.index))),
            tuple(Match(first[match.first], first[match.second], match.result) for match in self.matches),
            decided / len(self.matches) if self.matches else 1.0,
            *cycles(n, self.matches),
            self.prompt_tokens,
            self.completion_tokens,
        )


def _rank(found: Sequence[Standing], i: int, won: int | None) -> int | None:
    own = found[i].score
    if own is None:
        return None
    if i == won:
        return 1
    return 1 + sum(j == won or (each.score is not None and each.score > own + 1e-9) for j, each in enumerate(found))
