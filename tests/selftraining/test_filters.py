"""Each filter on both sides of its threshold, and the reasons it gives."""

from __future__ import annotations

import pytest

from conftest import vote
from gramr2.comparison import Order
from gramr2.config.filters import ConfidenceFilter, ConsistencyFilter, RationaleFilter
from gramr2.judging.voting import decide
from gramr2.judgment import Decision, Outcome
from gramr2.selftraining.filters import build, first_objection, repetition

GOOD = "Feedback: Response A keeps the limit. Response B breaks it.\nComparison: The limit counts.\nConclusion: Response A is better."


def decision(
    *, a: float = 0.9, rationale: str | None = GOOD, second: Outcome = Outcome.A, flip: bool = False
) -> Decision:
    rest = 1 - a
    ba = (0.2, 0.8, 0.0) if flip else (a, rest, 0.0)
    votes = [
        vote(Outcome.A, Order.AB, 0, (a, rest, 0.0), rationale),
        vote(second, Order.AB, 1, (a, rest, 0.0) if second.label else None, rationale),
        vote(Outcome.B if flip else Outcome.A, Order.BA, 0, ba, "swapped"),
    ]
    return decide("c", votes)


def reason(each: Decision, config: ConfidenceFilter | ConsistencyFilter | RationaleFilter) -> str | None:
    objection = first_objection(build([config]), each)
    return objection.reason if objection else None


def test_confidence() -> None:
    assert reason(decision(a=0.9), ConfidenceFilter(threshold=0.9)) is None
    objection = first_objection(build([ConfidenceFilter(threshold=0.91)]), decision(a=0.9))
    assert objection is not None
    assert (objection.filter, objection.value, objection.threshold) == ("confidence", 0.9, 0.91)


def test_consistency() -> None:
    strict = ConsistencyFilter(min_agreement=0.9, min_coverage=0.9)
    assert reason(decision(), strict) is None
    assert reason(decision(second=Outcome.B), strict) == "the votes disagree"
    assert reason(decision(second=Outcome.TRUNCATED), strict) == "too many votes failed"
    assert reason(decision(flip=True), strict) == "the two orders disagree"
    assert reason(decision(flip=True), ConsistencyFilter(allow_order_flip=True, min_agreement=0.5)) is None


@pytest.mark.parametrize(
    ("rationale", "expected"),
    [
        (GOOD, None),
        (None, "there is none"),
        ("Response A, Response B.", "its length is out of bounds"),
        (GOOD + " and so on" * 40, "it repeats itself"),
        (GOOD.replace("Response B breaks it.", "It is short."), "it does not speak of both responses"),
        (GOOD.partition("\nConclusion")[0], "it has no conclusion"),
        (GOOD.replace("Conclusion: Response A", "Conclusion: Response B"), "its conclusion does not state its label"),
    ],
)
def test_rationale(rationale: str | None, expected: str | None) -> None:
    assert reason(decision(rationale=rationale), RationaleFilter()) == expected


def test_the_conclusion_is_read_in_the_order_it_was_written_for() -> None:
    swapped = GOOD.replace("Conclusion: Response A", "Conclusion: Response B")
    votes = [vote(Outcome.A, Order.AB, 0, (0.6, 0.4, 0), GOOD), vote(Outcome.A, Order.BA, 0, (0.9, 0.1, 0), swapped)]
    assert reason(decide("c", votes), RationaleFilter()) is None


def test_abstentions_are_dropped_first() -> None:
    nothing = decide("c", [vote(Outcome.TRUNCATED, Order.AB), vote(Outcome.A, Order.BA)])
    objection = first_objection(build([]), nothing)
    assert objection is not None
    assert objection.filter == "abstained"
    follower = decide("c", [vote(Outcome.A, Order.AB), vote(Outcome.B, Order.BA)])
    assert first_objection(build([]), follower) is not None


def test_repetition() -> None:
    assert repetition(["a", "b", "c", "d", "e", "f"]) == 0
    assert repetition(["a", "b", "c", "d", "a", "b", "c", "d", "a", "b", "c", "d"]) > 0.5
    assert repetition(["a"]) == 0
