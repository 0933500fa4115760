"""The filter stack of a run: its order, and how candidates pass through it."""

from __future__ import annotations

from collections.abc import Sequence

from gramr2 import registry
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.abstention import Abstention
from gramr2.selftraining.filters.base import Filter, FilterConfig, FilterContext, Rejection


def place_of_rationales(kinds: Sequence[str]) -> int:
    """The place in a stack where rationales are added: before the first filter that needs more than decisions."""
    known = registry.filters()
    early = [kind in known and known[kind].stage == "decision" for kind in kinds]
    return early.index(False) if False in early else len(kinds)


def build(configs: Sequence[FilterConfig], examples: Filter | None = None) -> list[Filter]:
    """The stack for a config: ``Abstention`` in front, ``examples`` before the first filter that needs more than decisions."""
    place = place_of_rationales([config.kind for config in configs])
    return [Abstention(), *configs[:place], *([examples] if examples else []), *configs[place:]]


def apply_filters(
    stack: Sequence[Filter], candidates: Sequence[Candidate], context: FilterContext
) -> tuple[list[Candidate], list[tuple[Candidate, Rejection]]]:
    """Kept candidates, and dropped ones with the first rejection of each; both in the order given.

    A filter sees only what the filters before it passed.
    """
    left = list(candidates)
    rejections: dict[str, tuple[Candidate, Rejection]] = {}
    for each in stack:
        if not left:
            break
        passed: list[Candidate] = []
        for candidate, verdict in zip(left, each.review(left, context), strict=True):
            if isinstance(verdict, Rejection):
                rejections[candidate.comparison.id] = (candidate, verdict)
            else:
                passed.append(verdict)
        left = passed
    return left, [rejections[c.comparison.id] for c in candidates if c.comparison.id in rejections]
