"""What is kept of a prompt's labels has no circle, and no more is dropped than that needs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import vote
from gramr2.comparison import Comparison, Label, Message, Order
from gramr2.judging.voting import decide
from gramr2.judgment import Outcome
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext
from gramr2.selftraining.filters.stack import apply_filters, build
from gramr2.selftraining.filters.transitivity import Transitivity


def candidate(
    name: str, pair: str, confidence: float | None = 0.9, prompt: str = "p", group: str | None = None
) -> Candidate:
    """«x>y», «x<y» or «x=y»: the responses, and the label between them."""
    label = {">": Label.A, "<": Label.B, "=": Label.TIE}[pair[1]]
    comparison = Comparison(name, (Message("user", prompt),), (pair[0], pair[2]), group=group)
    return Candidate(comparison, decide(name, [vote(Outcome.of(label), order) for order in Order]), confidence)


def chain(*pairs: str) -> list[Candidate]:
    """Candidates «1», «2» …, each less sure than the one before it."""
    return [candidate(str(i), pair, round(1 - i / 100, 2)) for i, pair in enumerate(pairs, start=1)]


def dropped(items: Sequence[Candidate], ties: bool = True) -> dict[str, str]:
    """Reasons by id."""
    kept, gone = apply_filters(build([Transitivity(ties=ties)]), items, FilterContext())
    assert len(kept) + len(gone) == len(items)
    assert {o.filter for _, o in gone} <= {"transitivity"}
    return {c.comparison.id: o.reason for c, o in gone}


@pytest.mark.parametrize(
    ("pairs", "with_ties", "without_ties"),
    [
        (["x>y", "y>z", "x>z"], [], []),
        (["x>y", "y>z", "z>x"], ["3"], ["3"]),
        (["x>y", "z<y", "x<z"], ["3"], ["3"]),
        (["x>y", "y>x"], ["2"], ["2"]),
        (["x>y", "x<y"], ["2"], ["2"]),
        (["x>y", "y<x"], [], []),
        (["x=y", "y>z", "z>x"], ["3"], []),
        (["x=y", "y>z", "x>z"], [], []),
        (["x=y", "y=z", "x>z"], ["3"], []),
        (["x=y", "y=z", "z<x"], ["3"], []),
        (["x=y", "y=z", "z=x"], [], []),
        (["x>y", "y>z", "x=z"], ["3"], []),
        (["x>y", "y>z", "z=x"], ["3"], []),
        (["x>y", "x=y"], ["2"], []),
        (["x>y", "y>z", "z>x", "z>w", "w>x"], ["3", "5"], ["3", "5"]),
        (["x>x", "x<x", "x=x", "x>y"], [], []),
        (["x>y"], [], []),
    ],
)
def test_the_least_sure_of_a_circle_goes(pairs: list[str], with_ties: list[str], without_ties: list[str]) -> None:
    assert sorted(dropped(chain(*pairs))) == with_ties
    assert sorted(dropped(chain(*pairs), ties=False)) == without_ties


@pytest.mark.parametrize("weakest", range(3))
def test_wherever_it_stands(weakest: int) -> None:
    items = [candidate(str(i), pair, 0.6 if i == weakest else 0.9) for i, pair in enumerate(["x>y", "y>z", "z>x"])]
    others = " ".join(sorted({"0", "1", "2"} - {str(weakest)}))
    [(name, reason)] = dropped(items).items()
    assert name == str(weakest)
    assert (
        " ".join(sorted(reason.removeprefix("its label is the least confident of a cycle with ").split(", "))) == others
    )


@pytest.mark.parametrize("confidence", [0.9, None])
def test_between_equals_the_first_id_goes(confidence: float | None) -> None:
    items = [candidate(name, pair, confidence) for name, pair in (("b", "x>y"), ("a", "y>z"), ("c", "z>x"))]
    [(_, found)] = apply_filters(build([Transitivity()]), items, FilterContext())[1]
    assert sorted(dropped(items)) == ["a"]
    assert (found.value, found.threshold) == (confidence, None)


def test_the_objection_names_three_of_a_long_circle() -> None:
    around = dropped(chain("a>b", "b>c", "c>d", "d>e", "e>a"))
    assert around == {"5": "its label is the least confident of a cycle with 1, 2, 3 and 1 more"}
    assert dropped(chain("a>b", "b>c", "c>d", "d>a")) == {
        "4": "its label is the least confident of a cycle with 1, 2, 3"
    }
    assert dropped(chain("a=b", "c>b", "a>c")) == {"3": "its label is the least confident of a cycle with 2, 1"}


def test_circles_are_sought_within_a_prompt() -> None:
    apart = [candidate("1", "x>y", prompt="p"), candidate("2", "y>x", prompt="q")]
    assert dropped(apart) == {}
    grouped = [candidate("1", "x>y", 0.9, "p", "g"), candidate("2", "y>x", 0.8, "q", "g")]
    assert list(dropped(grouped)) == ["2"]
    assert dropped([candidate("1", "x>y", group="g"), candidate("2", "y>x", group="h")]) == {}
    # A group that is called like another comparison's prompt is not that prompt.
    assert dropped([candidate("1", "x>y", prompt="p"), candidate("2", "y>x", prompt="q", group="p")]) == {}


def has_circle(items: Sequence[Candidate], ties: bool) -> bool:
    """By another way than the filter's: responses that tie become one, and what is left is sorted topologically."""
    pairs = [(*c.comparison.responses, c.decision.label) for c in items]
    pairs = [pair for pair in pairs if pair[0] != pair[1]]
    same = {text: text for first, second, _ in pairs for text in (first, second)}
    for first, second, label in pairs:
        if label is Label.TIE and ties:
            old, new = same[first], same[second]
            same = {text: new if root == old else root for text, root in same.items()}
    below: dict[str, set[str]] = {root: set() for root in same.values()}
    for first, second, label in pairs:
        if label is not Label.TIE:
            better, worse = (first, second) if label is Label.A else (second, first)
            if same[better] == same[worse]:
                return True
            below[same[better]].add(same[worse])
    try:
        TopologicalSorter(below).prepare()
    except CycleError:
        return True
    return False


