"""The lab's data sets: ``lab:labeled``, ``lab:unlabeled``, ``lab:gold`` and ``lab:test``, generated on demand.

They are always the same, and disjoint: a hash of its prompt assigns every problem to one of them. One kind of comparison can be
requested alone, as in ``lab:labeled/both-wrong``, so that few labels can cover every kind. ``lab:labeled@mirror`` is the same
part of a family that the lab's judge has never seen.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import cache
from typing import Any

from gramr2.comparison import Comparison, LabeledComparison, Message
from gramr2.errors import DataError
from gramr2.judging.records import labeled_row
from gramr2.randomness import fraction
from gramr2.research.lab.problems import Family, Problem
from gramr2.research.lab.rationales import (
    FAMILIES,
    NEW_FAMILIES,
    PHRASINGS,
    family_of,
    grades,
    solved,
)

PREFIX = "lab:"
SEED = 2026_11


class Part(StrEnum):
    """A data set of the lab, or the problems that the tiny model is pretrained on."""

    LABELED = "labeled"
    UNLABELED = "unlabeled"
    GOLD = "gold"
    TEST = "test"
    PRETRAINING = "pretraining"


class Kind(StrEnum):
    """Which of a comparison's two responses are right; the last two kinds are ties."""

    DECIDED = "decided"
    BOTH_RIGHT = "both-right"
    BOTH_WRONG = "both-wrong"


_SHARES = {Part.PRETRAINING: 0.5, Part.UNLABELED: 0.3, Part.LABELED: 0.08, Part.GOLD: 0.06, Part.TEST: 0.06}
SIZES = {Part.LABELED: 2000, Part.UNLABELED: 10_000, Part.GOLD: 1000, Part.TEST: 1000}
"""number of comparisons in each part; a run uses as many as its ``limit`` says"""
DECIDED = 2 / 3
"""share of comparisons with one right and one wrong response; the others are ties, half of them right and half wrong"""


def part_of(prompt: str) -> Part:
    """The part that a problem belongs to."""
    place = fraction(SEED, "part", prompt)
    for part, share in _SHARES.items():
        place -= share
        if place < 0:
            return part
    return Part.TEST


def problems(
    part: Part,
    rng: random.Random,
    weights: Sequence[float] | None = None,
    families: Sequence[Family] = FAMILIES,
) -> Iterator[tuple[Family, Problem]]:
    """An endless stream of a part's problems, with equal shares of difficulties and (without ``weights``) families; short ones
    recur."""
    while True:
        family = rng.choices(families, weights)[0]
        problem = family.draw(rng, rng.choice(list(family.difficulties)))
        if part_of(family.ask(problem)) is part:
            yield family, problem


def responses(family: Family, problem: Problem, rng: random.Random) -> tuple[str, str]:
    """Two responses: one right and one wrong, both right, or both wrong; never the same text twice."""
    truth = family.solve(problem)
    right = (True, False) if rng.random() < DECIDED else (rng.random() < 0.5,) * 2
    right = right if rng.random() < 0.5 else (right[1], right[0])
    while True:
        answers = [truth if good else family.slip(rng, problem) for good in right]
        texts = [rng.choice(PHRASINGS).format(answer) for answer in answers]
        if texts[0] != texts[1] and (answers[0] != answers[1] or all(right)):
            return texts[0], texts[1]


def comparison(name: str, family: Family, problem: Problem, texts: tuple[str, str]) -> Comparison:
    """The comparison of two responses to a problem; its category is the family with the difficulty."""
    return Comparison(
        id=name,
        prompt=(Message("user", family.ask(problem)),),
        responses=texts,
        category=f"{problem.family}-{problem.difficulty}",
        source="lab",
        group=family.ask(problem),
    )


def draw(part: Part, family_name: str = "") -> tuple[LabeledComparison, ...]:
    """All comparisons of a part, each problem at most once, with true labels and rationales; of a new family if one is named."""
    return _drawn(part, family_name, SIZES[part])


@cache
def _drawn(part: Part, family_name: str, size: int) -> tuple[LabeledComparison, ...]:
    """Kept, since a run reads its sources several times: all parts together take 14 MB."""
    name = f"{part.value}@{family_name}" if family_name else part.value
    families = [family_of(family_name)] if family_name else FAMILIES
    rng = random.Random(f"{SEED} {name}")
    seen: set[Problem] = set()
    items: list[LabeledComparison] = []
    for family, problem in problems(part, rng, families=families):
        if problem in seen:
            continue
        seen.add(problem)
        each = comparison(f"{name}-{len(items):05d}", family, problem, responses(family, problem, rng))
        items.append(LabeledComparison(each, *solved(family, problem, each.responses)))
        if len(items) == size:
            return tuple(items)
    raise AssertionError("the stream of problems is endless")


def kind_of(item: Comparison) -> Kind:
    """The kind of a comparison of the lab.

    Raises:
        ValueError: it is not one of the lab's.
    """
    right = sum(grades(item))
    return Kind.DECIDED if right == 1 else Kind.BOTH_RIGHT if right else Kind.BOTH_WRONG


def rows(source: str) -> Iterator[dict[str, Any]]:
    """The data set that a source such as ``lab:gold`` or ``lab:gold/decided`` names, as rows of a file.

    Raises:
        DataError: there is none of that name.
    """
    named, slash, kind = source.removeprefix(PREFIX).partition("/")
    name, at, family = named.partition("@")
    new = [each.name for each in NEW_FAMILIES]
    if name not in {part.value for part in SIZES} or (slash and kind not in set(Kind)) or (at and family not in new):
        parts, kinds = (", ".join(names) for names in ((PREFIX + part.value for part in SIZES), Kind))
        raise DataError(
            f"{source}: the lab has {parts}; append {', '.join(f'@{each}' for each in new)} for a new family, then a slash and "
            f"one of {kinds} for a single kind"
        )
    for item in draw(Part(name), family):
        if not kind or kind_of(item.comparison) == kind:
            yield labeled_row(item)
