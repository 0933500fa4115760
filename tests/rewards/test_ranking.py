"""Rankings on the scripted backend: order, ties, failures, copies, and what is paid for."""

from __future__ import annotations

import random

import pytest
from scipy.stats import kendalltau

from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Label, Message, ResponseSet
from gramr2.errors import DataError
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.scripted import scripted, verdict_text
from gramr2.judging.template import extract
from gramr2.judgment import FinishReason
from gramr2.rewards.aggregation import Aggregation
from gramr2.rewards.ranking import comparisons_of, rank
from gramr2.rewards.tournaments import TOURNAMENTS, Knockout, RoundRobin, tournament

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
