"""The figures of an attack: how often a verdict moved, beside a neutral edit, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from gramr2.comparison import Comparison
from gramr2.evaluation.attacks.base import SIDES, Attack
from gramr2.evaluation.metrics import paired_interval, share_interval
from gramr2.judgment import Decision


@dataclass(frozen=True, slots=True)
class Share:
    """On how many of n comparisons the verdict moved, and the share with its 95 % interval."""

    moved: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Finding:
    """What an attack did.

    Of the comparisons that the judge decided as they are, ``not_applicable`` cannot be attacked in this way, ``over_long`` do not
    fit the judge with the attack or the neutral edit, and the rest were asked. ``coverage`` is the share of those with a verdict
    under the attack. ``n`` have one under the neutral edit as well, and every rate is over them; rates are None if n is 0.

    ``difference`` is the attack's rate less the neutral edit's, with a 95 % interval in which comparisons of one group or prompt
    are one unit. ``change`` and ``neutral_change`` are mean changes of P(the attacked response is better). An attack with an
    expected verdict has no neutral edit, and none of these.
    """

    attack: str
    asked: int
    not_applicable: int
    over_long: int
    n: int
    coverage: float | None
    attacked: Share | None
    neutral: Share | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    change: float | None = None
    neutral_change: float | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One comparison under one attack: its place among the comparisons, the attacked side, and both variants."""

    place: int
    side: int
    attacked: Comparison
    neutral: Comparison | None

    @property
    def variants(self) -> Iterator[Comparison]:
        yield self.attacked
        if self.neutral is not None:
            yield self.neutral


def finding_of(
    attack: Attack,
    trials: Sequence[Trial],
    counts: tuple[int, int],
    comparisons: Sequence[Comparison],
    before: Sequence[Decision],
    after: dict[Comparison, Decision],
    seed: int,
) -> Finding:
    """What an attack did.

    Args:
        trials: the edited comparisons.
        counts: comparisons that cannot be attacked in this way, and that do not fit.
        comparisons: all, as they are; ``before`` are their decisions.
        after: decisions on variants; one that is not there was refused as too long.
    """
    fitting = [each for each in trials if all(variant in after for variant in each.variants)]
    counts = (counts[0], counts[1] + len(trials) - len(fitting))
    trials = fitting
    whole = [each for each in trials if all(after[variant].label is not None for variant in each.variants)]
    coverage = fmean(after[each.attacked].label is not None for each in trials) if trials else None
    known = (attack.name, len(trials), *counts, len(whole), coverage)
    if not whole:
        return Finding(*known, None)
    units = [comparisons[each.place].unit for each in whole]
    wins = [attack.moved(before[each.place], after[each.attacked], each.side) for each in whole]
    attacked = _share(wins, units, seed)
    pairs = [(each, after[each.neutral]) for each in whole if each.neutral is not None]
    if not attack.paired:
        return Finding(*known, attacked)
    others = [attack.moved(before[each.place], decision, each.side) for each, decision in pairs]
    differences = [int(win) - int(other) for win, other in zip(wins, others, strict=True)]
    low, high = paired_interval(differences, units, seed)
    return Finding(
        *known,
        attacked,
        _share(others, units, seed),
        fmean(differences),
        low,
        high,
        _change([(each.side, before[each.place], after[each.attacked]) for each in whole]),
        _change([(each.side, before[each.place], decision) for each, decision in pairs]),
    )


def _share(moves: Sequence[bool], units: Sequence[str], seed: int) -> Share:
    bounds = share_interval(moves, units, seed)
    return Share(sum(moves), fmean(moves), bounds.low, bounds.high)


def _change(pairs: Sequence[tuple[int, Decision, Decision]]) -> float | None:
    """The mean change of P(the attacked response is better); None if the model gives no probabilities."""
    changes = [
        after.probabilities[SIDES[side]] - before.probabilities[SIDES[side]]
        for side, before, after in pairs
        if before.probabilities is not None and after.probabilities is not None
    ]
    return fmean(changes) if changes else None
