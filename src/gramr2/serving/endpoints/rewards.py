"""Rewards for trainers."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI, Request

from gramr2.serving.desk import Desk, few
from gramr2.serving.openrlhf import EndTokens, RewardPlan, samples
from gramr2.serving.problems import ASKING
from gramr2.wire import RewardRequest, RewardResponse


def add_rewards(app: FastAPI, desk: Desk, end_tokens: Sequence[str]) -> None:
    """Add the path to the application; ``end_tokens`` are removed from the ends of completions."""
    ends = EndTokens(end_tokens)

    @app.post("/get_reward", responses=ASKING)
    def reward(body: RewardRequest, request: Request) -> RewardResponse:
        """The chance that a completion beats its label's references; without any, its siblings in the request."""
        asked, who = desk.queued(request)
        plan = RewardPlan.of(samples(body, ends))
        few(plan.comparisons)
        desk.sizes.check(asked, plan.longest())
        values, reasons = plan.rewards(asked)
        return RewardResponse(judge=who, rewards=values, reasons=reasons)
