"""Several labels of one comparison: how far they agree, and what is made of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.data.annotators import Aggregate, Agreement, agreement, conflicting, merged
from gramr2.errors import DataError

A, B, TIE = Label.A, Label.B, Label.TIE


def row(
    name: str, label: Label, rationale: str | None = None, *, item: str = "x", turned: bool = False
) -> LabeledComparison:
    """A row of the comparison ``item``; ``label`` is for the order in which it is first shown."""
    comparison = replace(Comparison.of(f"Prompt {item}", f"first {item}", f"second {item}"), id=name)
    whole = LabeledComparison(comparison, label, rationale)
    return whole.swap() if turned else whole


def test_rows_of_one_comparison_are_found_in_either_order() -> None:
    rows = [
        row("1", A),
        row("2", A, turned=True),
        row("3", B),
        row("4", A, item="y"),
        row("5", A, item="y", turned=True),
    ]
    assert conflicting(rows) == {"1", "2", "3"}
    found = agreement(rows)
    assert (found.repeated, found.conflicting) == (2, 1)
    # By hand, both orders of both: ten ratings, five of them A; observed disagreement 4/10, expected 2 · 5 · 5 / (10 · 9).
    assert found.alpha == pytest.approx(1 - 0.4 / (50 / 90))


def test_full_agreement_and_none_at_all() -> None:
    agreed = [row("1", A), row("2", A), row("3", B, item="y"), row("4", B, item="y")]
    assert agreement(agreed).alpha == pytest.approx(1.0)
    assert agreement([row("1", A), row("2", B, item="y")]) == Agreement(0, 0, None)
    # Ties alone say nothing about chance.
    assert agreement([row("1", TIE), row("2", TIE)]) == Agreement(1, 0, None)


@pytest.mark.parametrize("how", [Aggregate.MAJORITY, Aggregate.SOFT])
def test_a_rationale_that_cannot_be_turned_is_not_taken_from_the_other_order(how: Aggregate) -> None:
    # Of the other order, in which the response that all prefer is B.
    other = replace(row("2", A, turned=True), rationale="B is right, A is wrong.")
    (one,) = merged([row("1", A), other], how)
    assert (one.label, one.rationale) == (A, None)
    (one,) = merged([row("1", A), other, row("3", A, "A is right.")], how)
    assert one.rationale == "A is right."


def test_the_majority_speaks_in_the_first_row_s_order() -> None:
    rows = [
        row("1", B, "Response B is longer.", turned=True),
        row("2", A, "Response A is right."),
        row("3", A),
        row("4", TIE, item="y"),
    ]
    one, other = merged(rows, Aggregate.MAJORITY)
    assert one.comparison == rows[0].comparison
    # The first row shows the responses the other way round.
    assert (one.label, one.rationale, one.target) == (B, "Response B is right.", None)
    assert other == rows[3]
    assert merged(rows, Aggregate.NONE) == tuple(rows)


def test_without_a_majority_it_is_a_tie_and_soft_keeps_the_shares() -> None:
    rows = [row("1", A, "Response A is right."), row("2", B), row("3", B, turned=True), row("4", A)]
    (one,) = merged(rows, Aggregate.SOFT)
    assert (one.label, one.rationale, one.target) == (TIE, None, (0.5, 0.5, 0.0))
    (three,) = merged([row("1", A), row("2", TIE), row("3", A)], Aggregate.SOFT)
    assert three.label is A
    assert three.target == pytest.approx((2 / 3, 0.0, 1 / 3))


labels = st.lists(
    st.tuples(st.sampled_from("xyz"), st.sampled_from([A, B, TIE]), st.booleans()), min_size=1, max_size=12
)


@given(labels)
def test_turning_a_row_changes_nothing(drawn: list[tuple[str, Label, bool]]) -> None:
    plain = [row(str(i), label, item=item) for i, (item, label, _) in enumerate(drawn)]
    turned = [row(str(i), label, item=item, turned=flip) for i, (item, label, flip) in enumerate(drawn)]
    assert agreement(turned) == agreement(plain)
    assert conflicting(turned) == conflicting(plain)
    for how in (Aggregate.MAJORITY, Aggregate.SOFT):
        a, b = merged(plain, how), merged(turned, how)
        assert len(a) == len({item for item, _, _ in drawn})
        for one, other in zip(a, b, strict=True):
            assert one.label is (other if one.comparison == other.comparison else other.swap()).label
        assert not conflicting(a)


def said(name: str, label: Label, who: str | None, item: str = "x", *, turned: bool = False) -> LabeledComparison:
    return replace(row(name, label, item=item, turned=turned), annotator=who)


@given(st.lists(st.booleans(), min_size=6, max_size=6))
def test_two_annotators_have_cohen_s_kappa_whatever_the_stored_order(turns: list[bool]) -> None:
    pairs = [(A, A), (A, B), (TIE, TIE)]
    rows = [
        said(f"{who}{place}", label, who, str(place), turned=turns[2 * place + side])
        for place, labels in enumerate(pairs)
        for side, (who, label) in enumerate(zip("pq", labels, strict=True))
    ]
    found = agreement(rows)
    # By hand, in both orders: agreed on 4 of 6; by chance 2 · (1/3 · 1/3) + 1/3 · 1/3 = 1/3.
    assert found.cohen == pytest.approx((4 / 6 - 1 / 3) / (1 - 1 / 3))
    assert agreement([*rows, said("r0", A, "r", "0")]).cohen is None
    assert agreement([replace(each, annotator=None) for each in rows]).cohen is None


def test_as_many_labels_for_each_have_fleiss_kappa() -> None:
    rows = [
        said(f"{item}{n}", label, None, item)
        for item, labels in (("x", (A, A, A)), ("y", (A, B, TIE)))
        for n, label in enumerate(labels)
    ]
    # By hand, in both orders: 12 ratings of which 5, 5 and 2; agreed (6 + 0 + 6 + 0) / (12 · 2) = 1/2.
    chance = (25 + 25 + 4) / 144
    assert agreement(rows).fleiss == pytest.approx((0.5 - chance) / (1 - chance))
    assert agreement(rows[:-1]).fleiss is None


def test_one_who_labels_against_all_others_is_seen_through() -> None:
    pytest.importorskip("crowdkit")
    truth = [A, B, A, B, A, B, A, B]
    rows = []
    for place, label in enumerate(truth):
        # Two of five see it right, always; the other three err on half of the comparisons each, and on the last together.
        given = [label, label, *(label if (place + shift) % 2 else label.swap() for shift in (0, 1, 0))]
        if place == 7:
            given = [label, label, *(3 * [label.swap()])]
        rows += [said(f"{place}-{n}", each, f"w{n}", str(place), turned=bool(n % 2)) for n, each in enumerate(given)]
    settled = merged(rows, Aggregate.DAWID_SKENE)
    assert [item.label for item in settled] == truth
    assert merged(rows, Aggregate.MAJORITY)[7].label is truth[7].swap()
    assert all(item.annotator is None for item in settled)
    again = merged([each.swap() for each in rows], Aggregate.DAWID_SKENE)
    assert [item.label.swap() for item in again] == truth
    alone = [said("1", A, None, "y")]
    assert merged(alone, Aggregate.DAWID_SKENE) == tuple(alone)


def test_labels_of_nobody_have_no_mistakes_to_estimate() -> None:
    with pytest.raises(DataError, match=r"2 rows do not say so \(the first: '1'\): name the column with columns"):
        merged([said("1", A, None), said("2", B, None)], Aggregate.DAWID_SKENE)
