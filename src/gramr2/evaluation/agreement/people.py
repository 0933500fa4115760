"""A judge among its annotators: α and κ, the majority, and whether it is as good as one of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.data.annotations import Labels
from gramr2.data.annotators import agreement
from gramr2.evaluation.agreement.alternative import ANNOTATORS, COMPARISONS, EPSILON, Judged, advantages
from gramr2.evaluation.agreement.coefficients import Counted, Resampled, counts, table
from gramr2.evaluation.agreement.records import Advantage, Annotator, Estimate, People, Replacing
from gramr2.evaluation.metrics import rated


@dataclass(frozen=True, slots=True)
class Line:
    """A comparison: the judge's label if it decided, those of its annotators, and the group whose comparisons are alike."""

    label: Label | None
    labels: Labels
    group: str

    @property
    def majority(self) -> Label | None:
        """The label that most annotators give; None if no label has most."""
        found = Counter(self.labels.values()).most_common(2)
        return found[0][0] if found and (len(found) == 1 or found[0][1] > found[1][1]) else None


def people_of(lines: Sequence[Line], drawn: Resampled, seed: int, epsilon: float = EPSILON) -> People | None:
    """What the labels of annotators say; None if no comparison has two.

    Args:
        lines: all comparisons.
        drawn: from their groups.
        seed: of the other intervals.
        epsilon: what the judge may be worse than a person, see ``alternative``.
    """
    several = [i for i, line in enumerate(lines) if len(line.labels) > 1]
    if not several:
        return None
    both = [i for i in several if lines[i].label is not None]

    def counted(chosen: Sequence[int], judge: bool) -> Counted:
        return Counted.of({i: counts(_labels(lines[i], judge)) for i in chosen})

    without, within = counted(both, False), counted(both, True)
    known = agreement(_rows([lines[i] for i in several]))
    places: dict[str, list[int]] = defaultdict(list)
    for i, line in enumerate(lines):
        for name in line.labels:
            places[name].append(i)
    names = sorted(places, key=lambda name: (-len(places[name]), name))
    judged = [Judged(label, lines[i].labels, lines[i].group) for i in both if (label := lines[i].label) is not None]
    found = advantages(judged, epsilon) if len(names) >= ANNOTATORS else {}
    majority = {i: most for i in several if (most := lines[i].majority) is not None}
    return People(
        comparisons=sum(bool(line.labels) for line in lines),
        labels=sum(map(len, places.values())),
        several=len(several),
        unanimous=sum(len(set(lines[i].labels.values())) == 1 for i in several),
        split=len(several) - len(majority),
        alpha=drawn.alpha(counted(several, False)),
        cohen=known.cohen,
        fleiss=known.fleiss,
        without=drawn.alpha(without),
        within=drawn.alpha(within),
        change=drawn.change(without, within),
        majority=same_as(lines, majority, seed),
        majority_kappa=kappa_with(lines, majority, drawn),
        annotators=tuple(_annotator(name, places[name], lines, drawn, seed, found.get(name)) for name in names),
        replacing=_replacing(found, epsilon),
        why=None if found else _missing(len(names)),
    )


def same_as(lines: Sequence[Line], others: Mapping[int, Label], seed: int) -> Estimate:
    """How often the judge says what other labels say, given by the places of their lines, where it decides."""
    pairs = [(lines[i].label is label, lines[i].group) for i, label in others.items() if lines[i].label is not None]
    return Estimate(len(pairs), *rated([same for same, _ in pairs], [group for _, group in pairs], seed))


def kappa_with(lines: Sequence[Line], others: Mapping[int, Label], drawn: Resampled) -> Estimate:
    """Cohen's κ of the judge and other labels, given by the places of their lines, where it decides."""
    return drawn.kappa(
        Counted.of({i: table(own, label) for i, label in others.items() if (own := lines[i].label) is not None})
    )


def _annotator(
    name: str,
    places: Sequence[int],
    lines: Sequence[Line],
    drawn: Resampled,
    seed: int,
    advantage: Advantage | None,
) -> Annotator:
    own = {i: lines[i].labels[name] for i in places}
    others = {
        i: sum((table(label, other) for who, other in lines[i].labels.items() if who != name), np.zeros(9))
        for i, label in own.items()
        if len(lines[i].labels) > 1
    }
    same, kappa = same_as(lines, own, seed), kappa_with(lines, own, drawn)
    return Annotator(name, len(own), same, kappa, drawn.kappa(Counted.of(others)), advantage)


def _labels(line: Line, judge: bool) -> list[Label]:
    return [*line.labels.values(), *([line.label] if judge and line.label is not None else [])]


def _rows(lines: Sequence[Line]) -> list[LabeledComparison]:
    """The labels as rows of data, for the coefficients that are defined there."""
    return [
        LabeledComparison(
            Comparison(f"{number}/{name}", (Message("user", str(number)),), ("a", "b")), label, annotator=name
        )
        for number, line in enumerate(lines)
        for name, label in line.labels.items()
    ]


def _replacing(found: Mapping[str, Advantage], epsilon: float) -> Replacing | None:
    if not found:
        return None
    mean = sum(each.judge for each in found.values()) / len(found)
    won = sum(each.won for each in found.values())
    return Replacing(epsilon, len(found), won, mean, 2 * won >= len(found))


def _missing(annotators: int) -> str:
    return (
        f"whether the judge is as good as a person takes {ANNOTATORS} annotators at least, each with {COMPARISONS} comparisons "
        f"that another one has labelled and the judge has decided: there are {annotators}"
        if annotators < ANNOTATORS
        else f"whether the judge is as good as a person takes annotators with {COMPARISONS} comparisons each that another one "
        "has labelled and the judge has decided: nobody has as many"
    )
