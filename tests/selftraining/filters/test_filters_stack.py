"""Filters that look at decisions only stand before the rationales, and the report tells the same order."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from gramr2.config import parse_config
from gramr2.registry import filters
from gramr2.reporting.run import RunView
from gramr2.selftraining.filters.stack import build, place_of_rationales
from gramr2.selftraining.rationales.sources import Proving

KINDS = list(filters())
OF_DECISIONS = ["confidence", "consistency", "readings", "second_view", "transitivity", "history"]


def stacks(kinds: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the loop asks, and what the report says that it asked."""
    data = {"seed": "starter:labeled", "pool": "starter:unlabeled", "gold": "starter:gold"}
    raw = {"model": "none", "data": data, "filters": [{"kind": kind} for kind in kinds]}
    loop = build(parse_config(raw).filters, Proving(None))
    return tuple(each.name for each in loop), RunView(Path(), raw, ()).stack


@pytest.mark.parametrize("kind", KINDS)
def test_the_place_of_the_rationales(kind: str) -> None:
    assert place_of_rationales([kind]) == (1 if kind in OF_DECISIONS else 0)


@pytest.mark.parametrize("kinds", permutations(["history", "transitivity", "rationale"]))
def test_loop_and_report_have_one_rule(kinds: tuple[str, ...]) -> None:
    loop, told = stacks(list(kinds))
    assert loop == told
    assert loop.index("unproven") == loop.index("rationale") - 1


def test_every_kind_can_be_named_and_is_called_by_its_name() -> None:
    assert set(OF_DECISIONS) < set(KINDS)
    ordered = OF_DECISIONS + [kind for kind in KINDS if kind not in OF_DECISIONS]
    expected = ("abstained", *OF_DECISIONS, "unproven", *ordered[len(OF_DECISIONS) :])
    assert stacks(ordered) == (expected, expected)
    assert stacks(OF_DECISIONS)[0][-1] == "unproven"
