"""Letters that say which judges of a table are not significantly different."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def significance_groups(ranked: Sequence[str], apart: Iterable[frozenset[str]]) -> dict[str, str]:
    """Letters for judges in their order: two share one if and only if they are not ``apart`` (Piepho 2004, insert and absorb)."""
    groups = [frozenset(ranked)]
    for pair in sorted(apart, key=sorted):
        split = [part for group in groups for part in ([group - {each} for each in pair] if pair <= group else [group])]
        # A group within another says nothing new.
        unique = list(dict.fromkeys(split))
        groups = [group for group in unique if not any(group < other for other in unique)]
    groups.sort(key=lambda group: [ranked.index(name) for name in sorted(group, key=ranked.index)])
    return {name: "".join(_letter(i) for i, group in enumerate(groups) if name in group) for name in ranked}


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"({number + 1})"
