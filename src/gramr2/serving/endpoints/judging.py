"""gramr2's own paths: judge, rank and score."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Sequence
from dataclasses import asdict

from fastapi import FastAPI, Request

from gramr2.comparison import Comparison, ResponseSet, SingleResponse
from gramr2.judging.judge import Judge
from gramr2.judging.records import decision_row
from gramr2.judgment import Decision
from gramr2.rewards.aggregation import Aggregation
from gramr2.rewards.pointwise import Scored, against_references, comparisons_against, grade
from gramr2.rewards.ranking import longest, rank, ranking_row
from gramr2.rewards.tournaments import tournament
from gramr2.serving.desk import Desk, few, named
from gramr2.serving.openrlhf import UNDECIDED
from gramr2.serving.problems import ASKING, documented
from gramr2.serving.queued import QueuedJudge
from gramr2.wire import (
    DecisionBody,
    JudgeId,
    JudgeRequest,
    JudgeResponse,
    RankRequest,
    RankResponse,
    ScoreBody,
    ScoreRequest,
    ScoreResponse,
    turns,
)


def add_judging(app: FastAPI, desk: Desk) -> None:
    """Add the paths to the application."""

    @app.get("/v1/judge", responses=documented(401, 408, 413, 421, 429, 500, 503))
    def who_judges() -> JudgeId:
        return named(QueuedJudge(desk.model, float("inf")))

    @app.post("/v1/judge", responses=ASKING)
    def judge(body: JudgeRequest, request: Request) -> JudgeResponse:
        asked, who = desk.queued(request, body.deadline)
        comparisons = [
            Comparison(each.id or str(place), turns(each.prompt), each.responses)
            for place, each in enumerate(body.comparisons)
        ]
        desk.sizes.check(asked, comparisons)
        decisions = asked.judge(comparisons, seed=body.seed)
        desk.count(decisions)
        return JudgeResponse(judge=who, decisions=[_body(each) for each in decisions])

    @app.post("/v1/rank", responses=ASKING)
    def ranked(body: RankRequest, request: Request) -> RankResponse:
        asked, who = desk.queued(request, body.deadline)
        chosen = tournament(body.scheme, body.budget)
        responses = ResponseSet("0", turns(body.prompt), tuple(body.responses))
        desk.sizes.check(asked, [longest(responses)])
        (found,) = rank(asked, [responses], chosen, aggregation=Aggregation(body.aggregation), seed=body.seed)
        return RankResponse(judge=who, ranking=ranking_row(responses, found))

    @app.post("/v1/score", responses=ASKING)
    def scored(body: ScoreRequest, request: Request) -> ScoreResponse:
        asked, who = desk.queued(request, body.deadline)
        items = [
            SingleResponse(each.id or str(place), turns(each.prompt), each.response, each.bank)
            for place, each in enumerate(body.items)
        ]
        if body.by == "reference":
            few(sum(len(item.references) for item in items))
            desk.sizes.check(asked, [pair for item in items for pair in comparisons_against(item, item.references)])
            found = against_references(asked, items, seed=body.seed)
        else:
            found = graded(desk, asked, items, body.seed)
        keep = ScoreBody.model_fields.keys()
        return ScoreResponse(
            judge=who, scores=[ScoreBody(**{k: v for k, v in asdict(each).items() if k in keep}) for each in found]
        )


def graded(desk: Desk, judge: QueuedJudge, items: Sequence[SingleResponse], seed: int) -> list[Scored]:
    """A grade for each response, in parts that leave room for other requests between them."""
    desk.sizes.check(judge, [Comparison(each.id, each.prompt, (each.response, "")) for each in items])
    found: list[Scored] = []
    for start in range(0, len(items), judge.batch):
        part = items[start : start + judge.batch]
        found += judge.alone(_grading(part, seed), [len(each.response) for each in part])
    return found


def _grading(items: Sequence[SingleResponse], seed: int) -> Callable[[Judge], list[Scored]]:
    return lambda own: grade(own.backend, items, own.sampling, seed=seed)


def reason_for(decision: Decision) -> str | None:
    """Why there is no label; None if there is one."""
    outcomes = Tally(vote.outcome.value for vote in decision.judgments)
    return None if decision.label else f"{UNDECIDED}: {', '.join(f'{n} × {what}' for what, n in outcomes.items())}"


def _body(decision: Decision) -> DecisionBody:
    row = decision_row(decision)
    return DecisionBody(**{k: row[k] for k in DecisionBody.model_fields if k != "reason"}, reason=reason_for(decision))
