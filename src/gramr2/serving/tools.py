"""The judge as tools of an MCP server (Model Context Protocol), with the official SDK."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Literal, TypeVar

import anyio
import anyio.to_thread
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field

from gramr2.comparison import MOST_RESPONSES, Message, ResponseSet
from gramr2.errors import GramrError
from gramr2.judging.records import decision_row, reason_for
from gramr2.loading import LoadedJudge
from gramr2.rewards.ranking import rank, ranking_row
from gramr2.rewards.relevance import bounded
from gramr2.wire import Text

INSTRUCTIONS = (
    "A trained judge of responses. judge: which of two responses to a prompt is better, with the reason. rank: several "
    "responses in order. score: how good one response is. Give the texts in full and unchanged: the judge sees nothing else."
)
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
T = TypeVar("T")


class _Shape(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, use_attribute_docstrings=True)


class Turn(_Shape):
    """An earlier message of the conversation."""

    role: Literal["system", "user", "assistant"]
    content: Text


class Verdict(_Shape):
    """Which response is better."""

    better: Literal["A", "B", "tie"] | None
    """A is the first response; null if the judge came to no decision"""
    confidence: float | None
    """probability of that verdict, from 0 to 1"""
    probabilities: dict[str, float] | None
    """of A, B and tie"""
    order_flip: bool | None
    """whether the verdict depends on the order in which the responses are shown: then trust it less"""
    rationale: str | None
    """why, in the judge's words; if rationale_order is ba, its “Response A” is the second response"""
    rationale_order: Literal["ab", "ba"] | None
    reason: str | None
    """why there is no verdict"""


class Place(_Shape):
    """A response's place."""

    index: int
    """of the response in the request, from 0"""
    rank: int | None
    """from 1, shared by equal ones; null if no comparison of it was decided"""
    score: float | None
    """log-strength against an average response, which has 0"""
    low: float | None
    high: float | None
    """the 95 % interval"""


class Order(_Shape):
    """The responses, best first."""

    best: int | None
    """index of the best response; null if nothing was decided"""
    places: list[Place]
    comparisons: int
    coverage: float
    """share of the comparisons that the judge decided"""


class Grade(_Shape):
    """How good a response is."""

    score: float | None
    scale: Literal["chance to beat the references, 0 to 1", "grade, 1 to 10"]
    coverage: float
    """share of the votes or references that gave a score"""
    rationale: str | None
    reason: str | None
    """why there is no score"""


Prompt = Annotated[Text, Field(description="What was asked: the last message of the user, in full.")]
Earlier = Annotated[list[Turn] | None, Field(description="The conversation before the prompt, oldest first, if any.")]
Seed = Annotated[int, Field(description="For the votes: the same request with the same seed has the same answer.")]


class Tools:
    """The tools of a judge; one call at a time.

    Args:
        judge: answers them.
    """

    def __init__(self, judge: LoadedJudge) -> None:
        self._judge = judge
        self._turn = anyio.CapacityLimiter(1)

    async def judge(
        self,
        prompt: Prompt,
        response_a: Annotated[Text, Field(description="The first response, in full.")],
        response_b: Annotated[Text, Field(description="The second response, in full.")],
        earlier: Earlier = None,
        seed: Seed = 0,
    ) -> Verdict:
        """Which of two responses to a prompt is better, A or B, or are they equal? Both orders are judged, so the order in which
        they are given does not matter. Use it to choose between two drafts or to check a change."""

        def ask() -> Verdict:
            found = self._judge.compare(_turns(prompt, earlier), response_a, response_b, seed=seed)
            row = decision_row(found)
            row |= {"better": row["label"], "reason": reason_for(found)}
            return Verdict(**{name: row[name] for name in Verdict.model_fields})

        return await self._ask(ask)

    async def rank(
        self,
        prompt: Prompt,
        responses: Annotated[
            list[Text], Field(min_length=2, max_length=MOST_RESPONSES, description="The responses, each in full.")
        ],
        earlier: Earlier = None,
        seed: Seed = 0,
    ) -> Order:
        """Put 2 to 64 responses to a prompt into order, by comparing pairs of them: all pairs of up to nine, about four
        comparisons for each response of more. Use it to choose the best of several drafts."""

        def ask() -> Order:
            each = ResponseSet.of(_turns(prompt, earlier), responses)
            (found,) = rank(self._judge.model, [each], bounded(len(set(responses))), seed=seed)
            row = ranking_row(each, found)
            places = [Place(**{name: place[name] for name in Place.model_fields}) for place in row["places"]]
            return Order(best=found.best, places=places, comparisons=len(found.matches), coverage=row["coverage"])

        return await self._ask(ask)

    async def score(
        self,
        prompt: Prompt,
        response: Annotated[Text, Field(description="The response, in full.")],
        references: Annotated[
            list[Text] | None,
            Field(
                max_length=MOST_RESPONSES,
                description="Other responses to the prompt to measure it by, if there are any.",
            ),
        ] = None,
        earlier: Earlier = None,
        seed: Seed = 0,
    ) -> Grade:
        """How good is one response to a prompt? With references: its chance from 0 to 1 to beat them, where 0.5 is as good as
        they are. Without: a grade from 1 to 10 with a rationale, less reliable from a judge that has only learnt to compare."""

        def ask() -> Grade:
            bank = tuple(dict.fromkeys(references or ()))
            found = self._judge.score(_turns(prompt, earlier), response, references=bank, seed=seed)
            return Grade(
                score=found.score,
                scale="chance to beat the references, 0 to 1" if bank else "grade, 1 to 10",
                coverage=found.coverage,
                rationale=found.rationale,
                reason=found.reason,
            )

        return await self._ask(ask)

    async def _ask(self, task: Callable[[], T]) -> T:
        """The task's result, computed beside the protocol. Raises ToolError with the one sentence of a deliberate error."""
        try:
            return await anyio.to_thread.run_sync(task, limiter=self._turn)
        except GramrError as error:
            raise ToolError(str(error)) from error


def mcp_server(judge: LoadedJudge) -> MCPServer:
    """A server with the judge's tools, which runs on any of the SDK's transports."""
    server: MCPServer = MCPServer(
        "gramr2",
        title=f"gramr2: {judge.id}",
        instructions=INSTRUCTIONS,
        version=version("gramr2"),
        log_level="WARNING",
    )
    tools = Tools(judge)
    for name, title in (("judge", "Compare two responses"), ("rank", "Rank responses"), ("score", "Score a response")):
        server.add_tool(getattr(tools, name), name=name, title=title, annotations=_READS, structured_output=True)
    return server


def _turns(prompt: str, earlier: list[Turn] | None) -> list[Message]:
    return [*(Message(turn.role, turn.content) for turn in earlier or ()), Message("user", prompt)]
