"""gramr2's own paths to judge and rank."""

from __future__ import annotations

from fastapi import FastAPI, Request

from gramr2.comparison import Comparison, ResponseSet
from gramr2.judging.records import decision_row, reason_for
from gramr2.judgment import Decision
from gramr2.rewards.aggregation import Aggregation
from gramr2.rewards.ranking import longest, rank, ranking_row
from gramr2.rewards.tournaments import tournament
from gramr2.serving.desk import Desk, named
from gramr2.serving.problems import ASKING, documented
from gramr2.serving.queued import QueuedJudge
from gramr2.wire import (
    DecisionBody,
    JudgeId,
    JudgeRequest,
    JudgeResponse,
    RankRequest,
    RankResponse,
    turns,
)


def add_judging(app: FastAPI, desk: Desk) -> None:
    """Add the paths to the application."""

    @app.get("/v1/judge", responses=documented(401, 408, 413, 421, 429, 500, 503))
    def who_judges() -> JudgeId:
        """Who judges."""
        return named(QueuedJudge(desk.model, float("inf")))

    @app.post("/v1/judge", responses=ASKING)
    def judge(body: JudgeRequest, request: Request) -> JudgeResponse:
        """Which of two responses is better, for each comparison."""
        asked, who = desk.queued(request, body.deadline)
        comparisons = [
            Comparison(each.id or str(place), turns(each.prompt), each.responses)
            for place, each in enumerate(body.comparisons)
        ]
        desk.sizes.check(asked, comparisons)
        decisions = asked.compare(comparisons, body.seed)
        desk.count(decisions)
        return JudgeResponse(judge=who, decisions=[_body(each) for each in decisions])

    @app.post("/v1/rank", responses=ASKING)
    def ranked(body: RankRequest, request: Request) -> RankResponse:
        """The responses in order, by comparing pairs of them."""
        asked, who = desk.queued(request, body.deadline)
        chosen = tournament(body.scheme, body.budget)
        responses = ResponseSet("0", turns(body.prompt), tuple(body.responses))
        desk.sizes.check(asked, [longest(responses)])
        (found,) = rank(asked, [responses], chosen, aggregation=Aggregation(body.aggregation), seed=body.seed)
        return RankResponse(judge=who, ranking=ranking_row(responses, found))


def _body(decision: Decision) -> DecisionBody:
    row = decision_row(decision)
    return DecisionBody(**{k: row[k] for k in DecisionBody.model_fields if k != "reason"}, reason=reason_for(decision))
