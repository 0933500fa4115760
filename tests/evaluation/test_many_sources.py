"""Several sources together: pooled by comparison, resampled by prompt."""

from __future__ import annotations

import pytest

from conftest import labeled
from gramr2.comparison import Label
from gramr2.evaluation.sources import Source, difference, measured, source_of, together
from gramr2.judgment import Decision


def decided(source: Source, labels: list[Label | None]) -> list[Decision]:
    return [
        Decision(item.comparison.id, (), label, None, None, None, False if label else None, float(label is not None))
        for item, label in zip(source.items, labels, strict=True)
    ]


def source(name: str, count: int, **extra: str) -> Source:
    items = [labeled(f"c{i}", Label.A, **extra) for i in range(count)]
    return source_of(name, items, seen=True, too_long=frozenset())


def test_what_is_too_long_is_counted_and_gone() -> None:
    found = source_of("s", [labeled(f"c{i}", Label.A) for i in range(3)], seen=False, too_long=frozenset({"c1"}))
    assert ([item.comparison.id for item in found.items], found.left_out) == (["c0", "c2"], 1)


def test_equal_groups_of_two_sources_are_two() -> None:
    one, two = source("one", 2, group="g"), source("two", 2)
    assert one.items[0].comparison.group == one.items[1].comparison.group
    # Without a group of its own a comparison goes with its prompt.
    assert two.items[0].comparison.group != two.items[1].comparison.group
    assert source("two", 1, group="g").items[0].comparison.group != one.items[0].comparison.group


def test_every_comparison_counts_alike() -> None:
    large, small = source("large", 6), source("small", 2)
    rows = [
        measured(large, "j", decided(large, [Label.A] * 6)),
        measured(small, "j", decided(small, [Label.B, None])),
    ]
    found = together([large, small], rows)
    assert (found["n"], found["accuracy"], found["coverage"]) == (8, pytest.approx(6 / 7), 7 / 8)
    worse = [measured(s, "k", decided(s, [Label.B] * len(s.items))) for s in (large, small)]
    test = difference([large, small], worse, rows)
    # An abstention is not right.
    assert (test.only_after, test.only_before, test.difference) == (6, 0, 6 / 8)


def test_another_draw_has_another_digest() -> None:
    assert source("s", 3).digest == source("s", 3).digest != source("s", 4).digest
