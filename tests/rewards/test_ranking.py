"""Rankings on the scripted backend: order, ties, failures, copies, and what is paid for."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from scipy.stats import kendalltau

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Comparison, Label, Message, ResponseSet
from gramr2.errors import DataError
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.scripted import scripted, verdict_text
from gramr2.judging.template import extract
from gramr2.judgment import Decision, FinishReason, LabelProbabilities
from gramr2.randomness import derive_seed
from gramr2.rewards.aggregation import Aggregation
from gramr2.rewards.ranking import Ranking, comparisons_of, rank
from gramr2.rewards.tournaments import TOURNAMENTS, Champion, Knockout, RoundRobin, tournament

ONCE = Sampling(votes=1, temperature=0)


def responses(n: int, name: str = "s", seed: int = 0) -> ResponseSet:
    """Responses of lengths 1 to n, shuffled."""
    lengths = random.Random(seed).sample(range(1, n + 1), n)
    return ResponseSet(name, (Message("user", "Say x."),), tuple("x" * length for length in lengths))


@pytest.mark.parametrize("name", list(TOURNAMENTS))
@pytest.mark.parametrize("how", list(Aggregation))
def test_a_consistent_judge_finds_the_best(name: str, how: Aggregation) -> None:
    if how is not Aggregation.BRADLEY_TERRY and name in ("champion", "knockout"):
        pytest.skip("a win rate does not know whom one has beaten")
    sets = [responses(n, f"s{n}", seed=n) for n in (2, 5, 9)]
    found = rank(
        Judge(scripted("longer"), sampling=ONCE),
        sets,
        tournament(name, 20 if name == "budget" else None),
        aggregation=how,
    )
    for each, ranking in zip(sets, found, strict=True):
        lengths = [len(text) for text in each.responses]
        if name != "swiss":
            assert lengths[ranking.best] == max(lengths)
        assert kendalltau([-p.rank for p in ranking.places], [lengths[p.index] for p in ranking.places]).statistic > 0.3
        assert (ranking.coverage, ranking.cycles) == (1.0, 0)
        assert sorted(place.index for place in ranking.places) == list(range(len(lengths)))


def test_all_pairs_put_a_consistent_judge_in_its_order() -> None:
    each = responses(12)
    (found,) = rank(Judge(scripted("longer"), sampling=ONCE), [each])
    assert [len(each.responses[place.index]) for place in found.places] == list(range(12, 0, -1))
    assert [place.rank for place in found.places] == list(range(1, 13))
    assert found.triples == 220


def test_a_judge_without_an_opinion_makes_everybody_equal() -> None:
    (found,) = rank(Judge(scripted("always-a"), sampling=ONCE), [responses(6)])
    assert {place.rank for place in found.places} == {1}
    assert found.triples == 0


def test_a_judge_that_sees_one_order_does_not_favour_who_is_listed_first() -> None:
    sets = [responses(2, f"s{i}") for i in range(200)]
    judge = Judge(scripted("always-a"), sampling=Sampling(votes=1, temperature=0, orders=Orders.FIRST))
    first = sum(ranking.best == 0 for ranking in rank(judge, sets))
    assert 70 < first < 130


class Believes:
    """A judge with a belief about each pair of texts."""

    id = "believes"

    def __init__(self, beliefs: dict[tuple[str, str], float | None]) -> None:
        self.beliefs = beliefs | {(b, a): p if p is None else 1 - p for (a, b), p in beliefs.items()}

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        return [self._decision(each) for each in comparisons]

    def _decision(self, each: Comparison) -> Decision:
        p = self.beliefs[each.responses[0], each.responses[1]]
        believed = None if p is None else LabelProbabilities(p, 1 - p, 0.0)
        label = None if p is None else Label.TIE if p == 0.5 else Label.A if p > 0.5 else Label.B
        return Decision(each.id, (), label, believed, p, None, None, 0.0 if p is None else 1.0)


def bracket(final: float | None, how: Aggregation = Aggregation.BRADLEY_TERRY) -> Ranking:
    """The winner of the one half has won narrowly, and that of the other by far."""
    each = ResponseSet("s", (Message("user", "Say x."),), ("a", "b", "c", "d"))
    lot = random.Random(derive_seed(0, "rank", "s")).sample(range(4), 4)
    a, b, c, d = (each.responses[i] for i in lot)
    (found,) = rank(Believes({(a, b): 0.6, (c, d): 0.95, (a, c): final}), [each], Knockout(), aggregation=how)
    places = [lot.index(place.index) for place in found.places]
    return replace(found, places=tuple(replace(p, index=i) for p, i in zip(found.places, places, strict=True)))


@pytest.mark.parametrize("how", list(Aggregation))
def test_the_winner_of_the_final_is_first(how: Aggregation) -> None:
    found = bracket(0.55, how)
    assert found.best == 0
    assert [place.rank for place in found.places] == [1, 2, 3, 4]
    assert found.places[0].score is not None and found.places[1].score is not None
    assert found.places[0].score < found.places[1].score, "by its scores the final's loser would be first"
    below = [place.score for place in found.places[1:] if place.score is not None]
    assert below == sorted(below, reverse=True)
    assert bracket(0.45, how).best == 2


@pytest.mark.parametrize("final", [None, 0.5])
def test_where_the_final_decides_nothing_scores_do(final: float | None) -> None:
    assert bracket(final).best == 2


def test_the_last_champion_is_first() -> None:
    each = ResponseSet("s", (Message("user", "Say x."),), ("a", "b", "c", "d"))
    lot = random.Random(derive_seed(0, "rank", "s")).sample(range(4), 4)
    champion, *others, last = (each.responses[i] for i in lot)
    beliefs: dict[tuple[str, str], float | None] = {(champion, other): 0.95 for other in others}
    (found,) = rank(Believes(beliefs | {(champion, last): 0.45}), [each], Champion())
    assert found.best == lot[-1]
    assert found.places[1].index == lot[0]


def test_failures_count_for_nobody() -> None:
    def script(request: GenerationRequest, seed: int) -> Completion | str:
        _, a, b = extract(request.messages)
        if "xxx" in (a, b):
            return Completion("no idea", FinishReason.STOP)
        return verdict_text(Label.A if len(a) > len(b) else Label.B)

    each = ResponseSet("s", (Message("user", "Say x."),), ("x", "xxx", "xx"))
    (found,) = rank(Judge(ScriptedBackend(script), sampling=ONCE), [each])
    assert [place.index for place in found.places] == [2, 0, 1]
    assert [place.rank for place in found.places] == [1, 2, None]
    assert found.coverage == pytest.approx(1 / 3)
    (nothing,) = rank(Judge(ScriptedBackend(lambda *_: "no idea"), sampling=ONCE), [each], Knockout())
    assert nothing.best is None


def test_copies_share_a_place_and_are_compared_once() -> None:
    each = ResponseSet("s", (Message("user", "Say x."),), ("x", "xx", "x", "xx"))
    backend = scripted("longer")
    found, alone = rank(Judge(backend, sampling=ONCE), [each, ResponseSet("t", each.prompt, ("x", "x"))])
    assert len(backend.requests) == 2  # one pair, both orders
    assert [(place.index, place.rank) for place in found.places] == [(1, 1), (3, 1), (0, 2), (2, 2)]
    assert [(match.first, match.second, match.result) for match in found.matches] == [(0, 1, 0.0)]
    assert [place.rank for place in alone.places] == [1, 1]
    assert comparisons_of([each], RoundRobin()) == 1


def test_a_ranking_does_not_depend_on_its_company() -> None:
    judge = Judge(scripted("random"), sampling=Sampling(votes=2))
    sets = [responses(6, f"s{i}") for i in range(3)]
    for name in TOURNAMENTS:
        chosen = tournament(name, 9 if name == "budget" else None)
        assert rank(judge, sets, chosen, seed=3)[2] == rank(judge, sets[2:], chosen, seed=3)[0]


def test_progress_ends_at_the_whole_and_never_goes_back() -> None:
    told: list[tuple[int, int]] = []
    rank(
        Judge(scripted("longer"), sampling=ONCE),
        [responses(5)],
        tournament("swiss"),
        progress=lambda *x: told.append(x),
    )
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] == 6


@pytest.mark.parametrize("n", [1, 65])
def test_too_few_and_too_many_responses_are_refused(n: int) -> None:
    with pytest.raises(DataError, match="takes 2 to 64"):
        responses(n)
