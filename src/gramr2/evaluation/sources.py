"""One judge on many sources of comparisons, next to what it has to beat: a row per source, and all sources together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from gramr2.comparison import Label, LabeledComparison
from gramr2.evaluation.metrics import PairedTest, accuracy_interval, evaluate, paired_test
from gramr2.hashing import digest_of
from gramr2.judging.records import labeled_row
from gramr2.judgment import Decision

Row = Mapping[str, Any]
"""what ``measured`` returns, or ``together``"""


@dataclass(frozen=True, slots=True)
class Source:
    """Labelled comparisons of one origin.

    ``seen`` is whether the judge's seed has comparisons of this origin; ``left_out`` how many did not fit the model and are not
    among ``items``.
    """

    name: str
    items: tuple[LabeledComparison, ...]
    seen: bool
    left_out: int = 0

    @property
    def digest(self) -> str:
        """A digest of the comparisons: a different draw has a different one."""
        return digest_of([labeled_row(item) for item in self.items])


def source_of(name: str, items: Sequence[LabeledComparison], *, seen: bool, too_long: frozenset[str]) -> Source:
    """A source without the comparisons whose ids are ``too_long``.

    Comparisons with the same prompt are a group, and no two sources share a group, so that intervals over several sources
    resample prompts.
    """
    kept = tuple(_grouped(item, name) for item in items if item.comparison.id not in too_long)
    return Source(name, kept, seen, len(items) - len(kept))


def measured(source: Source, judge: str, decisions: Sequence[Decision]) -> dict[str, Any]:
    """How a judge did on a source, as JSON; ``labels`` are in the order of the source's items, None if it abstained."""
    found = evaluate(source.items, decisions)
    return {
        "source": source.name,
        "judge": judge,
        **found.headline(),
        "interval": found.interval,
        "left_out": source.left_out,
        "digest": source.digest,
        "labels": [decision.label for decision in decisions],
    }


def together(sources: Sequence[Source], rows: Sequence[Row]) -> dict[str, Any]:
    """One judge over several sources: every comparison counts the same, so that a large source counts more.

    Args:
        sources: with at least one comparison.
        rows: the judge's rows, one for each source, in the same order.
    """
    items, labels = _items(sources), _labels(rows)
    pairs = [(item, label) for item, label in zip(items, labels, strict=True) if label is not None]
    right = [label is item.label for item, label in pairs]
    bounds = accuracy_interval(right, [item.comparison.unit for item, _ in pairs]) if pairs else None
    decided = [(row["n"] * row["coverage"], row["order_flip_rate"]) for row in rows]
    asked = [(count, flips) for count, flips in decided if flips is not None]
    return {
        "n": len(items),
        "accuracy": fmean(right) if right else None,
        "low": bounds.low if bounds else None,
        "high": bounds.high if bounds else None,
        "order_flip_rate": sum(n * flips for n, flips in asked) / sum(n for n, _ in asked) if asked else None,
        "coverage": len(pairs) / len(items),
        "left_out": sum(source.left_out for source in sources),
    }


def difference(sources: Sequence[Source], before: Sequence[Row], after: Sequence[Row]) -> PairedTest:
    """How much more often ``after`` is right than ``before`` on the same comparisons, with prompts resampled; for the
    arguments see ``together``."""
    return paired_test(_items(sources), _labels(before), _labels(after))


def _grouped(item: LabeledComparison, name: str) -> LabeledComparison:
    comparison = item.comparison
    return replace(item, comparison=replace(comparison, group=f"{name}: {comparison.unit}"))


def _items(sources: Sequence[Source]) -> list[LabeledComparison]:
    return [item for source in sources for item in source.items]


def _labels(rows: Sequence[Row]) -> list[Label | None]:
    return [None if label is None else Label(label) for row in rows for label in row["labels"]]
