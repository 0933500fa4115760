"""A and B level after exchanging, whatever they were before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from conftest import labeled
from gramr2.comparison import Label
from gramr2.data.balance import balancing_swaps, is_fixed


@given(st.lists(st.tuples(st.sampled_from(list(Label)), st.booleans()), max_size=30), st.integers(0, 99))
def test_level_as_far_as_exchanging_goes(kinds: list[tuple[Label, bool]], seed: int) -> None:
    items = [
        labeled(str(i), label, "A is right, B fails." if fixed else None) for i, (label, fixed) in enumerate(kinds)
    ]
    swaps = balancing_swaps(items, seed)
    assert not any(
        swap and (is_fixed(item) or item.label is Label.TIE) for item, swap in zip(items, swaps, strict=True)
    )
    shown = [item.label.swap() if swap else item.label for item, swap in zip(items, swaps, strict=True)]
    fixed = [item.label for item in items if is_fixed(item)]
    free = sum(item.label is not Label.TIE and not is_fixed(item) for item in items)
    surplus = abs(fixed.count(Label.A) - fixed.count(Label.B))
    assert abs(shown.count(Label.A) - shown.count(Label.B)) <= max(1, surplus - free)


def test_the_draw_belongs_to_the_item_not_to_its_place() -> None:
    items = [labeled(str(i), Label.A) for i in range(20)]
    assert balancing_swaps(items[::-1], 3) == balancing_swaps(items, 3)[::-1]
    assert balancing_swaps(items, 4) != balancing_swaps(items, 3)
