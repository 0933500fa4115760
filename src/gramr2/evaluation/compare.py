"""Judges on the same items: who is better, by how much, and whether so many items can tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean

from gramr2.comparison import Label, LabeledComparison
from gramr2.errors import ConfigError
from gramr2.evaluation.log import Item, Log, group_of, prompt_text
from gramr2.evaluation.metrics import PairedTest, paired_test, rated
from gramr2.evaluation.power import comparisons_for, design_effect, intraclass, visible_difference
from gramr2.hashing import text_hash

LEVEL = 0.05
"""of significance, two-sided"""


@dataclass(frozen=True, slots=True)
class Standing:
    """A judge on the items that all have.

    ``accuracy`` is over the decided items, with its 95 % interval; ``strict`` counts an abstention as wrong. Judges that share a
    letter of ``groups`` are not significantly different.
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
    """Two judges on a part of the items: the second minus the first in strict accuracy, see ``PairedTest``.

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
        """By the corrected test, which takes items as independent, and by the interval, which does not."""
        return self.adjusted < LEVEL and not self.test.low <= 0 <= self.test.high

    @property
    def more(self) -> int | None:
        """How many more items would show the difference: 0 if it is shown, None if no number would."""
        return 0 if self.significant else None if self.needed is None else max(1, self.needed - self.n)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An item on which two judges state different labels, or only one states any."""

    id: str
    category: str | None
    prompt: str
    expected: str
    labels: tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two judges.

    ``kappa``: Cohen's, of their labels where both decide (None if it is not defined). ``visible``: the difference in accuracy
    that so many items detect with 80 % power, given how often exactly one of the two is right; None if that never happens.
    ``design``: how many times as many items it takes as independent ones would, since items of one prompt are alike (see
    ``gramr2.evaluation.power``).
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
    """Several judges on ``n`` items that all of them have; ``left_out``: items that some do not have."""

    benchmark: str
    n: int
    left_out: int
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]


def compare(logs: Sequence[Log], seed: int = 0) -> Compared:
    """Compare evaluations, best first.

    Items with the same prompt are one unit of the bootstrap, as are those of one group.

    Raises:
        ConfigError: fewer than two evaluations, or no item in common.
    """
    if len(logs) < 2:
        raise ConfigError("compare needs two evaluations at least: name two folders that gramr2 eval wrote")
    if sets := next((log for log in logs if not log.items and log.summary.official), None):
        raise ConfigError(
            f"{sets.path} ranks sets of responses, which compare does not know: its score and interval are in eval.json"
        )
    names = _names(logs)
    items, lines, left_out = _common(logs)
    by_name = dict(zip(names, lines, strict=True))
    pairs = [_pair(a, b, items, by_name, seed) for a, b in combinations(names, 2)]
    adjusted = _adjusted([pair.whole.test.p_value for pair in pairs])
    told = tuple(
        replace(pair, whole=replace(pair.whole, adjusted=value)) for pair, value in zip(pairs, adjusted, strict=True)
    )
    ranked = sorted(names, key=lambda name: (-_strict(by_name[name]), name))
    apart = {frozenset((pair.first, pair.second)) for pair in told if pair.whole.significant}
    letters = significance_groups(ranked, apart)
    standings = tuple(_standing(name, items, by_name[name], letters[name], seed) for name in ranked)
    benchmark = " / ".join(dict.fromkeys(log.summary.benchmark for log in logs))
    return Compared(benchmark, len(items), left_out, standings, told)


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


def _names(logs: Sequence[Log]) -> list[str]:
    models = [log.name for log in logs]
    if len(set(models)) == len(models):
        return models
    folders = [str(log.path) for log in logs]
    if len(set(folders)) < len(folders):
        raise ConfigError("the same evaluation is named twice: give each folder once")
    return folders


