"""Which pseudo-labels are good enough to learn from.

A filter looks at one decided comparison and either has no objection or says what it measured and what it wanted.
A new one is a class with ``check``, its entry in ``gramr2.config.filters`` and in ``build``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gramr2.comparison import Order
from gramr2.config.filters import ConfidenceFilter, ConsistencyFilter, FilterConfig, RationaleFilter
from gramr2.judging.template import CONCLUSIONS
from gramr2.judgment import Decision

_TOGETHER = re.compile(r"\b(?:both|each|the two) responses?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a comparison was dropped: the filter, what it measured, and what it asked for."""

    filter: str
    reason: str
    value: float | str | None
    threshold: float | str | None


class Filter(Protocol):
    """One criterion."""

    @property
    def name(self) -> str:
        """What drops are counted under."""
        ...

    def check(self, decision: Decision) -> Objection | None:
        """None to keep."""
        ...


@dataclass(frozen=True, slots=True)
class Abstention:
    """Always first: a comparison the judge did not decide has no label to learn."""

    name: str = "abstained"

    def check(self, decision: Decision) -> Objection | None:
        """Drop what has no label, or no vote that states the label."""
        if decision.label is None:
            return Objection(self.name, "no decision: an order gave no verdict", decision.coverage, None)
        if decision.best is None:
            return Objection(self.name, "no single vote states the averaged label", decision.label.value, None)
        return None


@dataclass(frozen=True, slots=True)
class Confidence:
    """P(label | rationale), averaged over samples and orders."""

    config: ConfidenceFilter
    name: str = "confidence"

    def check(self, decision: Decision) -> Objection | None:
        """Drop below the threshold."""
        value = decision.confidence or 0.0
        if value >= self.config.threshold:
            return None
        return Objection(self.name, "the label's probability is too low", round(value, 4), self.config.threshold)


@dataclass(frozen=True, slots=True)
class Consistency:
    """Agreement over samples and orders."""

    config: ConsistencyFilter
    name: str = "consistency"

    def check(self, decision: Decision) -> Objection | None:
        """Drop disagreement, order flips, and too many failed votes."""
        agreement = decision.agreement or 0.0
        if decision.coverage < self.config.min_coverage:
            return Objection(self.name, "too many votes failed", round(decision.coverage, 4), self.config.min_coverage)
        if decision.order_flip and not self.config.allow_order_flip:
            return Objection(self.name, "the two orders disagree", "flip", "no flip")
        if agreement < self.config.min_agreement:
            return Objection(self.name, "the votes disagree", round(agreement, 4), self.config.min_agreement)
        return None


@dataclass(frozen=True, slots=True)
class Rationale:
    """Form and support of the rationale that would be learnt."""

    config: RationaleFilter
    name: str = "rationale"

    def check(self, decision: Decision) -> Objection | None:
        """Drop a rationale that is missing, too short or long, repetitive, one-sided, or concludes something else."""
        best = decision.best
        text = best.rationale if best else None
        if best is None or not text or decision.label is None:
            return Objection(self.name, "there is none", None, None)
        words = text.split()
        if not self.config.min_words <= len(words) <= self.config.max_words:
            bounds = f"{self.config.min_words}..{self.config.max_words} words"
            return Objection(self.name, "its length is out of bounds", len(words), bounds)
        repeated = repetition(words)
        if repeated > self.config.max_repetition:
            return Objection(self.name, "it repeats itself", round(repeated, 4), self.config.max_repetition)
        if self.config.names_both and not (("Response A" in text and "Response B" in text) or _TOGETHER.search(text)):
            return Objection(self.name, "it does not speak of both responses", None, None)
        if self.config.require_conclusion:
            label = decision.label if best.order is Order.AB else decision.label.swap()
            found = re.findall(r"^Conclusion:.*$", text, re.MULTILINE)
            if not found:
                return Objection(self.name, "it has no conclusion", None, CONCLUSIONS[label])
            if found[-1].strip() != CONCLUSIONS[label]:
                return Objection(
                    self.name, "its conclusion does not state its label", found[-1].strip(), CONCLUSIONS[label]
                )
        return None


def repetition(words: Sequence[str], size: int = 4) -> float:
    """Share of word 4-grams that have occurred before in the text; 0 for texts shorter than one."""
    grams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def build(configs: Sequence[FilterConfig]) -> list[Filter]:
    """The stack for a config, with ``Abstention`` in front."""
    stack: list[Filter] = [Abstention()]
    for config in configs:
        if isinstance(config, ConfidenceFilter):
            stack.append(Confidence(config))
        elif isinstance(config, ConsistencyFilter):
            stack.append(Consistency(config))
        else:
            stack.append(Rationale(config))
    return stack


def first_objection(stack: Sequence[Filter], decision: Decision) -> Objection | None:
    """The first filter that objects decides."""
    return next((objection for each in stack if (objection := each.check(decision))), None)
