"""Thresholds that move from round to round: strict while labels are noisy, looser later (the curriculum of GRAM-R², §3).

Any threshold of a filter is a plain number, which holds in every round, or one of the schedules below::

    threshold: 0.8
    threshold: {schedule: linear, start: 0.9, end: 0.6}
    threshold: {schedule: steps, values: [0.9, 0.8, 0.6]}
    threshold: {schedule: quantile, start: 0.7, end: 0.3}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from gramr2.config.section import Section


class Linear(Section):
    """From ``start`` in the first round to ``end`` in the last, in equal steps."""

    schedule: Literal["linear"]
    """names the schedule"""
    start: float
    """value in the first round"""
    end: float
    """value in the last round"""

    def at(self, number: int, rounds: int, scores: Sequence[float]) -> float:
        """The value in round ``number`` of ``rounds``, counted from 1."""
        return self.start + (self.end - self.start) * _progress(number, rounds)

    def extremes(self) -> tuple[float, ...]:
        """The thresholds it can take, for checking their bounds."""
        return (self.start, self.end)


class Steps(Section):
    """A value for each round; the last one also holds for all later rounds."""

    schedule: Literal["steps"]
    """names the schedule"""
    values: list[float] = Field(min_length=1)
    """values of round 1, 2, 3 …"""

    def at(self, number: int, rounds: int, scores: Sequence[float]) -> float:
        """The value in round ``number``."""
        return self.values[min(number, len(self.values)) - 1]

    def extremes(self) -> tuple[float, ...]:
        """The thresholds it can take."""
        return tuple(self.values)


class Quantile(Section):
    """A quantile of the round's own scores: 0.7 lets the best 30 % pass.

    It follows the judge's level, so that a round neither starves nor passes everything. Scores at the threshold pass.
    """

    schedule: Literal["quantile"]
    """names the schedule"""
    start: float = Field(ge=0, lt=1)
    """share below the threshold in the first round"""
    end: float = Field(ge=0, lt=1)
    """share below the threshold in the last round"""

    def at(self, number: int, rounds: int, scores: Sequence[float]) -> float:
        """The score at the quantile; ``scores`` are oriented so that higher is better. Without scores, minus infinity."""
        share = self.start + (self.end - self.start) * _progress(number, rounds)
        ordered = sorted(scores)
        return ordered[min(int(share * len(ordered) + 1e-9), len(ordered) - 1)] if ordered else float("-inf")

    def extremes(self) -> tuple[float, ...]:
        """Empty: its thresholds are not known beforehand."""
        return ()


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("schedule", "linear"))
    return getattr(value, "schedule", "constant")


Schedule = Annotated[
    Annotated[float, Tag("constant")]
    | Annotated[Linear, Tag("linear")]
    | Annotated[Steps, Tag("steps")]
    | Annotated[Quantile, Tag("quantile")],
    Discriminator(
        _kind,
        custom_error_type="schedule",
        custom_error_message="schedule is one of linear, steps, quantile; a plain number is constant",
    ),
]


def _within(low: float, high: float) -> AfterValidator:
    def check(schedule: float | Linear | Steps | Quantile) -> float | Linear | Steps | Quantile:
        values = (schedule,) if isinstance(schedule, int | float) else schedule.extremes()
        for value in values:
            if not low <= value <= high:
                raise ValueError(f"{value:g} is not between {low:g} and {high:g}")
        return schedule

    return AfterValidator(check)


def _no_quantile(schedule: Schedule) -> Schedule:
    if isinstance(schedule, Quantile):
        raise ValueError("there are no scores here to take a quantile of: give a number, linear or steps")
    return schedule


Share = Annotated[Schedule, _within(0, 1)]
"""a threshold between 0 and 1"""
FixedShare = Annotated[Share, AfterValidator(_no_quantile)]
"""a share that does not follow the scores of the round"""
Words = Annotated[Schedule, _within(1, 100_000)]
"""a number of words"""
Pmi = Annotated[Schedule, _within(-10, 1)]
"""a normalised pointwise mutual information; at most 1"""


def _progress(number: int, rounds: int) -> float:
    return 0.0 if rounds < 2 else min(1.0, (number - 1) / (rounds - 1))
