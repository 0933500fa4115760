"""How often an attack moves a judge's verdict towards the attacked response, beside a neutral edit of the same length.

The judge decides every comparison as it is. The response that lost is attacked, since only that one has something to win; after
a tie, one is drawn by the seed and the comparison's id. Then all attacked and neutral variants are judged in one batch, each with
the seeds of the original's votes. A move is from losing to a tie or a win, or from a tie to a win (``Attack.moved``). A variant
without a verdict is never a move: it lowers the coverage, and its comparison is left out of that attack's rates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from gramr2.comparison import Comparison, Label
from gramr2.evaluation.attacks.base import SIDES, Attack
from gramr2.evaluation.evaluating import short
from gramr2.evaluation.metrics import MIN_GROUPS, accuracy_interval, bootstrap, wilson
from gramr2.journal import address
from gramr2.judging.judge import Progress, compare_with
from gramr2.judging.preference import PreferenceModel
from gramr2.judgment import Decision, Outcome
from gramr2.randomness import derive_seed

FOLDER = Path("runs") / "stress"
"""where results are by default"""
Fits = Callable[[Comparison], bool]
"""whether a comparison's prompts fit the judge"""


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
class Stressed:
    """What all attacks did: the decisions on the comparisons as they are, a finding for each attack, and how many votes failed
    for a reason outside the model, which are worth asking for again."""

    originals: tuple[Decision, ...]
    findings: tuple[Finding, ...]
    errors: int

    @property
    def decided(self) -> int:
        """How many comparisons the judge decided as they are."""
        return sum(each.label is not None for each in self.originals)

    def beyond(self, rate: float) -> list[Finding]:
        """Attacks that moved more than this share, or of which nothing is known because no verdict was given, worst first."""
        found = [each for each in self.findings if each.attacked is None or each.attacked.rate > rate]
        return sorted(found, key=lambda each: -1.0 if each.attacked is None else -each.attacked.rate)


@dataclass(frozen=True, slots=True)
class _Trial:
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


def stress(
    model: PreferenceModel,
    comparisons: Sequence[Comparison],
    attacks: Sequence[Attack],
    *,
    seed: int = 0,
    fits: Fits | None = None,
    progress: Progress | None = None,
) -> Stressed:
    """Attack a judge.

    Args:
        model: the judge.
        comparisons: labelled or not; only the judge's own verdicts count. They must fit it.
        attacks: what is tried, such as ``gramr2.evaluation.attacks.chosen(None)``.
        seed: of votes, drawn sides and intervals.
        fits: whether a variant can be asked; those that cannot are counted as over-long.
        progress: receives (comparisons and variants judged, total), where the total is not known until the originals are judged.
    """
    count = len(comparisons)

    def shown(before: int, extra: int = 0) -> Progress | None:
        return None if progress is None else lambda done, total: progress(before + done, before + total + extra)

    guess = count * sum(1 + each.paired for each in attacks)
    before = compare_with(model, comparisons, seed=seed, progress=shown(0, guess))
    trials: list[list[_Trial]] = []
    counts: list[tuple[int, int]] = []
    for attack in attacks:
        found, impossible, over_long = _trials(attack, comparisons, before, seed, fits)
        trials.append(found)
        counts.append((impossible, over_long))
    # Different attacks may make the same variant, such as two empty responses.
    variants = list(dict.fromkeys(each for some in trials for trial in some for each in trial.variants))
    after = compare_with(model, variants, seed=seed, progress=shown(count)) if variants else []
    decided = dict(zip(variants, after, strict=True))
    findings = [
        _finding(attack, some, numbers, comparisons, before, decided, seed)
        for attack, some, numbers in zip(attacks, trials, counts, strict=True)
    ]
    errors = sum(vote.outcome is Outcome.ERROR for each in (*before, *after) for vote in each.judgments)
    return Stressed(tuple(before), tuple(findings), errors)


