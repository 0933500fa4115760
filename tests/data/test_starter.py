"""The starter set is what its documentation says: sizes, balance, and nothing shared between its parts."""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files
from statistics import median

import pytest

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.data import load_labeled, load_unlabeled, near_duplicates, overlap

PARTS = ("labeled", "unlabeled", "gold")
CATEGORIES = {"instruction", "facts", "arithmetic", "format", "tone", "safety", "relevance"}


Parts = tuple[tuple[LabeledComparison, ...], tuple[Comparison, ...], tuple[LabeledComparison, ...]]


@pytest.fixture(scope="module")
def parts() -> tuple[tuple[LabeledComparison, ...], tuple[Comparison, ...], tuple[LabeledComparison, ...]]:
    missing = [name for name in PARTS if not files("gramr2.starter").joinpath(f"{name}.jsonl").is_file()]
    if missing:
        pytest.skip(f"the starter set has no {', '.join(missing)} yet")
    return load_labeled("starter:labeled")[0], load_unlabeled("starter:unlabeled")[0], load_labeled("starter:gold")[0]


@pytest.mark.parametrize("part", PARTS)
def test_columns(parts: Parts, part: str) -> None:
    columns = {"id", "prompt", "responses", "category", "source"}
    columns |= {"labeled": {"label", "rationale"}, "gold": {"label"}, "unlabeled": set()}[part]
    text = files("gramr2.starter").joinpath(f"{part}.jsonl").read_text(encoding="utf-8")
    for line in text.splitlines():
        row = json.loads(line)
        assert set(row) == columns, row["id"]


def test_sizes(parts: Parts) -> None:
    labeled, unlabeled, gold = parts
    assert len(labeled) >= 440
    assert len(unlabeled) >= 600
    assert len(gold) >= 240
    assert all(item.rationale for item in labeled)


def test_balance(parts: Parts) -> None:
    for items in (parts[0], parts[2]):
        counts = Counter(item.label for item in items)
        assert 0.10 <= counts[Label.TIE] / len(items) <= 0.20
        assert abs(counts[Label.A] - counts[Label.B]) <= 4
        decided = [item for item in items if item.label is not Label.TIE]
        longer = sum(
            (len(item.comparison.responses[0]) > len(item.comparison.responses[1])) is (item.label is Label.A)
            for item in decided
        )
        assert 0.4 <= longer / len(decided) <= 0.6


def test_a_tie_is_not_told_by_equal_length(parts: Parts) -> None:
    def unlike(items: list[LabeledComparison]) -> float:
        sizes = [sorted(map(len, item.comparison.responses)) for item in items]
        return median(1 - small / large for small, large in sizes)

    for items in (parts[0], parts[2]):
        ties = [item for item in items if item.label is Label.TIE]
        assert unlike(ties) > 0.6 * unlike([item for item in items if item.label is not Label.TIE])


def test_categories(parts: Parts) -> None:
    groups = ([i.comparison for i in parts[0]], list(parts[1]), [i.comparison for i in parts[2]])
    for comparisons in groups:
        counts = Counter(c.category for c in comparisons)
        assert set(counts) == CATEGORIES
        assert min(counts.values()) >= len(comparisons) // 25


def test_rationales_conclude_with_their_label(parts: Parts) -> None:
    from gramr2.judging.template import CONCLUSIONS

    for item in parts[0]:
        assert item.rationale is not None
        assert item.rationale.endswith(CONCLUSIONS[item.label]), item.comparison.id
        if item.label is not Label.TIE:
            assert "Response A" in item.rationale
            assert "Response B" in item.rationale


def test_no_near_duplicates_between_the_parts(parts: Parts) -> None:
    sets = [[i.comparison for i in parts[0]], list(parts[1]), [i.comparison for i in parts[2]]]
    texts = [{c.id: " ".join([c.prompt_text, *c.responses]) for c in each} for each in sets]
    prompts = [{c.id: c.prompt_text for c in each} for each in sets]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert overlap(sets[i], sets[j]) == []
        assert near_duplicates(texts[i], texts[j], 0.4) == []
        assert near_duplicates(prompts[i], prompts[j], 0.7) == []
