"""What is known of a judge's agreement with people; ``eval.json`` has it under ``agreement``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure over ``n`` comparisons with its 95 % interval; None where it is not defined, or too few are there to draw from."""

    n: int
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Advantage:
    """An annotator and the judge, each against the other annotators (Calderon et al. 2025).

    ``judge``: the share of comparisons on which at least as many of the others agree with the judge as with the annotator;
    ``annotator``: the reverse, and both count where they are equal. ``adjusted`` is the p-value of “the annotator's share is
    larger by ε or more”, corrected for the number of annotators (Benjamini and Yekutieli 2001).
    """

    n: int
    judge: float
    annotator: float
    adjusted: float
    won: bool


@dataclass(frozen=True, slots=True)
class Annotator:
    """One annotator: ``same`` is the share of comparisons with the judge's label, ``kappa`` Cohen's κ with the judge, ``others``
    that with the other annotators, pair by pair; ``advantage`` None with fewer than 30 comparisons to test."""

    name: str
    labels: int
    same: Estimate
    kappa: Estimate
    others: Estimate
    advantage: Advantage | None = None


@dataclass(frozen=True, slots=True)
class Replacing:
    """The alternative annotator test: the judge can stand in for an annotator if it wins against half of them at least.

    ``advantage``: the mean of ``Advantage.judge`` over the ``tested`` annotators, of whom it won against ``won``.
    """

    epsilon: float
    tested: int
    won: int
    advantage: float
    passes: bool


@dataclass(frozen=True, slots=True)
class People:
    """Several annotators.

    ``several``: comparisons with labels by two annotators at least; of these all say the same on ``unanimous``, and on ``split``
    no label has most. ``alpha``: Krippendorff's α of these, nominal; ``cohen`` and ``fleiss`` where they are defined. ``without``
    and ``within``: α over those that the judge decides, without it and with it as one more annotator; ``change``: the second
    less the first. ``majority`` and ``majority_kappa``: the judge against the label that most say, where one has most.
    ``replacing`` is None where ``why`` says what is missing.
    """

    comparisons: int
    labels: int
    several: int
    unanimous: int
    split: int
    alpha: Estimate
    cohen: float | None
    fleiss: float | None
    without: Estimate
    within: Estimate
    change: Estimate
    majority: Estimate
    majority_kappa: Estimate
    annotators: tuple[Annotator, ...]
    replacing: Replacing | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Category:
    """A category in which the judge differs from people on ``differs`` of the comparisons, ``gap`` more than in all others.

    ``adjusted``: p-value of the gap by Fisher's exact test, corrected for the number of categories (Benjamini and Hochberg
    1995); ``shown`` if it is below 5 % and the interval of the gap excludes zero.
    """

    name: str
    differs: Estimate
    gap: Estimate
    adjusted: float
    shown: bool


@dataclass(frozen=True, slots=True)
class Needed:
    """How many labels an answer about a category takes: is the judge's accuracy above or below the bar?

    ``needed``: comparisons in all, if the accuracy is what it seems (None if that is the bar); ``more`` of them are missing, 0
    if the interval excludes the bar already. ``fewest``: in all, if the accuracy is at the end of the interval that is farthest
    from the bar. ``design`` is the design effect, see ``gramr2.evaluation.power``.
    """

    name: str
    accuracy: Estimate
    design: float
    settled: bool
    needed: int | None
    more: int | None
    fewest: int | None


@dataclass(frozen=True, slots=True)
class Differing:
    """A comparison on which the judge differs from people: from ``against`` of its ``labels``."""

    id: str
    category: str | None
    prompt: str
    expected: str
    label: str
    against: int
    labels: int
    confidence: float | None


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """All of it.

    ``same`` and ``kappa``: the judge against the benchmark's label, a tie where no label has most. ``differing``: the first of
    ``differ`` comparisons, those first on which most people say otherwise. ``notes``: what is missing, a sentence each.
    """

    bar: float
    same: Estimate
    kappa: Estimate
    people: People | None
    categories: tuple[Category, ...]
    needed: tuple[Needed, ...]
    differ: int
    differing: tuple[Differing, ...]
    notes: tuple[str, ...]
