"""What a filter is: it takes the candidates that are left and returns each of them, or a rejection in its place.

One that a run file can name derives from ``FilterConfig``: its fields are its entry in the file, and ``review`` is what it does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from gramr2.comparison import Label, LabeledComparison
from gramr2.config.schedules import Linear, Quantile, Steps
from gramr2.config.section import Section
from gramr2.judgment import LabelProbabilities
from gramr2.selftraining.candidate import Candidate

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a comparison was dropped: the filter, what it measured, and what it asked for."""

    filter: str
    reason: str
    value: float | str | None
    threshold: float | str | None


class Readers(Protocol):
    """Questions that only a model can answer, asked for the candidates that reach them."""

    def read_back(self, examples: Sequence[LabeledComparison]) -> list[LabelProbabilities | None]:
        """P(label | rationale without its conclusion), responses withheld; None where no verdict could be read."""
        ...

    def pmi(self, examples: Sequence[LabeledComparison]) -> list[float]:
        """Normalised pointwise mutual information of each rationale and its comparison."""
        ...


@dataclass
class FilterContext:
    """Where in the run a filter works, and what it may look at besides the candidates.

    ``tightenings`` counts roll-backs; each moves thresholds towards their strict end by ``tighten_by``. ``known`` are texts
    that must not be learnt again, by id. ``thresholds`` collects what was in force. By comparison id, ``second_view`` is what a
    second, cheaper model trained on the same seed says of the stored order, and ``earlier`` the label that the judge
    of the last round gave, whether it was kept or not.
    """

    number: int = 1
    rounds: int = 1
    seed: int = 0
    tightenings: int = 0
    tighten_by: float = 0.5
    principles: tuple[str, ...] = ()
    known: dict[str, str] = field(default_factory=dict)
    readers: Readers | None = None
    thresholds: dict[str, float] = field(default_factory=dict)
    second_view: Mapping[str, LabelProbabilities] = field(default_factory=dict)
    earlier: Mapping[str, Label] = field(default_factory=dict)

    def limit(
        self,
        place: str,
        schedule: float | Linear | Steps | Quantile,
        scores: Sequence[float] = (),
        *,
        at_least: bool = True,
        strict: float | None = None,
    ) -> float:
        """The threshold in force, written down under ``place``.

        Args:
            scores: the candidates' values, for schedules that look at them.
            at_least: whether values must reach the threshold, or must not exceed it.
            strict: the strictest value it can have, towards which roll-backs move it; None for one without such an end.
        """
        sign = 1 if at_least else -1
        if isinstance(schedule, int | float):
            value = float(schedule)
        elif isinstance(schedule, Quantile):
            value = sign * schedule.at(self.number, self.rounds, [sign * score for score in scores])
        else:
            value = schedule.at(self.number, self.rounds, scores)
        if strict is not None and math.isfinite(value):
            value = strict - (strict - value) * (1 - self.tighten_by) ** self.tightenings
        if math.isfinite(value):
            self.thresholds[place] = value = round(value, 6)
        return value


Stage = Literal["decision", "example"]
"""what a filter looks at"""
Failed = Literal["auto", "drop", "strip"]
"""what becomes of a label whose rationale is bad: the comparison is dropped; the rationale is stripped and the label learnt; or
auto: stripped where the label was read directly and does not rest on the rationale, else dropped"""


class Filter(Protocol):
    """One criterion, or a few that belong together."""

    @property
    def name(self) -> str:
        """What drops are counted under."""
        ...

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        """For each candidate, in order: itself (perhaps with a measure or in another order), or its rejection."""
        ...


class FilterConfig(Section):
    """A filter that a run file can name, by ``kind``. Any threshold may be a schedule, see ``gramr2.config.schedules``.

    The first sentence of a filter's docstring is its line in the documentation, where its fields and ``measures`` follow.
    """

    kind: str
    """names the filter"""

    stage: ClassVar[Stage] = "example"
    """decision: it looks at decisions alone, so it can stand before the rationales are written and save their cost"""
    needs_rationale: ClassVar[bool] = False
    """it looks at rationales, which a judge of labels alone does not write"""
    needs_second_view: ClassVar[bool] = False
    """it looks at what a second, cheaper model says"""
    formerly: ClassVar[str | None] = None
    """an older name that run files may still use"""
    measures: ClassVar[Mapping[str, str]] = {}
    """numbers that it leaves in ``measures`` of kept and dropped rows, and what they are"""

    @property
    def name(self) -> str:
        """What drops are counted under."""
        return self.kind

    @property
    def view_named(self) -> str | None:
        """The second view that its entry names; None where it takes the run's."""
        return None

    @property
    def calibrates(self) -> bool:
        """Whether it needs the confidence rescaled on held-out seed comparisons."""
        return False

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        """See ``Filter``."""
        raise NotImplementedError


def bounded(
    candidates: Sequence[Candidate | Rejection],
    context: FilterContext,
    place: str,
    schedule: float | Linear | Steps | Quantile,
    measure: Callable[[Candidate], float | None],
    reason: str,
    *,
    at_least: bool = True,
    strict: float | None = None,
) -> list[Candidate | Rejection]:
    """Object to candidates whose measure is on the wrong side of a threshold; earlier rejections stay.

    Args:
        place: “filter.field”, under which the threshold is recorded; the part before the dot is the filter's name.
        measure: None for a candidate that has nothing to measure; it passes, and no quantile counts it.
    """
    values = [None if isinstance(each, Rejection) else measure(each) for each in candidates]
    scores = [value for value in values if value is not None]
    limit = context.limit(place, schedule, scores, at_least=at_least, strict=strict)
    result: list[Candidate | Rejection] = []
    for each, value in zip(candidates, values, strict=True):
        failed = value is not None and (value < limit - _ROUNDING if at_least else value > limit + _ROUNDING)
        filter_name = place.partition(".")[0]
        result.append(Rejection(filter_name, reason, round(value or 0.0, 4), limit) if failed else each)
    return result


def ruled(
    candidates: Sequence[Candidate | Rejection], check: Callable[[Candidate], Rejection | None]
) -> list[Candidate | Rejection]:
    """Apply a rule without a threshold; earlier rejections stay."""
    return [each if isinstance(each, Rejection) else check(each) or each for each in candidates]


def of_rationales(
    candidates: Sequence[Candidate],
    failed: Failed,
    review: Callable[[Sequence[Candidate]], Sequence[Candidate | Rejection]],
) -> list[Candidate | Rejection]:
    """Review the candidates that have a rationale; one without passes if its label was read directly.

    Args:
        failed: what a rejection of the rationale does: see ``Failed``.
    """
    asked = [c for c in candidates if c.rationale or not (c.decided_directly or failed == "strip")]
    reviewed = dict(zip((c.comparison.id for c in asked), review(asked), strict=True))
    result: list[Candidate | Rejection] = []
    for candidate in candidates:
        verdict = reviewed.get(candidate.comparison.id, candidate)
        strips = failed == "strip" or (failed == "auto" and candidate.decided_directly)
        if isinstance(verdict, Rejection) and strips:
            verdict = candidate.bare().measured(f"stripped_by_{verdict.filter}", 1.0)
        result.append(verdict)
    return result
