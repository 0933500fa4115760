"""The endpoints of the labelling page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from gramr2.web.answers import answer
from gramr2.web.labelling.session import Session
from gramr2.wire import Text

Reason = Annotated[Text, Field(max_length=100_000)]


class AnswerBody(BaseModel):
    """A person's answer; A is the response on the left."""

    model_config = ConfigDict(extra="forbid")

    id: Text
    verdict: Literal["A", "B", "tie", "skip"]
    reason: Reason | None = None


def label_routes(session: Session) -> APIRouter:
    """``/ui/label``: the next comparison, an answer, undo, and the agreement with the judge."""
    router = APIRouter(prefix="/ui/label", include_in_schema=False)

    @router.get("")
    def state() -> Response:
        return answer(session.state())

    @router.post("")
    def answered(body: AnswerBody) -> Response:
        return answer(session.answer(body.id, body.verdict, body.reason))

    @router.post("/undo")
    def undone() -> Response:
        return answer(session.undo())

    @router.get("/agreement")
    def agreed() -> Response:
        return answer([asdict(each) for each in session.agreement()])

    return router
