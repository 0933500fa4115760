"""Do the labels of a prompt's pairs put its responses in an order, or do they form a cycle?"""

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
    """Keep labels that put the responses to a prompt (``group``, or the same text) in an order: of each cycle A > B > C > A
    the least confident label is dropped.

    It only has an effect if pairs of a prompt share responses. Labels are added from the most to the least confident (then by
    id), and one that closes a cycle with those already added is dropped. So the kept labels have no cycle, and no dropped
    label could be added back. A comparison of a response with its own copy implies no order and passes.
    """

    kind: Literal["transitivity"] = "transitivity"
    stage: ClassVar[Stage] = "decision"
    ties: bool = True
    """take ties into account: A = B and B > C exclude C > A; if false, ties are ignored"""

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        prompts: dict[tuple[str, str], _Order] = {}
        rejections: dict[str, Rejection] = {}
        for each in sorted(candidates, key=lambda c: (c.confidence or 0.0, c.comparison.id), reverse=True):
            circle = self._add(each, prompts.setdefault(_prompt(each.comparison), _Order()))
            if circle:
                more = f" and {len(circle) - _NAMED} more" if len(circle) > _NAMED else ""
                reason = f"its label is the least confident of a cycle with {', '.join(circle[:_NAMED])}{more}"
                value = None if each.confidence is None else round(each.confidence, 4)
                rejections[each.comparison.id] = Rejection(self.name, reason, value, None)
        return [rejections.get(c.comparison.id, c) for c in candidates]

    def _add(self, candidate: Candidate, order: _Order) -> list[str]:
        """Add a label to the order; if it closes a cycle, do not add it and return the ids of the cycle's other labels."""
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
    """An edge from a response to one that is no better, according to comparison ``id``; ``down`` unless it is a tie."""

    id: str
    down: bool


@dataclass(frozen=True, slots=True)
class _Order:
    """What the labels added so far say about the responses to one prompt; no cycle of it contains a step down."""

    steps: dict[str, dict[str, _Step]] = field(default_factory=dict)

    def better(self, first: str, second: str, name: str) -> list[str]:
        """Record that ``first`` is better, unless ``second`` is known to be at least as good: then return the ids that say so."""
        path = self._path(second, first)
        if not path:
            self._note(first, second, _Step(name, down=True))
        return [step.id for step in path]

    def tie(self, first: str, second: str, name: str) -> list[str]:
        """Record that both are equally good, unless one is known to be better: then return the ids that say so."""
        for path in (self._path(first, second), self._path(second, first)):
            if any(step.down for step in path):
                return [step.id for step in path]
        self._note(first, second, _Step(name, down=False))
        self._note(second, first, _Step(name, down=False))
        return []

    def _note(self, start: str, end: str, step: _Step) -> None:
        self.steps.setdefault(start, {}).setdefault(end, step)

    def _path(self, start: str, end: str) -> list[_Step]:
        """A shortest path from one response to another; empty if there is none.

        Any such path will do: if one had a step down and another did not, the two would form a cycle.
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
    """The key that a prompt's comparisons share; it is tagged, so that a group's name never equals a prompt's text."""
    return ("text", comparison.prompt_text) if comparison.group is None else ("group", comparison.group)
