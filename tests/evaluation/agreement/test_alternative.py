"""The alternative annotator test, by hand and against scipy's t test."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from scipy.stats import ttest_1samp

from gramr2.comparison import Label
from gramr2.evaluation.agreement.alternative import Judged, advantages, worse_by

A, B = Label.A, Label.B


def judged(number: int, label: Label, **labels: Label) -> Judged:
    return Judged(label, labels, number)


def test_shares_by_hand() -> None:
    # Forty comparisons. On ten the judge and p say A with q and r; on ten q alone says B; on twenty the judge alone does.
    rows = [
        *(judged(i, A, p=A, q=A, r=A) for i in range(10)),
        *(judged(i, A, p=A, q=B, r=A) for i in range(10, 20)),
        *(judged(i, B, p=A, q=A, r=A) for i in range(20, 40)),
    ]
    found = advantages(rows)
    assert {name: (each.n, each.judge, each.annotator) for name, each in found.items()} == {
        "p": (40, 0.5, 1.0),
        # q is left out: p and r agree with the judge where q differs.
        "q": (40, 0.5, 0.75),
        "r": (40, 0.5, 1.0),
    }
    assert not any(each.won for each in found.values())
    # A judge who is always with the majority stands in for each, since nobody is nearer to the others.
    best = advantages([replace(row, label=A) for row in rows])
    assert {name: (each.judge, each.won) for name, each in best.items()} == {
        "p": (1, True),
        "q": (1, True),
        "r": (1, True),
    }


def test_who_has_labelled_little_is_not_tested() -> None:
    rows = [judged(i, A, p=A, q=A, **({"r": A} if i < 29 else {})) for i in range(40)]
    assert set(advantages(rows)) == {"p", "q"}
    assert advantages(rows[:29]) == {}
    # A comparison that nobody else has labelled counts for nobody.
    assert advantages([judged(i, A, p=A) for i in range(40)]) == {}


def test_without_shared_prompts_it_is_the_t_test() -> None:
    rng = random.Random(2)
    values = [rng.choice([-1, 0, 0, 1]) for _ in range(50)]
    expected = float(ttest_1samp(values, 0.1, alternative="less").pvalue)
    assert worse_by(values, range(50), 0.1) == pytest.approx(expected)
    # Every value twice, under one prompt: as if there were fifty.
    twice = [value for value in values for _ in range(2)]
    assert worse_by(twice, [i // 2 for i in range(100)], 0.1) == pytest.approx(expected)


def test_no_variance_is_no_certainty() -> None:
    assert worse_by([0] * 30, range(30), 0.1) == pytest.approx(0.9**30)
    assert worse_by([-1] * 30, range(30), 0.1) == pytest.approx(0.45**30)
    assert worse_by([1] * 30, range(30), 0.1) == 1
    assert worse_by([0] * 30, [0] * 30, 0.1) == pytest.approx(0.9)


def test_a_judge_like_the_others_passes_and_a_worse_one_does_not() -> None:
    rng = random.Random(4)

    def rows(quality: float) -> list[Judged]:
        found = []
        for i in range(300):
            truth = rng.choice([A, B])
            say = [truth if rng.random() < q else truth.swap() for q in (quality, 0.8, 0.8, 0.8)]
            found.append(judged(i, say[0], p=say[1], q=say[2], r=say[3]))
        return found

    assert sum(each.won for each in advantages(rows(0.85)).values()) == 3
    assert sum(each.won for each in advantages(rows(0.6)).values()) == 0
