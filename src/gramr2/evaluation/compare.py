"""Judges on the same items, or sets of responses: who is better, by how much, and whether so many can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from statistics import fmean

from gramr2.comparison import Label
from gramr2.data.annotators import cohen
from gramr2.errors import ConfigError
from gramr2.evaluation.letters import significance_groups
from gramr2.evaluation.log import Item, Log, prompt_text
from gramr2.evaluation.metrics import PairedTest, paired_interval, rated
from gramr2.evaluation.power import comparisons_for, design_effect, intraclass, visible_difference
from gramr2.evaluation.sides import Common, Side, T, common_items, common_sets, expected_of
from gramr2.evaluation.signs import exact_test, flipped_test
from gramr2.evaluation.without_ties import of_log

__all__ = [
    "Compared",
    "Difference",
    "Disagreement",
    "Pair",
    "Standing",
    "compare",
    "significance_groups",
]

LEVEL = 0.05
"""of significance, two-sided"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A judge on the items that all have.

    ``accuracy`` is over the decided items, with its 95 % interval; ``strict`` counts an abstention as wrong. For sets,
    ``accuracy`` is the mean score of those that were ranked, and ``strict`` that of all, where a failure counts what the
    benchmark says. Judges that share a letter of ``groups`` are not significantly different.
    """

    name: str
    decided: int
    accuracy: float | None
    low: float | None
    high: float | None
    strict: float
    order_flip_rate: float | None
    groups: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two judges on a part of the items: the second minus the first in strict accuracy or mean score, see ``PairedTest``.

    Of sets, ``only_before`` and ``only_after`` are those on which the one or the other scores more.
    ``adjusted``: p-value after the correction for the number of parts, or of pairs (Benjamini and Hochberg 1995). ``needed``: how
    many items in all would show this difference with 80 % power, if it is as large as it seems; None if it is zero.
    """

    name: str
    n: int
    test: PairedTest
    adjusted: float
    needed: int | None = None

    @property
    def significant(self) -> bool:
        """By the corrected test, which takes items as independent (not sets), and by the interval, which does not."""
        return self.adjusted < LEVEL and not self.test.low <= 0 <= self.test.high

    @property
    def more(self) -> int | None:
        """How many more items would show the difference: 0 if it is shown, None if no number would."""
        return 0 if self.significant else None if self.needed is None else max(1, self.needed - self.n)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An item on which two judges state different labels, or only one states any; a set with different responses in first place,
    which are counted from 1."""

    id: str
    category: str | None
    prompt: str
    expected: str
    labels: tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two judges.

    ``kappa``: Cohen's, of their labels where both decide, each comparison in both orders (None if it is not defined).
    ``visible``: the difference in accuracy that so many items detect with 80 % power, given how often exactly one of the two is
    right; None if that never happens. ``design``: how many times as many items it takes as independent ones would, since items
    of one prompt are alike (see ``gramr2.evaluation.power``).
    """

    first: str
    second: str
    whole: Difference
    categories: tuple[Difference, ...]
    kappa: float | None
    both_decided: int
    visible: float | None
    disagreements: tuple[Disagreement, ...]
    design: float = 1.0


@dataclass(frozen=True, slots=True)
class Compared:
    """Several judges on ``n`` items that all of them have; ``left_out``: items that some do not have.

    ``sets`` is the same for the sets of responses that they have ranked; a benchmark of sets alone has no items. Compared without
    ties, ``tied`` items are left out because they are labelled as ties, and ``level`` has for each judge how many of its ties
    went to neither response.
    """

    benchmark: str
    n: int
    left_out: int
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    sets: Compared | None = None
    tied: int = 0
    level: dict[str, int] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[tuple[str, Compared], ...]:
        """What there is to tell: “items” and “sets”."""
        return tuple(
            (name, each) for name, each in (("items", self), ("sets", self.sets)) if each is not None and each.n
        )


def compare(logs: Sequence[Log], seed: int = 0, *, ties: bool = True) -> Compared:
    """Compare evaluations, best first.

    Items with the same prompt are one unit of the bootstrap, as are those of one group. Without ``ties`` a judge's ties go to the
    response that it thinks likelier, and items labelled as ties are left out (see ``gramr2.evaluation.without_ties``).

    Raises:
        ConfigError: fewer than two evaluations, or nothing in common; without ties, no item has a better response.
    """
    if len(logs) < 2:
        raise ConfigError("compare needs two evaluations at least: name two folders that gramr2 eval wrote")
    names = _names(logs)
    items, sets = common_items(logs), common_sets(logs)
    if not items.things and not sets.things:
        raise ConfigError("the evaluations have no item in common: compare evaluations of the same benchmark")
    benchmark = " / ".join(dict.fromkeys(log.summary.benchmark for log in logs))
    ranked = _compared(benchmark, names, sets, seed) if sets.things else None
    if ties:
        return replace(_compared(benchmark, names, items, seed), sets=ranked)
    forced = common_items([of_log(log) for log in logs])
    if not forced.things:
        raise ConfigError("the evaluations have no item with a better response in common: leave out --no-ties")
    level = {
        name: sum(side.said == Label.TIE for side in sides) for name, sides in zip(names, forced.sides, strict=True)
    }
    found = _compared(f"{benchmark}, without ties", names, forced, seed)
    return replace(found, sets=ranked, tied=len(items.things) - len(forced.things), level=level)