def _common(logs: Sequence[Log]) -> tuple[list[LabeledComparison], list[list[Item]], int]:
    """The items that all have with the same text and label, in the order of the first, and each evaluation's lines of them."""
    tables = [{(each.id, _content(each)): each for each in log.items} for log in logs]
    keys = [key for key in tables[0] if all(key in table for table in tables)]
    if not keys:
        raise ConfigError("the evaluations have no item in common: compare evaluations of the same benchmark")
    items = [_labeled(tables[0][key]) for key in keys]
    every = {key for table in tables for key in table}
    return items, [[table[key] for key in keys] for table in tables], len(every) - len(keys)


def _content(item: Item) -> str:
    return text_hash(f"{prompt_text(item.prompt)}\x00{item.responses}\x00{item.expected}", 12)


def _labeled(item: Item) -> LabeledComparison:
    return item.model_copy(update={"group": group_of(item)}).labeled()


def _pair(
    first: str, second: str, items: Sequence[LabeledComparison], lines: Mapping[str, Sequence[Item]], seed: int
) -> Pair:
    labels = [[_label(line) for line in lines[name]] for name in (first, second)]
    right = [[line.right is True for line in lines[name]] for name in (first, second)]
    groups = [item.comparison.group for item in items]
    alike = intraclass([int(b) - int(a) for a, b in zip(*right, strict=True)], groups)

    def tested(name: str, part: Sequence[int]) -> Difference:
        before, after = ([side[i] for i in part] for side in labels)
        test = paired_test([items[i] for i in part], before, after, seed)
        share, design = (
            (test.only_before + test.only_after) / len(part),
            design_effect(alike, [groups[i] for i in part]),
        )
        needed = comparisons_for(test.difference, share, design) if test.difference else None
        return Difference(name, len(part), test, test.p_value, needed)

    whole = tested("all", range(len(items)))
    discordant = (whole.test.only_before + whole.test.only_after) / len(items)
    design = design_effect(alike, groups)
    names = sorted({item.comparison.category or "none" for item in items})
    parts = [[i for i, item in enumerate(items) if (item.comparison.category or "none") == name] for name in names]
    tests = [tested(name, part) for name, part in zip(names, parts, strict=True)]
    adjusted = _adjusted([each.test.p_value for each in tests])
    categories = [replace(each, adjusted=value) for each, value in zip(tests, adjusted, strict=True)]
    both = [(a.value, b.value) for a, b in zip(*labels, strict=True) if a is not None and b is not None]
    differing = [i for i in range(len(items)) if labels[0][i] is not labels[1][i]]
    return Pair(
        first,
        second,
        whole,
        tuple(categories) if len(names) > 1 else (),
        _kappa(both),
        len(both),
        visible_difference(discordant, len(items), design) if discordant else None,
        tuple(_disagreement(lines[first][i], lines[second][i]) for i in differing),
        design,
    )


def _disagreement(first: Item, second: Item) -> Disagreement:
    words = " ".join(prompt_text(first.prompt).split())
    return Disagreement(first.id, first.category, words[:120], first.expected, (first.label, second.label))


def _label(item: Item) -> Label | None:
    return None if item.label is None else Label(item.label)


def _kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    if not pairs:
        return None
    from sklearn.metrics import cohen_kappa_score  # takes a second

    if len({label for pair in pairs for label in pair}) == 1:
        return None
    return float(cohen_kappa_score(*zip(*pairs, strict=True)))


def _adjusted(values: Sequence[float]) -> list[float]:
    """p-values that keep the share of false discoveries below the level that they are compared with."""
    from scipy.stats import false_discovery_control  # takes half a second

    return [float(value) for value in false_discovery_control(values)] if values else []


def _strict(lines: Sequence[Item]) -> float:
    return fmean(line.right is True for line in lines)


def _standing(
    name: str, items: Sequence[LabeledComparison], lines: Sequence[Item], letters: str, seed: int
) -> Standing:
    decided = [(item, line.right) for item, line in zip(items, lines, strict=True) if line.right is not None]
    right = [bool(each) for _, each in decided]
    accuracy, low, high = rated(right, [item.comparison.group for item, _ in decided], seed)
    flips = [line.order_flip for line in lines if line.label is not None and line.order_flip is not None]
    return Standing(
        name,
        len(right),
        accuracy,
        low,
        high,
        _strict(lines),
        fmean(flips) if flips else None,
        letters,
    )
