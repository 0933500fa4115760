"""What the playground asks beside the public endpoints: one comparison with all its votes, in the words of the page."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gramr2.comparison import Comparison, rename_mentions
from gramr2.judging.records import decision_row
from gramr2.serving.model import Model
from gramr2.serving.queued import QueuedJudge
from gramr2.serving.sizes import SizeCheck
from gramr2.serving.visit import KEY, Visit
from gramr2.web.answers import answer
from gramr2.wire import Prompt, Text, turns


class PlayRequest(BaseModel):
    """A prompt and two responses, with the numbers that the page calls them by."""

    model_config = ConfigDict(extra="forbid")

    prompt: Prompt
    responses: tuple[Text, Text]
    numbers: tuple[int, int] = Field(default=(1, 2))
    seed: int = 0


def play_routes(model: Model, deadline: float) -> APIRouter:
    """``/ui/judge``. It waits in the server's queue like every request, for ``deadline`` seconds at most."""
    router = APIRouter(include_in_schema=False)
    sizes = SizeCheck()

    @router.post("/ui/judge")
    def judged(body: PlayRequest, request: Request) -> Response:
        visit: Visit = request.scope[KEY]
        judge = QueuedJudge(model, visit.arrived + deadline, visit)
        judge.admit()
        comparison = Comparison("0", turns(body.prompt), body.responses)
        sizes.check(judge, [comparison])
        (decision,) = judge.compare([comparison], body.seed)
        return answer({"judge": judge.id, **in_numbers(decision_row(decision), body.numbers)})

    @router.get("/ui/play")
    def who_judges() -> Response:
        return answer({"ready": model.ready, "judge": model.judge.id if model.judge else None})

    return router


def in_numbers(row: dict[str, Any], numbers: tuple[int, int]) -> dict[str, Any]:
    """A row of ``gramr2 judge`` whose rationales call the responses by their numbers, whichever was shown first.

    Only mentions with a noun are renamed, “Response A” but not a lone “A”.
    """
    first, second = map(str, numbers)
    names = {"ab": {"A": first, "B": second}, "ba": {"A": second, "B": first}}

    def told(text: str | None, order: str | None) -> str | None:
        return text and rename_mentions(text, names[order or "ab"])

    votes = [vote | {"rationale": told(vote["rationale"], vote["order"])} for vote in row["votes"]]
    return row | {"rationale": told(row["rationale"], row["rationale_order"]), "votes": votes}
