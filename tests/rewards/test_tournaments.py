"""Schemes: how many comparisons, none twice, and what the winner of a consistent judge must be."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.errors import ConfigError
from gramr2.rewards.tournaments import TOURNAMENTS, Budget, Knockout, Pair, Swiss, Tournament, tournament

ALL = [tournament(name, 24 if name == "budget" else None) for name in TOURNAMENTS]


def played(chosen: Tournament, n: int, results, seed: int = 1) -> list[Pair]:
    """All pairs of a scheme whose matches end as ``results(pair)`` says."""
    play, pairs = chosen.play(n, random.Random(seed)), []
    batch = next(play)
    while batch:
        pairs += batch
        try:
            batch = play.send([results(pair) for pair in batch])
        except StopIteration:
            break
    return pairs


def higher_wins(pair: Pair) -> float:
    return 1.0 if pair[0] > pair[1] else 0.0


@pytest.mark.parametrize("chosen", ALL, ids=lambda each: each.name)
@given(n=st.integers(2, 64), seed=st.integers(0, 9), luck=st.randoms(use_true_random=False))
def test_a_scheme_keeps_its_word_whatever_the_results(
    chosen: Tournament, n: int, seed: int, luck: random.Random
) -> None:
    pairs = played(chosen, n, lambda pair: luck.choice([0.0, 0.3, 0.5, 1.0, None]), seed)
    assert all(0 <= a < n and 0 <= b < n and a != b for a, b in pairs)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    exact = not isinstance(chosen, Swiss)
    assert len(pairs) == chosen.comparisons(n) if exact else len(pairs) <= chosen.comparisons(n)


@pytest.mark.parametrize("n", [2, 3, 7, 16, 64])
@pytest.mark.parametrize("name", ["knockout", "champion"])
def test_the_best_response_meets_all_that_could_beat_it_or_their_conquerors(name: str, n: int) -> None:
    last = played(tournament(name), n, higher_wins)[-1]
    won = [pair[higher_wins(pair) < 0.5] for pair in played(tournament(name), n, higher_wins)]
    assert n - 1 in last or name == "champion"
    assert won[-1] == n - 1


def test_a_tie_and_no_decision_send_the_first_of_the_pair_on() -> None:
    for result in (0.5, None):
        pairs = played(Knockout(), 4, lambda _, result=result: result)
        assert pairs[2] == (pairs[0][0], pairs[1][0])


def test_swiss_rests_nobody_twice_before_everybody_has() -> None:
    pairs = played(Swiss(), 5, higher_wins)
    games = [sum(i in pair for pair in pairs) for i in range(5)]
    assert sorted(games) == [2, 2, 2, 3, 3]


def test_a_budget_connects_all_responses_first_and_then_asks_where_it_is_unsure() -> None:
    n = 8
    lap = played(Budget(n), n, higher_wins)
    assert [sum(i in pair for pair in lap) for i in range(n)] == [2] * n
    more = played(Budget(20), n, higher_wins)[n:]
    # A consistent judge: the far ends are known to be far apart, so neighbours are asked for.
    assert sum(abs(a - b) for a, b in more) / len(more) < sum(abs(a - b) for a in range(n) for b in range(n)) / (
        n * (n - 1)
    )


def test_a_budget_stays_within_all_pairs_and_is_at_least_one() -> None:
    assert Budget(1000).comparisons(5) == len(played(Budget(1000), 5, higher_wins)) == 10
    with pytest.raises(ConfigError, match="at least 1"):
        Budget(0)


def test_names_and_budgets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="budget, champion, knockout, round-robin, swiss"):
        tournament("league")
    with pytest.raises(ConfigError, match="give --budget N"):
        tournament("budget")
    with pytest.raises(ConfigError, match="leave --budget out"):
        tournament("swiss", 9)
