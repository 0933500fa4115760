"""What balance drops and exchanges: the least confident go, no more than must, and the rest of an example goes along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import make, vote
from gramr2.comparison import Label, LabeledComparison, Order
from gramr2.judging.voting import decide
from gramr2.judgment import Outcome
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.balance import Balance
from gramr2.selftraining.filters.base import FilterContext, Rejection

FIXED = "B is worse than A is, as B fails."
"""a rationale that cannot be exchanged by rule"""


def candidate(name: str, label: Label, confidence: float | None = 0.9, rationale: str | None = None) -> Candidate:
    decided = decide(name, [vote(Outcome.of(label), order) for order in Order])
    return Candidate(make(name), decided, confidence, LabeledComparison(make(name), label, rationale))


def spelled(text: str, confidences: Sequence[float | None] = (), fixed: str = "") -> list[Candidate]:
    """One candidate a letter, T for ties, in descending confidence unless told otherwise; those of ``fixed`` stay as they are."""
    return [
        candidate(
            f"n{i:02}",
            Label.TIE if letter == "T" else Label(letter),
            confidences[i] if confidences else 0.99 - i / 100,
            FIXED if letter in fixed else None,
        )
        for i, letter in enumerate(text)
    ]


def review(
    items: Sequence[Candidate], max_ties: Any = 0.34, **context: Any
) -> tuple[list[Candidate | Rejection], FilterContext]:
    stage = FilterContext(**context)
    found = Balance.model_validate({"max_ties": max_ties}).review(items, stage)
    assert len(found) == len(items)
    return found, stage


def dropped(items: Sequence[Candidate], found: Sequence[Candidate | Rejection]) -> dict[str, Rejection]:
    return {c.comparison.id: each for c, each in zip(items, found, strict=True) if isinstance(each, Rejection)}


def test_of_the_larger_side_the_least_confident_go_and_are_told_the_sizes() -> None:
    items = spelled("AAABA", [0.5, 0.9, 0.4, 0.1, 0.6], fixed="AB")
    found, _ = review(items)
    assert dropped(items, found) == {
        "n00": Rejection("balance", "surplus of A over B", 4, 1),
        "n02": Rejection("balance", "surplus of A over B", 4, 1),
        "n04": Rejection("balance", "surplus of A over B", 4, 1),
    }
    assert [found[1], found[3]] == [items[1], items[3]]


def test_a_surplus_of_b_is_dropped_likewise_and_none_is_less_than_a_little_confidence() -> None:
    items = spelled("BABB", [0.2, 0.9, None, 0.1], fixed="AB")
    found, _ = review(items)
    assert dropped(items, found) == {
        "n02": Rejection("balance", "surplus of B over A", 3, 1),
        "n03": Rejection("balance", "surplus of B over A", 3, 1),
    }


def test_equal_confidences_are_parted_by_id_whatever_order_they_come_in() -> None:
    items = spelled("AAAB", [0.9] * 4, fixed="AB")
    for order in (items, items[::-1]):
        assert list(dropped(order, review(order)[0])) == [
            c.comparison.id for c in order if c.comparison.id in ("n00", "n01")
        ]


def test_what_is_exchanged_is_exchanged_whole() -> None:
    reason = "Feedback: Response A is kind, Response B is not.\nConclusion: Response A is better."
    swapped = "Feedback: Response B is kind, Response A is not.\nConclusion: Response B is better."
    items = [candidate(f"n{i}", Label.A, 0.9, reason).measured("quality", 0.5) for i in range(4)]
    items = [replace(c, example=replace(c.example, target=(0.8, 0.15, 0.05))) for c in items if c.example]
    found, _ = review(items)
    exchanged = [each for each in found if isinstance(each, Candidate) and each.swapped]
    assert len(exchanged) == 2
    for each in exchanged:
        example = LabeledComparison(each.comparison.swap(), Label.B, swapped, (0.15, 0.8, 0.05))
        assert each == replace(
            items[0], comparison=each.comparison, decision=each.decision, example=example, swapped=True
        )
        assert each.decision.label is Label.A
    # What stood exchanged before may be turned back.
    again, _ = review([each.swap() for each in items])
    assert {each.swapped for each in again if isinstance(each, Candidate)} == {True, False}


def test_which_are_exchanged_belongs_to_the_seed() -> None:
    items = spelled("A" * 12)
    chosen = [
        tuple(each.swapped for each in review(items, seed=seed)[0] if isinstance(each, Candidate)) for seed in (1, 1, 2)
    ]
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize(
    ("text", "max_ties", "ties"),
    [
        ("ABTTTT", 0.5, 2),
        ("ABTTTT", 0.49, 1),
        ("ABTTTT", 0.6, 3),
        ("ABABTTTT", 0.34, 2),
        ("ABABABTTT", 0.25, 2),
        ("ABABTT", 0.0, 0),
        ("ABTTTT", 1.0, 4),
        ("TTT", 0.9, 0),
        ("TTT", 1.0, 3),
        # One of three A and B is a surplus, which the share does not count.
        ("ABATTT", 0.5, 2),
        ("ABTT", {"schedule": "linear", "start": 0.5, "end": 0.0}, 2),
    ],
)
def test_ties_are_as_many_as_their_share_allows_and_the_most_confident(text: str, max_ties: Any, ties: int) -> None:
    items = spelled(text)
    found, stage = review(items, max_ties)
    kept = [c.comparison.id for c in found if isinstance(c, Candidate) and c.example and c.example.label is Label.TIE]
    assert kept == [f"n{i:02}" for i, letter in enumerate(text) if letter == "T"][:ties]
    limit = 0.5 if isinstance(max_ties, dict) else max_ties
    assert stage.thresholds == {"balance.max_ties": limit}
    share = round(text.count("T") / (text.count("T") + 2 * ((len(text) - text.count("T")) // 2)), 4)
    gone = {each for each in found if isinstance(each, Rejection) and each.reason == "too many ties"}
    assert gone == ({Rejection("balance", "too many ties", share, limit)} if ties < text.count("T") else set())


@settings(max_examples=60)
@given(st.text("ABT", max_size=14), st.integers(0, 100), st.integers(0, 5))
def test_no_more_is_dropped_than_must_be(text: str, percent: int, seed: int) -> None:
    items = spelled(text)
    found, _ = review(items, percent / 100, seed=seed)
    kept = [c.example.label for c in found if isinstance(c, Candidate) and c.example]
    counts = {label: kept.count(label) for label in Label}
    assert counts[Label.A] == counts[Label.B] == (len(text) - text.count("T")) // 2
    decided, ties = counts[Label.A] + counts[Label.B], counts[Label.TIE]
    assert ties * 100 <= percent * (ties + decided)
    if ties < text.count("T"):
        assert (ties + 1) * 100 > percent * (ties + 1 + decided)
    # Everything stands in its place.
    for before, after in zip(items, found, strict=True):
        assert isinstance(after, Rejection) or after in (before, before.swap())


def test_candidates_without_an_example_pass_and_count_for_nothing() -> None:
    bare = replace(candidate("bare", Label.A), example=None)
    items = [bare, *spelled("AB", fixed="AB")]
    assert review(items)[0] == items
    assert review([])[0] == []
