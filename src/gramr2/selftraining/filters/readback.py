"""Does the reasoning support the label? The label is read back from the rationale alone.

The responses are withheld and the conclusion is removed, so that only the rationale's feedback and comparison are left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from gramr2.config.schedules import Share
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import (
    Failed,
    FilterConfig,
    FilterContext,
    Rejection,
    bounded,
    of_rationales,
    ruled,
)


class Readback(FilterConfig):
    """Keep rationales from which the judge reads the same label with the responses withheld and the conclusion removed; one
    prefill each.
    """

    kind: Literal["readback"] = "readback"
    needs_rationale: ClassVar[bool] = True
    formerly: ClassVar[str | None] = "support"
    measures: ClassVar[Mapping[str, str]] = {"readback": "P(label | rationale alone) under the judge"}
    min_probability: Share = 0.5
    """minimum P(label | rationale alone) under the judge"""
    failed: Failed = "auto"
    """as in the rationale filter"""

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        return of_rationales(candidates, self.failed, lambda asked: self._review(asked, context))

    def _review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        if context.readers is None:
            raise RuntimeError("the readback filter needs readers")
        examples = [c.example for c in candidates if c.example is not None]
        read = iter(context.readers.read_back(examples))
        measured: list[Candidate] = []
        other: dict[str, str] = {}
        for candidate in candidates:
            example = candidate.example
            belief = None if example is None else next(read)
            measured.append(
                candidate.measured("readback", 0.0 if belief is None or example is None else belief[example.label])
            )
            if belief is not None and example is not None:
                values = belief.as_dict()
                top = max(values, key=lambda label: values[label])
                if top != example.label.value:
                    other[candidate.comparison.id] = top

        def contradicted(candidate: Candidate) -> Rejection | None:
            top = other.get(candidate.comparison.id)
            if top is None or candidate.example is None:
                return None
            return Rejection(
                self.name, "the rationale alone leads to another label", top, candidate.example.label.value
            )

        return bounded(
            ruled(measured, contradicted),
            context,
            "readback.min_probability",
            self.min_probability,
            lambda c: c.measures["readback"],
            "the rationale alone does not lead to its label",
            strict=1.0,
        )
