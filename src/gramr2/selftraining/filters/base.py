"""The filter interface: a filter takes the remaining candidates and returns each of them, or a rejection in its place.

Filters that a run file can name derive from ``FilterConfig``: the fields are the entry in the file, ``review`` does the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.config.schedules import Linear, Quantile, Steps
from gramr2.config.section import Section
from gramr2.judgment import LabelProbabilities
from gramr2.selftraining.candidate import Candidate

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a comparison was dropped: the filter, its reason, the value it measured, and its threshold."""

    filter: str
    reason: str
    value: float | str | None
    threshold: float | str | None


class Readers(Protocol):
    """Measures that need a model, taken only for the candidates that reach the filter."""

    def read_back(self, examples: Sequence[LabeledComparison]) -> list[LabelProbabilities | None]:
        """P(label | rationale without its conclusion), responses withheld; None where no verdict could be read."""
        ...

    def pmi(self, examples: Sequence[LabeledComparison]) -> list[float]:
        """Normalised pointwise mutual information of each rationale and its comparison."""
        ...


@dataclass
class FilterContext:
    """What a filter may use besides the candidates: its place in the run, known texts, and the views of other models.

    ``tightenings`` counts roll-backs; each moves thresholds towards their strict end by ``tighten_by``. ``known`` holds texts
    that must not be learnt, by name, and ``learnt`` the comparisons that already are. ``thresholds`` collects the thresholds
    in force. By comparison id, ``second_view`` has the probabilities of a second, cheaper model trained on the same seed, for
    the stored order, and ``earlier`` the label of the previous round's judge, whether it was kept or not.
    """

    number: int = 1
    rounds: int = 1
    seed: int = 0
    tightenings: int = 0
    tighten_by: float = 0.5
    principles: tuple[str, ...] = ()
    known: dict[str, str] = field(default_factory=dict)
    learnt: dict[str, Comparison] = field(default_factory=dict)
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
        """The threshold in force, recorded under ``place`` with six digits.

        Args:
            scores: the candidates' values, for schedules that depend on them.
            at_least: True if values must reach the threshold, False if they must not exceed it.
            strict: the strictest possible threshold, towards which roll-backs move it; None if there is none.
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
            # Not what is compared: of scores at a threshold, such as 2/3, a rounded one would drop all.
            self.thresholds[place] = round(value, 6)
        return value


Stage = Literal["decision", "example"]
"""what a filter looks at"""
Failed = Literal["auto", "drop", "strip"]
"""what to do with a label whose rationale is bad: drop the comparison; strip the rationale and learn the label; or auto, which
strips if the label was read directly and so does not rest on the rationale, and drops otherwise"""


class Filter(Protocol):
    """One criterion, or several related ones."""

    @property
    def name(self) -> str:
        """The name that drops are counted under."""
        ...

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        """For each candidate, in order: the candidate (perhaps with a measure added or swapped), or its rejection."""
        ...


class FilterConfig(Section):
    """A filter that a run file can name, by ``kind``. Any threshold may be a schedule, see ``gramr2.config.schedules``.

    The first paragraph of a filter's docstring is its line in the documentation, next to the names of its fields.
    """

    kind: str
    """names the filter"""

    stage: ClassVar[Stage] = "example"
    """decision: it needs decisions only, so it can come before the rationales are written and save their cost"""
    needs_rationale: ClassVar[bool] = False
    """whether it needs rationales, which a label-only judge does not write"""
    needs_second_view: ClassVar[bool] = False
    """whether it needs the second view, a second, cheaper model"""
    formerly: ClassVar[str | None] = None
    """an older name that run files may still use"""
    measures: ClassVar[Mapping[str, str]] = {}
    """numbers that it adds to ``measures`` of kept and dropped rows, with their meaning"""

    @property
    def name(self) -> str:
        """The name that drops are counted under."""
        return self.kind

    @property
    def view_named(self) -> str | None:
        """The second view that its entry names; None if it uses the run's."""
        return None

    @property
    def calibrates(self) -> bool:
        """Whether it needs the confidence calibrated on held-out seed comparisons."""
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
    """Reject candidates whose measure is on the wrong side of a threshold; earlier rejections stay.

    Args:
        place: “filter.field”, under which the threshold is recorded; the part before the dot is the filter's name.
        measure: returns None for a candidate with nothing to measure, which passes and is ignored by quantiles; NaN is on the
            wrong side of every threshold.
    """
    values = [None if isinstance(each, Rejection) else measure(each) for each in candidates]
    scores = [value for value in values if value is not None and not math.isnan(value)]
    limit = context.limit(place, schedule, scores, at_least=at_least, strict=strict)
    result: list[Candidate | Rejection] = []
    for each, value in zip(candidates, values, strict=True):
        failed = value is not None and not (value >= limit - _ROUNDING if at_least else value <= limit + _ROUNDING)
        filter_name = place.partition(".")[0]
        result.append(Rejection(filter_name, reason, round(value or 0.0, 4), round(limit, 6)) if failed else each)
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
    """Review the candidates' rationales; one without a rationale passes if its label was read directly or ``failed`` is strip.

    Args:
        failed: what to do if the rationale is rejected, see ``Failed``.
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
