"""What a person should know of a run's data before it is learnt from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gramr2.comparison import Comparison, LabeledComparison, folded
from gramr2.data import near_duplicates, subset
from gramr2.data.annotators import agreement
from gramr2.evaluation.contamination import Contamination, contamination
from gramr2.evaluation.stated import concluded
from gramr2.judging.judge import Progress
from gramr2.selftraining.filters.duplicates import Duplicates, same_responses, text_of

if TYPE_CHECKING:
    from gramr2.selftraining.run.data import RunData

SIMILAR: float = Duplicates.model_fields["max_similarity"].default
"""overlap of word 3-grams (Jaccard) above which comparisons are near copies"""
MOST = 10_000
"""comparisons of a part that are compared with each other"""
EVERY = 200
"""comparisons between two reports of progress"""
MOST_OF_POOL = 50_000
"""pool comparisons that ``gramr2 check`` compares with gold, which takes it less than a minute; a run compares all"""


def doubts(items: Sequence[LabeledComparison]) -> dict[str, Any]:
    """Comparisons that occur again and how far their labels agree, and rows that teach nothing."""
    found = agreement(items)
    stated = [(item.label, concluded(item.rationale)) for item in items if item.rationale]
    kappas = {"cohen_kappa": found.cohen, "fleiss_kappa": found.fleiss}
    return {
        "repeated": found.repeated,
        "conflicting": found.conflicting,
        **{
            name: None if value is None else round(value, 3)
            for name, value in ({"alpha": found.alpha} | kappas).items()
        },
        "identical_responses": sum(len(set(item.comparison.responses)) == 1 for item in items),
        "rationale_says_otherwise": sum(said is not None and said is not label for label, said in stated),
    }


def learnt_from(data: RunData, most: int | None = None) -> Iterator[tuple[str, Comparison]]:
    """What a run learns from, each comparison with the place of its source in a run file; of the pool at most so many."""
    parts = {
        "data.seed": (*data.seed, *data.held_out),
        "rationale.proving.data": data.proving,
        "final.data": data.final,
    }
    for place, items in parts.items():
        yield from ((place, item.comparison) for item in items)
    yield from (("data.pool", each) for each in (data.pool if most is None else subset(data.pool, most, 0)))


def gold_in_training(data: RunData, most: int | None = None, progress: Progress | None = None) -> Contamination:
    """How much of gold occurs in what the run learns from, in part (whole copies are refused before); of the pool at most so many
    are looked at."""
    gold = [("data.gold", item.comparison) for item in data.gold]
    learnt = list(learnt_from(data, most))

    def told() -> Iterator[tuple[str, Comparison]]:
        for done, each in enumerate(learnt, 1):
            yield each
            if progress is not None and (done % EVERY == 0 or done == len(learnt)):
                progress(done, len(learnt))

    return contamination(told(), {"gold": gold})["gold"]


def told_of_gold(data: RunData, file: Path) -> dict[str, Any]:
    """The numbers of ``gold_in_training``; from the run's ``data.json`` if it has them, since its data do not change."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))["contamination"]
    except (OSError, ValueError, KeyError, TypeError):
        return gold_in_training(data).summary()
    return told if isinstance(told, dict) else gold_in_training(data).summary()


def near_copies(data: RunData, progress: Progress | None = None) -> dict[str, dict[str, int]]:
    """By part: how many comparisons were looked at, how many of them are copies of another, how many near copies as the filter
    ``duplicates`` knows them, and of gold how many are near copies of what is learnt from. The responses may be in either order.
    """
    parts = {
        "seed": [item.comparison for item in (*data.seed, *data.held_out)],
        "pool": [*data.pool],
        "gold": [item.comparison for item in data.gold],
    }
    texts: dict[str, dict[str, str]] = {}
    found: dict[str, dict[str, int]] = {}
    total, done = sum(min(len(items), MOST) for items in parts.values()), 0
    for part, items in parts.items():
        looked = subset(items, MOST, 0)
        # Only the first of several copies is compared with others.
        first = {_folded(each): each for each in reversed(looked)}
        own = {f"{place:08}": each for place, each in enumerate(first.values())}
        texts[part] = {key: text_of(each) for key, each in own.items()}
        found[part] = {"compared": len(looked), "copies": len(looked) - len(own), "near": len(_near(own, texts[part]))}
        done += len(looked)
        if progress is not None:
            progress(done, total)
    for part in ("seed", "pool"):
        pairs = near_duplicates(texts[part], texts["gold"], SIMILAR)
        found["gold"][f"near_{part}"] = len({of_gold for _, of_gold, overlap in pairs if overlap > SIMILAR})
    return found


def _near(own: Mapping[str, Comparison], texts: Mapping[str, str]) -> set[str]:
    """The later ones of those that are near copies of each other."""
    return {
        later
        for earlier, later, overlap in near_duplicates(texts, texts, SIMILAR)
        if earlier < later and overlap > SIMILAR and same_responses(own[earlier], own[later], SIMILAR)
    }


def _folded(comparison: Comparison) -> str:
    return folded(text_of(comparison))
