"""Agreement with people from the lines of an evaluation: hand-computed, and simulated where theory says what comes out."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from gramr2.comparison import Comparison, Label, LabeledComparison, as_messages
from gramr2.errors import ConfigError
from gramr2.evaluation.agreement.records import AgreementReport
from gramr2.evaluation.agreement.report import agreement_of
from gramr2.evaluation.log import Item, item_of
from gramr2.evaluation.metrics import wilson
from gramr2.judgment import Decision

A, B, TIE = Label.A, Label.B, Label.TIE


def line(
    number: int,
    judge: Label | None,
    *people: Label | None,
    category: str | None = None,
    prompt: str | None = None,
    expected: Label | None = None,
) -> Item:
    """A line; the annotators are p, q, r …, and a place without a label is None."""
    said = {name: label for name, label in zip("pqrs", people, strict=False) if label is not None}
    found = [*said.values()]
    label = expected or max([A, B, TIE], key=found.count)
    one = Comparison(f"i{number}", as_messages(prompt or str(number)), ("a", "b"), category=category)
    decision = Decision(one.id, (), judge, None, None if judge is None else 0.5 + number / 10000, None, None, 1.0)
    return item_of(LabeledComparison(one, label), decision, annotations=said)


def simulated(n: int, judge: float, people: Sequence[float], seed: int = 0) -> list[Item]:
    """Comparisons of two labels, each said rightly by everybody with their own probability and independently."""
    rng = random.Random(seed)
    found = []
    for i in range(n):
        truth = rng.choice([A, B])
        first, *others = (truth if rng.random() < q else truth.swap() for q in (judge, *people))
        found.append(line(i, first, *others))
    return found


def of(items: Sequence[Item], **options: float) -> AgreementReport:
    return agreement_of(items, **options)  # type: ignore[arg-type]


def test_three_annotators_by_hand() -> None:
    items = [
        *(line(i, A, A, A, A) for i in range(10)),
        *(line(i, B, A, A, B) for i in range(10, 15)),
        *(line(i, None, B, B, B) for i in range(15, 18)),
        line(18, A, A, B, expected=TIE),
        line(19, A, A),
    ]
    people = of(items).people
    assert people is not None
    assert (people.comparisons, people.labels, people.several) == (20, 57, 19)
    assert (people.unanimous, people.split) == (13, 1)
    # p and the judge both decide 17 comparisons, and say the same on 12.
    p, q, r = people.annotators
    assert [(each.name, each.labels, each.same.n) for each in (p, q, r)] == [
        ("p", 20, 17),
        ("q", 19, 16),
        ("r", 18, 15),
    ]
    assert (p.same.value, q.same.value, r.same.value) == (12 / 17, 10 / 16, 1)
    # In both orders 24 of 34 agree, and A and B are one half each.
    assert p.kappa.value == pytest.approx((12 / 17 - 0.5) / 0.5)
    # q and r differ on 5 of 18, p and q on 1 of 19, p and r on 5 of 18.
    assert q.others.value == pytest.approx((31 / 37 - 0.5) / 0.5)
    # Where a label has most and the judge decides: ten of fifteen.
    assert (people.majority.n, people.majority.value) == (15, 10 / 15)
    assert people.majority_kappa.value == pytest.approx((10 / 15 - 0.5) / 0.5)
    assert (people.without.n, people.within.n) == (16, 16)
    # Without the judge 10 · 3 + 5 · 3 + 2 ratings: five comparisons disagree by 4 / 2 and one by 2 / 1.
    total = 2 * 47
    assert people.without.value == pytest.approx(
        1 - (2 * (5 * 2 + 2) / total) / (total / 2 * total / (total * (total - 1)))
    )
    assert people.change.value == pytest.approx((people.within.value or 0) - (people.without.value or 0))
    assert people.replacing is None and "nobody has as many" in (people.why or "")


def test_what_differs_most_comes_first() -> None:
    items = [
        line(0, B, A, A),
        line(1, B, A, A, A),
        line(2, B, A, A, B),
        line(3, A, A, A, A),
        line(4, B, A, A, A),
        line(5, B, A),
        line(6, None, A, A, A),
    ]
    found = of(items)
    assert found.differ == 5
    assert [(each.id, each.against, each.labels) for each in found.differing] == [
        ("i4", 3, 3),  # surer than i1
        ("i1", 3, 3),
        ("i0", 2, 2),
        ("i5", 1, 1),
        ("i2", 2, 3),
    ]


def test_a_category_that_differs_is_found_and_chance_is_not() -> None:
    items = [line(i, A if i % 10 else B, A, A, category=f"c{i % 5}") for i in range(200)]
    # Of c0 every second one, of the others none.
    found = of(items).categories
    assert [(each.name, each.differs.n, each.differs.value, each.shown) for each in found[:2]] == [
        ("c0", 40, 0.5, True),
        ("c1", 40, 0, True),
    ]
    # The others differ on 20 of 160.
    assert (found[0].gap.value, found[1].gap.value) == (0.5, -0.125)
    rng = random.Random(1)
    alike = [line(i, A if rng.random() < 0.7 else B, A, A, category=f"c{i % 5}") for i in range(200)]
    assert not any(each.shown for each in of(alike).categories)
    # A comparison without a majority tells nothing about the judge.
    split = [line(i, A, A, B, category="ab"[i % 2], expected=TIE) for i in range(40)]
    assert of(split).categories == ()


def test_a_gap_of_shares_without_spread_is_no_surer_than_the_smaller_category() -> None:
    items = [line(i, B if i < 12 else A, A, A, category="few" if i < 12 else "many") for i in range(100)]
    few, many = of(items).categories
    other = wilson(0, 12).high
    assert (few.gap.value, few.gap.low, few.gap.high) == (1, pytest.approx(1 - 2 * other), 1)
    assert (many.gap.value, many.gap.low, many.gap.high) == (-1, -1, pytest.approx(2 * other - 1))
    assert few.shown and many.shown


def test_people_who_all_agree_are_not_certain_to() -> None:
    items = [line(i, A, A, A, prompt=f"p{i // 3}") for i in range(60)]
    people = of(items).people
    assert people is not None
    for each in (people.alpha, people.within, people.without, people.majority_kappa):
        assert each.value == each.high == 1
        assert each.low is not None and 0.6 < each.low < 0.7, "twenty prompts"
    assert people.change.low is not None and people.change.high is not None
    assert people.change.low < people.change.value == 0 < people.change.high


def test_more_labels_by_hand() -> None:
    items = [line(i, A if i % 20 < 13 else B, A, category="x" if i < 40 else "y") for i in range(80)]
    x, y, whole = of(items).needed
    # 65 % of 40 does not exclude one half, and 85 are needed; of 80 it does.
    assert (x.name, x.accuracy.n, x.accuracy.value, x.settled, x.needed, x.more) == ("x", 40, 0.65, False, 85, 45)
    assert y.more == 45
    assert (whole.name, whole.settled, whole.more) == ("all", True, 0)
    assert x.fewest is not None and 0 < x.fewest < 40
    at_bar = of(items, bar=0.65).needed[-1]
    assert (at_bar.settled, at_bar.needed, at_bar.more) == (False, None, None)
    for bar in (0.0, 1.0, -1.0):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            of(items, bar=bar)


def test_prompts_that_are_alike_need_more_labels() -> None:
    # Twenty prompts of four, all or none of which are right.
    items = [line(i, A if i // 4 % 20 < 13 else B, A, prompt=f"p{i // 4}") for i in range(80)]
    (whole,) = of(items).needed
    assert whole.design == pytest.approx(4)
    assert (whole.settled, whole.needed) == (False, 340)


def test_one_label_says_what_is_missing() -> None:
    plain = [line(i, A if i % 4 else B, expected=A if i % 2 else B) for i in range(40)]
    found = of(plain)
    assert found.people is None
    assert found.kappa.value == pytest.approx((30 / 40 - 0.5) / 0.5)
    assert "no row names its annotator" in found.notes[0]
    assert "no comparison has labels by two annotators" in of([line(i, A, A) for i in range(12)]).notes[0]
    two = of([line(i, A, A, B, expected=TIE) for i in range(40)])
    assert "there are 2" in two.notes[0]
    assert agreement_of(plain, notes=["some rows have no annotator"]).notes == ("some rows have no annotator",)


def test_simulated_annotators_agree_as_theory_says() -> None:
    found = of(simulated(1500, 0.9, (0.8, 0.8, 0.8)))
    people = found.people
    assert people is not None and people.alpha.low is not None and people.alpha.high is not None
    # Two of them agree on 0.8² + 0.2² = 0.68, where chance gives one half.
    assert people.alpha.value == pytest.approx(0.36, abs=0.04)
    assert people.alpha.low < 0.36 < people.alpha.high
    assert people.fleiss == pytest.approx(people.alpha.value or 0, abs=0.01)
    for each in people.annotators:
        # The judge agrees with each on 0.9 · 0.8 + 0.1 · 0.2 = 0.74.
        assert each.kappa.value == pytest.approx(0.48, abs=0.06)
        assert each.others.value == pytest.approx(0.36, abs=0.06)
        assert each.advantage is not None and each.advantage.won
    assert people.replacing is not None and people.replacing.passes
    # A better one raises the agreement.
    assert people.change.low is not None and people.change.low > 0
    worse = of(simulated(1500, 0.55, (0.8, 0.8, 0.8))).people
    assert worse is not None and worse.replacing is not None and not worse.replacing.passes
    assert worse.change.high is not None and worse.change.high < 0


def test_nothing_says_nothing() -> None:
    found = of([])
    assert (found.kappa.value, found.people, found.needed, found.differing) == (None, None, (), ())


def test_the_same_seed_gives_the_same_report() -> None:
    items = simulated(60, 0.8, (0.8, 0.7))
    assert of(items) == of(items)
