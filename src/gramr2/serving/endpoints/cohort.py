"""Rewards for a group whose completions are sent one by one."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request

from gramr2.comparison import Comparison, ResponseSet
from gramr2.errors import ConfigError
from gramr2.rewards.groups import Group, Rewards, WinRateReward
from gramr2.rewards.ranking import longest
from gramr2.rewards.tournaments import RoundRobin, tournament
from gramr2.serving.cohorts import Cohorts, Terms
from gramr2.serving.desk import Desk
from gramr2.serving.problems import ASKING
from gramr2.serving.queued import QueuedJudge
from gramr2.serving.visit import KEY, Visit
from gramr2.wire import JudgeId, ProblemBody, turns
from gramr2.wire.cohort import WAIT, CohortRequest, CohortResponse

_CLOSED: dict[int | str, dict[str, Any]] = {
    409: {"model": ProblemBody, "description": "the group was rewarded before this completion came"}
}


def add_cohort(app: FastAPI, desk: Desk) -> None:
    """Add the path to the application."""

    async def rewarded(group: Group, terms: Terms, deadline: float, visit: Visit) -> Rewards:
        def judge() -> Rewards:
            asked = QueuedJudge(desk.model, deadline, visit)
            desk.sizes.check(asked, [longest(ResponseSet(group.id, group.prompt, group.completions))])
            scheme = tournament(RoundRobin.name, terms.budget)
            return WinRateReward(asked, scheme, terms.seed)([group])[0]

        return await anyio.to_thread.run_sync(judge)

    cohorts = Cohorts(rewarded, max(2, desk.limits.max_requests // 2))

    @app.post("/v1/cohort", responses=ASKING | _CLOSED)
    async def cohort(body: CohortRequest, request: Request) -> CohortResponse:
        """Waits for the other completions of the group; the reward is the chance to beat another one of them."""
        prompt = turns(body.prompt)

        def admitted() -> tuple[QueuedJudge, JudgeId]:
            asked, who = desk.queued(request, body.deadline)
            desk.sizes.check(asked, [Comparison(body.group, prompt, (body.response, ""))])
            return asked, who

        asked, who = await anyio.to_thread.run_sync(admitted)
        visit: Visit = request.scope[KEY]
        most = asked.deadline - visit.arrived
        wait = min(WAIT, most / 2) if body.wait is None else body.wait
        if wait >= most:
            raise ConfigError(
                f"wait is {wait:g} seconds, and the request has {most:g} in all: wait less, or raise the deadline"
            )
        terms = Terms(body.size, prompt, body.budget, body.seed)
        share = await cohorts.join(body.group, terms, body.response, wait, asked.deadline, visit)
        return CohortResponse(
            judge=who,
            group=body.group,
            reward=share.reward,
            reason=share.reason,
            arrived=share.arrived,
            size=body.size,
        )
