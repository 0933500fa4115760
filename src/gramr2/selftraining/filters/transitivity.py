"""Do the labels of a prompt's pairs put its responses in an order, or do they run in a circle?"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from gramr2.comparison import Comparison, Label
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterConfig, FilterContext, Rejection, Stage

_NAMED = 3


class Transitivity(FilterConfig):
    """Keep labels that put the responses to a prompt (``group``, or the same text) in an order: of each circle A > B > C > A
    the least confident goes.

    It does something where pairs of a prompt share responses. Labels are taken from the surest to the least sure (then by id),
    and one that closes a circle with those taken before is dropped. So what is kept has no circle, and none of what was dropped
    could be put back. A comparison of a response with its own copy orders nothing and passes.
    """

    kind: Literal["transitivity"] = "transitivity"
    stage: ClassVar[Stage] = "decision"
    ties: bool = True
    """read on through ties: A = B and B > C exclude C > A; otherwise ties are left out of it"""

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        prompts: dict[tuple[str, str], _Order] = {}
        rejections: dict[str, Rejection] = {}
        for each in sorted(candidates, key=lambda c: (c.confidence or 0.0, c.comparison.id), reverse=True):
            circle = self._add(each, prompts.setdefault(_prompt(each.comparison), _Order()))
            if circle:
                more = f" and {len(circle) - _NAMED} more" if len(circle) > _NAMED else ""
                reason = f"its label is the least sure of a circle with {', '.join(circle[:_NAMED])}{more}"
                value = None if each.confidence is None else round(each.confidence, 4)
                rejections[each.comparison.id] = Rejection(self.name, reason, value, None)
        return [rejections.get(c.comparison.id, c) for c in candidates]

    def _add(self, candidate: Candidate, order: _Order) -> list[str]:
        """Take a label into the order; if it closes a circle, leave it out and return the ids of the circle's others."""
        (first, second), label = candidate.comparison.responses, candidate.decision.label
        if first == second or label is None:
            return []
        if label is Label.TIE:
            return order.tie(first, second, candidate.comparison.id) if self.ties else []
        if label is Label.B:
            first, second = second, first
        return order.better(first, second, candidate.comparison.id)


@dataclass(frozen=True, slots=True)
class _Step:
    """From a response to one that is no better, because comparison ``id`` says so; ``down`` unless it is a tie."""

    id: str
    down: bool


@dataclass(frozen=True, slots=True)
class _Order:
    """What the labels taken so far say about the responses to one prompt; it never has a circle with a step down in it."""

    steps: dict[str, dict[str, _Step]] = field(default_factory=dict)

    def better(self, first: str, second: str, name: str) -> list[str]:
        """Note that ``first`` is better, unless ``second`` is known to be as good: then the ids that say so."""
        path = self._path(second, first)
        if not path:
            self._note(first, second, _Step(name, down=True))
        return [step.id for step in path]

    def tie(self, first: str, second: str, name: str) -> list[str]:
        """Note that both are as good, unless one is known to be better: then the ids that say so."""
        for path in (self._path(first, second), self._path(second, first)):
            if any(step.down for step in path):
                return [step.id for step in path]
        self._note(first, second, _Step(name, down=False))
        self._note(second, first, _Step(name, down=False))
        return []

    def _note(self, start: str, end: str, step: _Step) -> None:
        self.steps.setdefault(start, {}).setdefault(end, step)

    def _path(self, start: str, end: str) -> list[_Step]:
        """A shortest way from one response to another; empty if there is none.

        Whether it has a step down does not depend on the choice: a way with one beside a way without would be a circle.
        """
        came: dict[str, tuple[str, _Step]] = {}
        queue = deque([start])
        while queue and end not in came:
            here = queue.popleft()
            for there, step in self.steps.get(here, {}).items():
                if there != start and there not in came:
                    came[there] = (here, step)
                    queue.append(there)
        path: list[_Step] = []
        while end in came:
            end, step = came[end]
            path.append(step)
        return path[::-1]


def _prompt(comparison: Comparison) -> tuple[str, str]:
    """What a prompt's comparisons have in common; a group's name is never taken for a prompt's text."""
    return ("text", comparison.prompt_text) if comparison.group is None else ("group", comparison.group)