def _names(logs: Sequence[Log]) -> list[str]:
    models = [log.name for log in logs]
    if len(set(models)) == len(models):
        return models
    folders = [str(log.path) for log in logs]
    if len(set(folders)) < len(folders):
        raise ConfigError("the same evaluation is named twice: give each folder once")
    return folders


def _compared(benchmark: str, names: Sequence[str], common: Common[T], seed: int) -> Compared:
    if not common.things:
        return Compared(benchmark, 0, common.left_out, (), ())
    sides = dict(zip(names, common.sides, strict=True))
    pairs = [_pair((a, b), (sides[a], sides[b]), common, seed) for a, b in combinations(names, 2)]
    adjusted = _adjusted([pair.whole.test.p_value for pair in pairs])
    told = tuple(
        replace(pair, whole=replace(pair.whole, adjusted=value)) for pair, value in zip(pairs, adjusted, strict=True)
    )
    strict = {name: fmean(side.score for side in sides[name]) for name in names}
    ranked = sorted(names, key=lambda name: (-strict[name], name))
    letters = significance_groups(
        ranked, {frozenset((pair.first, pair.second)) for pair in told if pair.whole.significant}
    )
    standings = tuple(_standing(name, sides[name], common.groups, letters[name], seed) for name in ranked)
    return Compared(benchmark, len(common.things), common.left_out, standings, told)


def _pair(names: tuple[str, str], sides: tuple[Sequence[Side], Sequence[Side]], common: Common[T], seed: int) -> Pair:
    before, after = sides
    differences = [b.score - a.score for a, b in zip(before, after, strict=True)]
    groups, categories, n = common.groups, common.categories, len(common.things)
    ranked = not isinstance(common.things[0], Item)
    alike = intraclass(differences, groups)

    def tested(name: str, part: Sequence[int]) -> Difference:
        own, units = [differences[i] for i in part], [groups[i] for i in part]
        p_value = flipped_test(own, units, seed) if ranked else exact_test(own)
        bounds = paired_interval(own, units, seed)
        test = PairedTest(sum(d < 0 for d in own), sum(d > 0 for d in own), p_value, fmean(own), *bounds)
        spread, design = fmean(d**2 for d in own), design_effect(alike, units)
        needed = comparisons_for(test.difference, spread, design) if test.difference else None
        return Difference(name, len(part), test, p_value, needed)

    names_of = sorted(set(categories))
    tests = [tested(name, [i for i in range(n) if categories[i] == name]) for name in names_of]
    adjusted = _adjusted([each.test.p_value for each in tests])
    both = [(a.said, b.said) for a, b in zip(before, after, strict=True) if a.said is not None and b.said is not None]
    design, spread = design_effect(alike, groups), fmean(d**2 for d in differences)
    return Pair(
        *names,
        tested("all", range(n)),
        tuple(replace(each, adjusted=value) for each, value in zip(tests, adjusted, strict=True))
        if len(names_of) > 1
        else (),
        # The first places of sets are no categories.
        None if ranked else cohen([(Label(one), Label(other)) for one, other in both]),
        len(both),
        visible_difference(spread, n, design) if spread else None,
        tuple(
            _disagreement(thing, (a.said, b.said))
            for thing, a, b in zip(common.things, before, after, strict=True)
            if a.said != b.said
        ),
        design,
    )


def _disagreement(thing: T, labels: tuple[str | None, str | None]) -> Disagreement:
    words = " ".join(prompt_text(thing.prompt).split())
    return Disagreement(thing.id, thing.category, words[:120], expected_of(thing), labels)


def _adjusted(values: Sequence[float]) -> list[float]:
    """p-values that keep the share of false discoveries below the level that they are compared with."""
    from scipy.stats import false_discovery_control  # takes half a second

    return [float(value) for value in false_discovery_control(values)] if values else []


def _standing(name: str, sides: Sequence[Side], groups: Sequence[str], letters: str, seed: int) -> Standing:
    decided = [(side.own, group) for side, group in zip(sides, groups, strict=True) if side.own is not None]
    own, units = [value for value, _ in decided], [group for _, group in decided]
    flips = [side.order_flip for side in sides if side.said is not None and side.order_flip is not None]
    if all(value in (0, 1) for value in own):
        mean, low, high = rated([value == 1 for value in own], units, seed)
    else:
        mean, (low, high) = fmean(own), paired_interval(own, units, seed, 0.0)
    strict = fmean(side.score for side in sides)
    return Standing(name, len(own), mean, low, high, strict, fmean(flips) if flips else None, letters)
