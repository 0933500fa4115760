"""Rerank, as Cohere, Jina and vLLM answer it."""

from __future__ import annotations

from fastapi import FastAPI, Request

from gramr2.comparison import as_messages
from gramr2.judging.records import UNDECIDED
from gramr2.rewards.groups import Group
from gramr2.rewards.relevance import relevance
from gramr2.serving.desk import Desk, same_model
from gramr2.serving.metered import Metered
from gramr2.serving.problems import NAMING
from gramr2.serving.shapes.lists import RerankRequest, text_of
from gramr2.wire.lists import RerankResponse, RerankResult


def add_reranking(app: FastAPI, desk: Desk) -> None:
    """Add the paths to the application."""

    @app.post("/v2/rerank", responses=NAMING)
    @app.post("/v1/rerank", responses=NAMING)
    @app.post("/rerank", responses=NAMING)
    def reranked(body: RerankRequest, request: Request) -> RerankResponse:
        """The documents as answers to the query, each with its chance to beat an average other one."""
        asked, who = desk.queued(request, body.deadline)
        same_model(body.model, asked)
        texts = tuple(text_of(each) for each in body.documents)
        group = Group(as_messages(body.query), texts)
        desk.fit(asked, [group])
        judge = Metered(asked)
        (chances,) = relevance(judge, [group], body.seed)
        ranked = sorted(enumerate(chances), key=lambda each: (each[1] is None, -(each[1] or 0.0), each[0]))
        return RerankResponse(
            model=who.model,
            judge=who,
            results=[
                RerankResult(
                    index=index,
                    relevance_score=chance,
                    document={"text": texts[index]} if body.return_documents else None,
                    reason=UNDECIDED if chance is None else None,
                )
                for index, chance in ranked[: body.top_n]
            ],
            usage=judge.usage,
            meta={"api_version": {"version": "2"}},
        )
