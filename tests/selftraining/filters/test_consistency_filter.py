"""Consistency: what is measured of the votes, in which order the rules look, and what is level with a threshold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conftest import make, vote
from gramr2.comparison import Order
from gramr2.config.schedules import Quantile
from gramr2.judging.voting import decide
from gramr2.judgment import Outcome
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterContext, Rejection
from gramr2.selftraining.filters.consistency import Consistency

OUTCOMES = {"A": Outcome.A, "B": Outcome.B, "T": Outcome.TIE, ".": Outcome.TRUNCATED, "?": Outcome.UNPARSEABLE}


def candidate(first: str, second: str = "", name: str = "c") -> Candidate:
    """Votes in the stored order and in the exchanged one, a letter each."""
    votes = [
        vote(OUTCOMES[letter], order, sample)
        for order, letters in zip(Order, (first, second), strict=True)
        for sample, letter in enumerate(letters)
    ]
    decided = decide(name, votes)
    return Candidate(make(name), decided, decided.confidence)


def verdict(each: Candidate, config: Consistency) -> Rejection | None:
    [found] = config.review([each], FilterContext())
    return found if isinstance(found, Rejection) else None


FLIP = Rejection("consistency", "the two orders disagree", "flip", "no flip")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("AAAA", "AAAA", None),
        # 6 of 8 votes state the label, which is what is asked; then 6 of 10.
        ("AAAB", "AAAB", None),
        ("AAABB", "AAABB", Rejection("consistency", "the votes disagree", 0.6, 0.75)),
        # Half of the votes are verdicts, which is what is asked; then 3 of 8.
        ("AA..", "AA??", None),
        ("AA..", "A...", Rejection("consistency", "too many votes failed", 0.375, 0.5)),
        # Failed votes are not votes for another label.
        ("A...", "AAAA", None),
        ("AAAA", "BBBA", FLIP),
        ("TTTT", "AAAA", FLIP),
        # Two reasons: the failures are named before the flip, and the flip before the disagreement.
        ("A...", "B...", Rejection("consistency", "too many votes failed", 0.25, 0.5)),
        ("AABA", "BBAB", FLIP),
        # One order alone cannot flip.
        ("AAAA", "", None),
        ("AABB", "", Rejection("consistency", "the votes disagree", 0.0, 0.75)),
    ],
)
def test_what_is_asked_of_the_votes(first: str, second: str, expected: Rejection | None) -> None:
    assert verdict(candidate(first, second), Consistency()) == expected


def test_a_flip_that_is_allowed_leaves_the_agreement_to_be_measured() -> None:
    lenient = Consistency(allow_order_flip=True)
    flipped = candidate("AAAA", "AABB")
    assert flipped.decision.order_flip
    assert verdict(flipped, Consistency()) == FLIP
    assert verdict(flipped, lenient) is None
    flipped = candidate("AAAA", "BBBA")
    assert verdict(flipped, lenient) == Rejection("consistency", "the votes disagree", 0.625, 0.75)


def unvoted() -> Candidate:
    """As a model without votes decides."""
    decision = candidate("AA", "AA").decision
    without = replace(decision, judgments=(), agreement=None, order_flip=None)
    return Candidate(make(), without, without.confidence)


def test_without_votes_nothing_agrees() -> None:
    assert verdict(unvoted(), Consistency()) == Rejection("consistency", "the votes disagree", 0.0, 0.75)
    assert verdict(unvoted(), Consistency(min_agreement=0.0)) is None


def test_roll_backs_make_both_thresholds_stricter() -> None:
    each = candidate("AAAB", "AAA.")
    stage = FilterContext(tightenings=1)
    assert Consistency(min_agreement=0.7, min_coverage=0.7).review([each], stage) == [each]
    assert stage.thresholds == {"consistency.min_coverage": 0.85, "consistency.min_agreement": 0.85}
    [found] = Consistency(min_agreement=0.8, min_coverage=0.7).review([each], stage)
    assert found == Rejection("consistency", "the votes disagree", 0.8571, 0.9)


def test_a_quantile_of_agreement_goes_by_those_that_got_so_far() -> None:
    """The flipped and the failed would otherwise be the worst half, and everything else pass."""
    half = Consistency(min_agreement=Quantile(schedule="quantile", start=0.5, end=0.5))
    items = [
        candidate("AAAA", "BBBA", "flip1"),
        candidate("AAAA", "BBBB", "flip2"),
        candidate("A...", "A...", "failed"),
        candidate("AAAB", "AAAB", "six"),
        candidate("AAAA", "AAAB", "seven"),
        candidate("AAAA", "AAAA", "eight"),
        candidate("AAAB", "AABB", "five"),
    ]
    stage = FilterContext()
    found = half.review(items, stage)
    assert [each.comparison.id for each in found if isinstance(each, Candidate)] == ["seven", "eight"]
    assert stage.thresholds["consistency.min_agreement"] == 0.875


def test_each_gets_its_own_answer_in_its_place() -> None:
    items = [
        candidate("AAAA", "BBBB", "a"),
        candidate("AAAA", "AAAA", "b"),
        candidate("A...", "A...", "c"),
        candidate("BB", "BB", "d"),
    ]
    found = Consistency().review(items, FilterContext())
    assert [each.reason if isinstance(each, Rejection) else each for each in found] == [
        "the two orders disagree",
        items[1],
        "too many votes failed",
        items[3],
    ]
