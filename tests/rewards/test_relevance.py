"""Chances at a bounded cost: all pairs of few texts, the most informative ones of many."""

from __future__ import annotations

import pytest

from gramr2.backends.scripted import ScriptedBackend
from gramr2.comparison import Message
from gramr2.judging.judge import Judge, Sampling
from gramr2.judging.scripted import scripted
from gramr2.rewards.groups import Group
from gramr2.rewards.relevance import bounded, comparisons_for, relevance
from gramr2.rewards.tournaments import Budget, RoundRobin

ONCE = Sampling(votes=1, temperature=0)


def group(n: int, prompt: str = "p") -> Group:
    return Group((Message("user", prompt),), tuple("x" * (i + 1) for i in range(n)))


@pytest.mark.parametrize(
    ("n", "kind", "cost"), [(2, RoundRobin, 1), (9, RoundRobin, 36), (10, Budget, 40), (64, Budget, 256)]
)
def test_the_cost_is_four_comparisons_a_text_at_most(n: int, kind: type, cost: int) -> None:
    assert isinstance(bounded(n), kind)
    assert comparisons_for([group(n)]) == cost
    backend = scripted("longer")
    (chances,) = relevance(Judge(backend, sampling=ONCE), [group(n)])
    assert len(backend.requests) == 2 * cost, "both orders of each"
    assert all(chance is not None and 0 <= chance <= 1 for chance in chances)
    assert chances.index(max(chances)) == n - 1


def test_a_long_list_is_almost_in_order() -> None:
    (chances,) = relevance(Judge(scripted("longer"), sampling=ONCE), [group(40)])
    order = sorted(range(40), key=lambda i: chances[i])
    assert sum(abs(place - i) for i, place in enumerate(order)) / 40 < 2


def test_groups_are_independent_of_one_another() -> None:
    judge = Judge(scripted("longer"), sampling=ONCE)
    sizes = (3, 12, 3, 20, 2)
    groups = [group(n, f"prompt {i}") for i, n in enumerate(sizes)]
    together = relevance(judge, groups)
    assert together == [relevance(judge, [each])[0] for each in groups]
    assert [len(each) for each in together] == [*sizes]


def test_copies_are_even_and_the_undecided_have_none() -> None:
    copies = Group((Message("user", "p"),), ("x", "x", "x"))
    assert relevance(Judge(scripted("longer"), sampling=ONCE), [copies]) == [[0.5] * 3]
    assert comparisons_for([copies]) == 0
    mute = Judge(ScriptedBackend(lambda *_: "no idea"), sampling=ONCE)
    assert relevance(mute, [group(3)]) == [[None] * 3]
