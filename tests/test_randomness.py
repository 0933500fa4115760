"""Numbers by address: the same on every machine and in every version, and spread evenly."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramr2.randomness import derive_seed, fraction

addresses = st.lists(st.text(st.sampled_from("a1\x1f\x00é\ud800"), max_size=4) | st.integers(), max_size=3)


@pytest.mark.parametrize(
    ("address", "share", "seed"),
    [
        ((0,), 0.5162886151263629, 4761921975702974394),
        ((1, "vote", "c1", 2), 0.461208016678588, 4253893124206540204),
        ((-3, "é", "\ud800"), 0.6924913708977658, 6387105546101682506),
    ],
)
def test_old_runs_can_be_repeated(address: tuple[int, str], share: float, seed: int) -> None:
    """If these numbers change, every sample, split and order of every run does."""
    assert fraction(*address) == share
    assert derive_seed(*address) == seed


@settings(max_examples=50)
@given(st.integers(), addresses)
def test_any_address_has_a_share_below_one_and_a_seed_of_63_bits(seed: int, parts: list[str | int]) -> None:
    assert 0 <= fraction(seed, *parts) < 1
    assert 0 <= derive_seed(seed, *parts) < 1 << 63


def test_every_part_counts_at_its_place() -> None:
    addresses: list[tuple[int, *tuple[str | int, ...]]] = [
        (0,), (0, ""), (0, "", ""), (0, 0), (0, "a"), (1, "a"), (10, "a"), (1, "0a"), (0, "a", "b"), (0, "b", "a"),
        (0, "ab"), (0, "a", 1), (0, "a", 11), (0, "a1"), (0, "a", 1, 1), (0, "A"),
    ]  # fmt: skip
    for draw in (fraction, derive_seed):
        assert len({draw(*address) for address in addresses}) == len(addresses)


def test_shares_and_seeds_fill_their_ranges_evenly() -> None:
    """Of 8000 neighbours 500 are expected in each of 16 parts; chi-square with 15 degrees is below 37.7 with P = 0.999."""
    shares = Counter(int(16 * fraction(3, "item", i)) for i in range(8000))
    high = Counter(derive_seed(3, "item", i) >> 59 for i in range(8000))
    low = Counter(derive_seed(3, "item", i) & 15 for i in range(8000))
    for counts in (shares, high, low):
        assert sorted(counts) == list(range(16))
        assert sum((count - 500) ** 2 / 500 for count in counts.values()) < 37.7


def test_neighbouring_addresses_are_independent() -> None:
    pairs = [(fraction(3, "item", i) < 0.5, fraction(4, "item", i) < 0.5) for i in range(4000)]
    assert all(900 < count < 1100 for count in Counter(pairs).values())
