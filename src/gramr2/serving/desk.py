"""What the endpoints share: how a request gets to the model, the size check, the limits and the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi import Request

from gramr2.comparison import ResponseSet
from gramr2.errors import DataError
from gramr2.judgment import Decision
from gramr2.rewards.groups import Group
from gramr2.rewards.ranking import longest
from gramr2.rewards.relevance import comparisons_for
from gramr2.serving.metrics import Metrics
from gramr2.serving.middleware import ServerLimits
from gramr2.serving.model import Model
from gramr2.serving.queued import QueuedJudge
from gramr2.serving.refusals import OpenAIError
from gramr2.serving.shapes.chat import ALIAS
from gramr2.serving.sizes import SizeCheck
from gramr2.serving.visit import KEY, Visit
from gramr2.wire import MOST_COMPARISONS, JudgeId


@dataclass(frozen=True)
class Desk:
    """Where requests are admitted to the model."""

    model: Model
    limits: ServerLimits
    metrics: Metrics
    sizes: SizeCheck = field(default_factory=SizeCheck)

    def queued(self, request: Request, asked: float | None = None) -> tuple[QueuedJudge, JudgeId]:
        """The judge for a request, and its name.

        Args:
            request: passed through the ``LimitsMiddleware``.
            asked: the request's own time limit in seconds.

        Raises:
            BusyError: there is no room in the queue.
            LateError: the deadline has passed already.
            ClosedError: the server is shutting down, or has no model.
        """
        visit: Visit = request.scope[KEY]
        judge = QueuedJudge(self.model, visit.arrived + min(asked or self.limits.deadline, self.limits.deadline), visit)
        judge.admit()
        return judge, named(judge)

    def fit(self, judge: QueuedJudge, groups: Sequence[Group]) -> None:
        """Refuse groups of texts that are too many or too long to be compared with each other.

        Raises:
            DataError: they take too many comparisons.
            PromptTooLongError: a comparison does not fit the judge.
        """
        few(comparisons_for(groups))
        self.sizes.check(judge, [longest(ResponseSet(each.id, each.prompt, each.completions)) for each in groups])

    def count(self, decisions: Sequence[Decision]) -> None:
        """Count decisions by their label."""
        for each in decisions:
            self.metrics.decisions.labels(each.label.value if each.label else "none").inc()


def named(judge: QueuedJudge) -> JudgeId:
    """Who judges."""
    return JudgeId(model=judge.id, template=judge.prompt)


def few(comparisons: int) -> None:
    """Refuse a request that asks for too much.

    Raises:
        DataError: it asks for more comparisons than are allowed.
    """
    if comparisons > MOST_COMPARISONS:
        raise DataError(
            f"the request asks for {comparisons} comparisons, and at most {MOST_COMPARISONS} are allowed: send fewer at a time"
        )


def same_model(name: str | None, judge: QueuedJudge) -> None:
    """Refuse to answer in the name of another model.

    Raises:
        OpenAIError: the name is not the judge's.
    """
    if name not in (None, ALIAS, judge.id):
        raise OpenAIError(
            f"the model {name[:100]!r} is not served here: take {judge.id!r} or {ALIAS!r}",
            "model",
            "model_not_found",
            404,
        )
