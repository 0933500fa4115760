"""What a benchmark's answers are: verdicts by order, placings with visible ties, seeded placement, credits under each policy."""

from __future__ import annotations

import pytest

from conftest import make, vote
from gramr2.comparison import Label, Message, Order, ResponseSet
from gramr2.evaluation.benchmarks import Choice, OnFailure, Pair, Placing, Verdict, verdict_of
from gramr2.evaluation.benchmarks.failures import pair_credit, top_credit
from gramr2.evaluation.benchmarks.items import placed
from gramr2.judging.preference import Ties, decided
from gramr2.judging.voting import decide
from gramr2.judgment import Decision, Outcome

PROMPT = (Message("user", "Why?"),)


def test_a_verdict_has_the_label_of_each_order_in_terms_of_the_stored_comparison() -> None:
    votes = [vote(Outcome.A, Order.AB), vote(Outcome.B, Order.BA)]
    found = verdict_of(decide("c", votes))
    assert (found.orders, found.label, found.told) == ((Label.A, Label.B), Label.TIE, True)
    assert found.win == pytest.approx(0.5)
    failed = verdict_of(decide("c", [vote(Outcome.A, Order.AB), vote(Outcome.UNPARSEABLE, Order.BA)]))
    assert (failed.orders, failed.label) == ((Label.A, None), None)
    assert verdict_of(decide("c", [vote(Outcome.B, Order.AB)])).orders == (Label.B,)


def test_a_model_that_sees_no_order_says_the_same_in_both() -> None:
    (decision,) = decided([make()], [2.0], Ties())
    assert verdict_of(decision).orders == (Label.A, Label.A)
    (diverged,) = decided([make()], [float("nan")], Ties())
    assert verdict_of(diverged).orders == (None, None)


def test_a_server_that_tells_no_votes_is_marked_where_its_orders_differ() -> None:
    told = Decision("c", (), Label.A, None, 0.6, 1.0, False, 1.0)
    flipped = Decision("c", (), Label.A, None, 0.6, 1.0, True, 1.0)
    one_order = Decision("c", (), Label.A, None, 0.6, 1.0, None, 1.0)
    assert [verdict_of(each).told for each in (told, flipped, one_order)] == [True, False, True]
    assert [len(verdict_of(each).orders) for each in (told, flipped, one_order)] == [2, 2, 1]


def test_which_response_is_a_follows_from_the_seed_and_the_id_alone() -> None:
    pairs = [placed(0, f"item {i}", PROMPT, "good", "bad") for i in range(400)]
    share = sum(pair.label is Label.A for pair in pairs) / 400
    assert 0.42 < share < 0.58
    for pair in pairs:
        first, _ = pair.comparison.responses
        assert (first == "good") == (pair.label is Label.A)
    again = [placed(0, f"item {i}", PROMPT, "good", "bad") for i in reversed(range(400))]
    assert [pair.label for pair in again][::-1] == [pair.label for pair in pairs]
    other = [placed(1, f"item {i}", PROMPT, "good", "bad").label for i in range(400)]
    assert other != [pair.label for pair in pairs]


def test_equal_scores_share_a_place_and_an_unscored_response_leaves_no_first_place() -> None:
    assert Placing.by([1.0, 3.0, 3.0, 0.0]) == Placing((3, 1, 1, 4), (1.0, 3.0, 3.0, 0.0))
    assert Placing.by([1.0, 3.0, 3.0, 0.0]).tops == {1, 2}
    assert Placing.by([1.0, None]).tops is None


def test_a_response_beats_another_in_their_own_comparison_before_the_scores_are_asked() -> None:
    placing = Placing((1, 2, 3), (2.0, 1.0, 0.0), ((1, 0, 0.9), (0, 2, None)))
    assert not placing.beats(0, 1)
    assert placing.beats(1, 0)
    assert placing.beats(0, 2), "undecided: by scores"
    assert not Placing.by([1.0, 1.0]).beats(0, 1)


@pytest.mark.parametrize(
    ("orders", "wrong", "half", "drawn", "left_out"),
    [
        ((Label.A, Label.A), 1, 1, 1, 1),
        ((Label.A, Label.B), 0.5, 0.5, 0.5, 0.5),
        ((Label.A, Label.TIE), 0.5, 0.5, 0.5, 0.5),
        ((Label.TIE, Label.TIE), 0, 0, 0, 0),
        ((Label.A, None), 0.5, 0.75, 0.75, 1),
        ((None, None), 0, 0.5, 0.5, None),
        ((None,), 0, 0.5, 0.5, None),
    ],
)
def test_the_credit_of_a_pair(
    orders: tuple[Label | None, ...], wrong: float, half: float, drawn: float, left_out: float | None
) -> None:
    item = Pair(make(), Label.A)
    policies = (OnFailure.WRONG, OnFailure.HALF, OnFailure.DRAWN, OnFailure.LEFT_OUT)
    found = [pair_credit(item, Verdict.of(*orders), policy) for policy in policies]
    assert found == [wrong, half, drawn, left_out]


def test_the_credit_of_a_first_place() -> None:
    item = Choice(ResponseSet("s", PROMPT, ("a", "b", "c", "d")), frozenset({0}))
    credits = [
        top_credit(item, Placing.by(scores), OnFailure.WRONG) for scores in ([2, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1])
    ]
    assert credits == [1, pytest.approx(1 / 3), 0]
    failed = Placing.by([1, None, 0, 0])
    policies = (OnFailure.WRONG, OnFailure.HALF, OnFailure.DRAWN, OnFailure.LEFT_OUT)
    assert [top_credit(item, failed, policy) for policy in policies] == [0, 0.25, 0.25, None]