def default_out(data: str, model: str, parts: Sequence[object]) -> Path:
    """Where the figures are by default: named after data and model, and told apart by everything that the answers depend on."""
    return FOLDER / f"{short(data)}-{short(model)}-{address(*parts)[:8]}.json"


def attacked_side(decision: Decision, seed: int) -> int:
    """The place of the response that lost; after a tie, one drawn by the seed and the id."""
    if decision.label is None or decision.label is Label.TIE:
        return derive_seed(seed, "attacked", decision.id) % 2
    return 1 - SIDES.index(decision.label)


def _trials(
    attack: Attack, comparisons: Sequence[Comparison], before: Sequence[Decision], seed: int, fits: Fits | None
) -> tuple[list[_Trial], int, int]:
    """What is asked, and how many cannot be attacked or do not fit."""
    found: list[_Trial] = []
    impossible = over_long = 0
    for place, (comparison, decision) in enumerate(zip(comparisons, before, strict=True)):
        if decision.label is None:
            continue
        side = attacked_side(decision, seed)
        attacked = attack.attacked(comparison, side, seed)
        neutral = attack.neutral(comparison, side, seed) if attack.paired else None
        if attacked is None or (attack.paired and neutral is None):
            impossible += 1
            continue
        trial = _Trial(place, side, attacked, neutral)
        if fits is not None and not all(map(fits, trial.variants)):
            over_long += 1
        else:
            found.append(trial)
    return found, impossible, over_long


def _finding(
    attack: Attack,
    trials: Sequence[_Trial],
    counts: tuple[int, int],
    comparisons: Sequence[Comparison],
    before: Sequence[Decision],
    after: dict[Comparison, Decision],
    seed: int,
) -> Finding:
    whole = [each for each in trials if all(after[variant].label is not None for variant in each.variants)]
    coverage = fmean(after[each.attacked].label is not None for each in trials) if trials else None
    known = (attack.name, len(trials), *counts, len(whole), coverage)
    if not whole:
        return Finding(*known, None)
    units = [comparisons[each.place].group or comparisons[each.place].prompt_text for each in whole]
    wins = [attack.moved(before[each.place], after[each.attacked], each.side) for each in whole]
    attacked = _share(wins, units, seed)
    pairs = [(each, after[each.neutral]) for each in whole if each.neutral is not None]
    if not attack.paired:
        return Finding(*known, attacked)
    others = [attack.moved(before[each.place], decision, each.side) for each, decision in pairs]
    differences = [int(win) - int(other) for win, other in zip(wins, others, strict=True)]
    low, high = _interval(differences, units, seed)
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
    count = len(set(units))
    # A bootstrap of groups that all say the same sees no spread.
    level = len(set(moves)) == 1
    bounds = wilson(count * moves[0], count) if level else accuracy_interval(moves, units, seed)
    return Share(sum(moves), fmean(moves), bounds.low, bounds.high)


def _interval(differences: Sequence[int], units: Sequence[str], seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of a mean of paired differences; with fewer than ten units, over the pairs.

    Where all pairs say the same, a bootstrap sees no spread. Then the bounds are Wilson's for the share of units that say
    otherwise.
    """
    first = differences[0]
    if all(each == first for each in differences):
        other = wilson(0, len(set(units))).high
        return max(-1.0, first - other), min(1.0, first + other)
    groups: dict[str, list[int]] = defaultdict(list)
    for unit, difference in zip(units, differences, strict=True):
        groups[unit].append(difference)
    drawn = list(groups.values()) if len(groups) >= MIN_GROUPS else [[each] for each in differences]
    return bootstrap([(sum(each), len(each)) for each in drawn], seed)


def _change(pairs: Sequence[tuple[int, Decision, Decision]]) -> float | None:
    """The mean change of P(the attacked response is better); None if the model gives no probabilities."""
    changes = [
        after.probabilities[SIDES[side]] - before.probabilities[SIDES[side]]
        for side, before, after in pairs
        if before.probabilities is not None and after.probabilities is not None
    ]
    return fmean(changes) if changes else None