PAIRS = st.builds("".join, st.tuples(st.sampled_from("vwxyz"), st.sampled_from("<>="), st.sampled_from("vwxyz")))
LABELS = st.lists(st.tuples(PAIRS, st.sampled_from([None, 0.5, 0.7, 0.9])), max_size=14)


@given(labels=LABELS, ties=st.booleans(), shuffle=st.randoms(use_true_random=False))
def test_whatever_the_labels_what_is_kept_has_no_circle_and_is_the_most_there_can_be(
    labels: list[tuple[str, float | None]], ties: bool, shuffle: random.Random
) -> None:
    items = [candidate(f"n{i}", pair, confidence) for i, (pair, confidence) in enumerate(labels)]
    gone = dropped(items, ties)
    kept = [c for c in items if c.comparison.id not in gone]
    assert not has_circle(kept, ties)
    if not has_circle(items, ties):
        assert gone == {}
    for each in items:
        if each.comparison.id in gone:
            rank = (each.confidence or 0.0, each.comparison.id)
            surer = [c for c in kept if (c.confidence or 0.0, c.comparison.id) > rank]
            assert has_circle([*surer, each], ties)
            named = gone[each.comparison.id].partition(" with ")[2].partition(" and ")[0].split(", ")
            assert set(named) <= {c.comparison.id for c in surer}
    again = list(items)
    shuffle.shuffle(again)
    assert dropped(again, ties) == gone


@given(pairs=st.lists(st.tuples(*[st.sampled_from("vwxyz")] * 2), max_size=20), worth=st.permutations([0, 1, 1, 2, 3]))
def test_labels_that_follow_an_order_lose_nothing(pairs: list[tuple[str, str]], worth: list[int]) -> None:
    value = dict(zip("vwxyz", worth, strict=True))

    def sign(first: str, second: str) -> str:
        return "=" if value[first] == value[second] else ">" if value[first] > value[second] else "<"

    items = [candidate(f"n{i}", a + sign(a, b) + b, i / 20) for i, (a, b) in enumerate(pairs)]
    assert dropped(items) == dropped(items, ties=False) == {}


def test_all_pairs_of_as_many_responses_as_a_ranking_takes() -> None:
    texts = [chr(0x4E00 + i) for i in range(64)]
    rng = random.Random(0)
    pairs = [a + rng.choice("<>=") + b for i, a in enumerate(texts) for b in texts[:i]]
    items = [candidate(f"n{i}", pair, rng.random()) for i, pair in enumerate(pairs)]
    gone = dropped(items)
    assert not has_circle([c for c in items if c.comparison.id not in gone], ties=True)
