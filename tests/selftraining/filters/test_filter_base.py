"""What filters are made of: thresholds in force, the comparison with them, rules, and what is done about rationales."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import make, vote
from gramr2.comparison import Label, LabeledComparison, Order
from gramr2.config.schedules import Quantile
from gramr2.judging.voting import decide
from gramr2.judgment import Outcome, Reading
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import Failed, FilterContext, Rejection, bounded, of_rationales, ruled

OTHER = Rejection("earlier", "dropped before", None, None)


def candidate(
    name: str, confidence: float | None = None, rationale: str | None = None, direct: bool = False
) -> Candidate:
    votes = [vote(Outcome.A, order) for order in Order]
    if direct:
        votes = [replace(each, reading=Reading.DIRECT, rationale=None) for each in votes]
    return Candidate(make(name), decide(name, votes), confidence, LabeledComparison(make(name), Label.A, rationale))


def quantile(share: float) -> Quantile:
    return Quantile(schedule="quantile", start=share, end=share)


@pytest.mark.parametrize(
    ("strict", "tightenings", "by", "expected"),
    [
        (1.0, 0, 0.5, 0.6),
        (1.0, 1, 0.5, 0.8),
        (1.0, 2, 0.25, 0.775),
        (0.0, 1, 0.5, 0.3),
        (0.0, 3, 0.5, 0.075),
        (1.0, 1, 1.0, 1.0),
        (None, 3, 0.5, 0.6),
    ],
)
def test_roll_backs_move_a_threshold_towards_its_strict_end_and_no_other(
    strict: float | None, tightenings: int, by: float, expected: float
) -> None:
    context = FilterContext(tightenings=tightenings, tighten_by=by)
    assert context.limit("f.x", 0.6, strict=strict) == pytest.approx(expected)
    assert context.thresholds == {"f.x": pytest.approx(expected)}


def test_a_threshold_is_written_down_as_a_number_of_six_digits_and_replaced_by_the_next() -> None:
    context = FilterContext()
    assert context.limit("f.x", 1 / 3) == 1 / 3
    assert context.thresholds == {"f.x": 0.333333}
    context.limit("f.y", 8)
    context.limit("f.x", 0.5)
    assert context.thresholds == {"f.x": 0.5, "f.y": 8.0}
    assert all(isinstance(value, float) for value in context.thresholds.values())


@pytest.mark.parametrize(("at_least", "open_end"), [(True, -math.inf), (False, math.inf)])
def test_a_quantile_of_nothing_bounds_nothing_and_is_not_written_down(at_least: bool, open_end: float) -> None:
    context = FilterContext(tightenings=2, tighten_by=1.0)
    assert context.limit("f.x", quantile(0.5), at_least=at_least, strict=1.0) == open_end
    assert context.thresholds == {}


@pytest.mark.parametrize(
    ("value", "at_least", "passes"),
    [
        (0.5, True, True),
        (0.5 - 1e-10, True, True),
        (0.5 - 1e-6, True, False),
        (0.5 + 1e-6, True, True),
        (0.5, False, True),
        (0.5 + 1e-10, False, True),
        (0.5 + 1e-6, False, False),
        (0.5 - 1e-6, False, True),
        (None, True, True),
        (None, False, True),
    ],
)
def test_a_value_at_the_threshold_passes_and_one_beyond_does_not(
    value: float | None, at_least: bool, passes: bool
) -> None:
    each = candidate("c", value)
    [found] = bounded([each], FilterContext(), "f.x", 0.5, lambda c: c.confidence, "no good", at_least=at_least)
    assert (found is each) == passes


@pytest.mark.parametrize("at_least", [True, False])
def test_scores_at_a_quantile_pass_whatever_their_digits(at_least: bool) -> None:
    each = [candidate(str(i), value) for i, value in enumerate([1 / 3, 2 / 3, 2 / 3, 2 / 3])]
    found = bounded(each, FilterContext(), "f.x", quantile(0.5), lambda c: c.confidence, "no good", at_least=at_least)
    assert [not isinstance(one, Rejection) for one in found] == [not at_least, True, True, True]


def test_a_rejection_names_the_filter_the_measure_and_the_threshold() -> None:
    context = FilterContext(tightenings=1)
    each = candidate("c", 0.123456)
    [found] = bounded([each], context, "some_filter.least", 0.5, lambda c: c.confidence, "no good", strict=1.0)
    assert found == Rejection("some_filter", "no good", 0.1235, 0.75)
    assert context.thresholds == {"some_filter.least": 0.75}
    [zero] = bounded([candidate("c", 0.0)], context, "f.x", 0.5, lambda c: c.confidence, "no good")
    assert zero == Rejection("f", "no good", 0.0, 0.5)


def test_earlier_rejections_stay_in_their_places_and_are_not_measured() -> None:
    measured: list[str] = []

    def measure(each: Candidate) -> float | None:
        measured.append(each.comparison.id)
        return each.confidence

    low, high, last = candidate("low", 0.1), candidate("high", 0.9), candidate("last", 0.2)
    found = bounded([OTHER, low, OTHER, high, last], FilterContext(), "f.x", 0.5, measure, "no good")
    assert [found[0], found[2], found[3]] == [OTHER, OTHER, high]
    assert [each.value for each in (found[1], found[4]) if isinstance(each, Rejection)] == [0.1, 0.2]
    assert measured == ["low", "high", "last"]


@settings(max_examples=40)
@given(st.lists(st.none() | st.integers(0, 100), max_size=20), st.integers(0, 19), st.booleans())
def test_a_quantile_goes_by_what_there_is_to_measure(values: list[int | None], twentieths: int, at_least: bool) -> None:
    """Neither rejections nor what has nothing to measure stand among the scores, and the best always pass."""
    given_ = [OTHER if i % 4 == 3 else candidate(str(i), v) for i, v in enumerate(values)]
    found = bounded(
        given_, FilterContext(), "f.x", quantile(twentieths / 20), lambda c: c.confidence, "no good", at_least=at_least
    )
    scores = sorted(
        (c.confidence for c in given_ if isinstance(c, Candidate) and c.confidence is not None), reverse=at_least
    )
    # As many of the best as the share leaves, and all that are level with the last of them.
    asked = len(scores) - len(scores) * twentieths // 20
    level = set(scores[:asked])
    passed = [c.confidence for c in found if isinstance(c, Candidate) and c.confidence is not None]
    assert sorted(passed, reverse=at_least) == [score for score in scores if score in level]
    assert found[3::4] == [OTHER] * len(found[3::4])
    unmeasured = [c for c in given_ if isinstance(c, Candidate) and c.confidence is None]
    assert [c for c in found if isinstance(c, Candidate) and c.confidence is None] == unmeasured


def test_a_rule_is_asked_of_what_is_left() -> None:
    asked: list[str] = []

    def check(each: Candidate) -> Rejection | None:
        asked.append(each.comparison.id)
        return Rejection("rule", "no", None, None) if each.comparison.id == "bad" else None

    good, bad = candidate("good"), candidate("bad")
    assert ruled([bad, OTHER, good], check) == [Rejection("rule", "no", None, None), OTHER, good]
    assert asked == ["bad", "good"]


def reviewed(candidates: Sequence[Candidate], failed: Failed, **outcomes: Any) -> tuple[list[Any], list[str]]:
    """What comes of a review that returns these outcomes, by id (the candidate itself by default), and who was reviewed."""
    asked: list[str] = []

    def review(left: Sequence[Candidate]) -> list[Candidate | Rejection]:
        asked.extend(each.comparison.id for each in left)
        return [outcomes.get(each.comparison.id, each) for each in left]

    return of_rationales(candidates, failed, review), asked


BAD = Rejection("form", "bad", 1.0, 2.0)


def test_what_the_review_says_is_given_to_its_own_candidate() -> None:
    """Candidates that are not reviewed stand between those that are."""
    one, bare, two, three = (
        candidate("one", rationale="r1", direct=True),
        candidate("bare", direct=True),
        candidate("two", rationale="r2", direct=True),
        candidate("three", rationale="r3"),
    )
    changed = two.measured("quality", 0.5)
    found, asked = reviewed([one, bare, two, three], "auto", one=BAD, two=changed, three=BAD)
    assert asked == ["one", "two", "three"]
    stripped = one.bare().measured("stripped_by_form", 1.0)
    assert found == [stripped, bare, changed, BAD]
    assert stripped.rationale is None and stripped.example is not None and stripped.example.label is Label.A


@pytest.mark.parametrize(
    ("failed", "direct", "asked"),
    [
        ("auto", False, True),
        ("drop", False, True),
        ("strip", False, False),
        ("auto", True, False),
        ("drop", True, False),
        ("strip", True, False),
    ],
)
@pytest.mark.parametrize("rationale", [None, ""])
def test_who_is_reviewed_without_a_rationale(failed: Failed, direct: bool, asked: bool, rationale: str | None) -> None:
    each = candidate("c", rationale=rationale, direct=direct)
    found, seen = reviewed([each], failed, c=BAD)
    assert (seen, found) == ((["c"], [BAD]) if asked else ([], [each]))


def test_a_review_that_loses_candidates_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        of_rationales([candidate("a", rationale="r"), candidate("b", rationale="r")], "auto", lambda left: left[:1])
