"""Scores: ours, by references or a grade, and vLLM's, of texts for queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated

from fastapi import FastAPI, Request
from pydantic import Discriminator, Tag

from gramr2.comparison import Comparison, SingleResponse, as_messages
from gramr2.errors import ConfigError
from gramr2.judging.judge import Judge
from gramr2.judging.records import UNDECIDED
from gramr2.rewards.groups import Group
from gramr2.rewards.pointwise import Scored, against_references, comparisons_against, grade
from gramr2.rewards.relevance import relevance
from gramr2.serving.desk import Desk, few, same_model
from gramr2.serving.metered import Metered
from gramr2.serving.model import Served
from gramr2.serving.problems import NAMING
from gramr2.serving.queued import QueuedJudge
from gramr2.serving.shapes.either import OURS, THEIRS
from gramr2.serving.shapes.lists import TextsRequest, kind_of_score
from gramr2.wire import JudgeId, ScoreBody, ScoreRequest, ScoreResponse, turns
from gramr2.wire.lists import TextScore, TextScores

ALONE = "the request has no other text for this query to compare it with: add some, or give by: rationale"
Either = Annotated[
    Annotated[ScoreRequest, Tag(OURS)] | Annotated[TextsRequest, Tag(THEIRS)], Discriminator(kind_of_score)
]


def add_scoring(app: FastAPI, desk: Desk) -> None:
    """Add the paths to the application."""

    @app.post("/v1/score", responses=NAMING)
    def scored(body: Either, request: Request) -> ScoreResponse | TextScores:
        """Scores of ``items``, or in vLLM's shape of texts for queries."""
        return _of_texts(desk, body, request) if isinstance(body, TextsRequest) else _of_items(desk, body, request)

    @app.post("/score", responses=NAMING)
    def texts_scored(body: TextsRequest, request: Request) -> TextScores:
        """Scores of texts for queries, in vLLM's shape."""
        return _of_texts(desk, body, request)


def _of_items(desk: Desk, body: ScoreRequest, request: Request) -> ScoreResponse:
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
        found = _graded(desk, asked, items, body.seed)
    keep = ScoreBody.model_fields.keys()
    return ScoreResponse(
        judge=who, scores=[ScoreBody(**{k: v for k, v in asdict(each).items() if k in keep}) for each in found]
    )


def _of_texts(desk: Desk, body: TextsRequest, request: Request) -> TextScores:
    """The scores of a request in vLLM's shape."""
    asked, who = desk.queued(request, body.deadline)
    same_model(body.model, asked)
    pairs = body.pairs
    if body.by == "rationale":
        return _grades(desk, asked, who, pairs, body.seed)
    members: dict[str, list[int]] = {}
    for place, (query, _) in enumerate(pairs):
        members.setdefault(query, []).append(place)
    places = [each for each in members.values() if len(each) > 1]
    groups = [Group(as_messages(pairs[each[0]][0]), tuple(pairs[place][1] for place in each)) for each in places]
    desk.fit(asked, groups)
    judge = Metered(asked)
    scores: dict[int, float | None] = {}
    for each, chances in zip(places, relevance(judge, groups, body.seed), strict=True):
        scores |= dict(zip(each, chances, strict=True))
    data = [
        TextScore(
            index=place,
            score=scores.get(place),
            reason=ALONE if place not in scores else UNDECIDED if scores[place] is None else None,
        )
        for place in range(len(pairs))
    ]
    return TextScores(model=who.model, judge=who, data=data, usage=judge.usage)


def _grades(desk: Desk, asked: QueuedJudge, who: JudgeId, pairs: list[tuple[str, str]], seed: int) -> TextScores:
    items = [SingleResponse.of(query, text) for query, text in pairs]
    data = [
        TextScore(index=place, score=each.score, reason=each.reason)
        for place, each in enumerate(_graded(desk, asked, items, seed))
    ]
    return TextScores(model=who.model, judge=who, data=data, usage=None)


def _graded(desk: Desk, judge: QueuedJudge, items: Sequence[SingleResponse], seed: int) -> list[Scored]:
    """A grade for each response, in parts that leave room for other requests between them."""
    desk.sizes.check(judge, [Comparison(each.id, each.prompt, (each.response, "")) for each in items])
    found: list[Scored] = []
    for start in range(0, len(items), judge.batch):
        part = items[start : start + judge.batch]
        found += judge.alone(_grading(part, seed), [len(each.response) for each in part])
    return found


def _grading(items: Sequence[SingleResponse], seed: int) -> Callable[[Served], list[Scored]]:
    def graded(own: Served) -> list[Scored]:
        if not isinstance(own, Judge):
            raise ConfigError(f"{own.id} gives rewards on a scale of its own and no grades: give references")
        return grade(own.backend, items, own.sampling, seed=seed)

    return graded
