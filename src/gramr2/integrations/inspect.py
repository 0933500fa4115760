"""A judge as a scorer of inspect_ai (UK AI Security Institute): the model's output against references, or graded by itself.

    Task(dataset, solver=generate(), scorer=preference("runs/my-run"))

``inspect score LOG --scorer gramr2/preference -S judge=runs/my-run`` scores a log that is already there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import anyio
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr

from gramr2.comparison import SingleResponse
from gramr2.errors import DataError
from gramr2.integrations.judges import shared, texts
from gramr2.rewards.pointwise import Scored

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage
    from inspect_ai.solver import TaskState

MOST_WAITING = 256
"""samples that may wait for the judge at once, each in a thread"""


@scorer(metrics=[mean(), stderr()])
def preference(
    judge: str, references: str | None = None, history: bool = False, seed: int = 0, **options: Any
) -> Scorer:
    """The chance from 0 to 1 that the model's output beats a reference; 0.5 is as good. The mean is the win rate.

    Samples that wait at the same time are judged together. One that the judge does not decide is unscored, with a reason.

    Args:
        judge: any name that ``gramr2.load_judge`` takes.
        references: key of the sample's metadata that holds a text or several, such as another model's outputs; default:
            the sample's target.
        history: show the judge all turns before the last answer, without the model's reasoning; default: the sample's input.
        seed: for the votes.
        options: see ``gramr2.loading.JudgeOptions``.

    Raises:
        DataError: a sample has no reference.
    """

    async def score(state: TaskState, target: Target) -> Score:
        bank = texts(state.metadata.get(references) if references else [*target])
        if not bank:
            where = f"no {references!r} in its metadata" if references else "no target"
            raise DataError(f"sample {state.sample_id} has {where}: give it a reference, or score with gramr2/grade")
        item = _item(state, bank, history)

        def judged() -> tuple[str, Scored]:
            model = shared(judge, options)
            return model.id, model.score(item.prompt, item.response, references=item.references, seed=seed)

        return _score(state, *await _in_thread(judged), references=len(bank))

    return score


@scorer(metrics=[mean(), stderr()])
def grade(judge: str, history: bool = False, seed: int = 0, **options: Any) -> Scorer:
    """A grade from 1 to 10 for the model's output, after a rationale. For judges that follow instructions, or were adapted.

    Args:
        judge: as in ``preference``.
        history: as in ``preference``.
        seed: for the votes.
        options: see ``gramr2.loading.JudgeOptions``.

    Raises:
        ConfigError: the judge only compares.
    """

    async def score(state: TaskState, target: Target) -> Score:
        item = _item(state, (), history)

        def graded() -> tuple[str, Scored]:
            model = shared(judge, options)
            return model.id, model.score(item.prompt, item.response, seed=seed)

        return _score(state, *await _in_thread(graded))

    return score


@cache
def _threads() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(MOST_WAITING)


async def _in_thread(work: Any) -> Any:
    return await anyio.to_thread.run_sync(work, limiter=_threads())


def _item(state: TaskState, references: Sequence[str], history: bool) -> SingleResponse:
    """What the judge is shown. The output is the completion, whatever became of the turns before it."""
    if history:
        turns = state.messages
        last = next((i for i in range(len(turns) - 1, -1, -1) if turns[i].role == "assistant"), len(turns))
        shown: str | list[dict[str, Any]] = [_turn(each) for each in turns[:last]]
    else:
        shown = state.input if isinstance(state.input, str) else [_turn(each) for each in state.input]
    return SingleResponse.of(shown, state.output.completion, references)


def _turn(message: ChatMessage) -> dict[str, Any]:
    """A turn as chat APIs have it, without the model's reasoning; a call of a tool stays in it, and an image is refused by
    ``SingleResponse.of``."""
    content = message.content
    parts = [] if isinstance(content, str) else [_part(part) for part in content if part.type != "reasoning"]
    turn: dict[str, Any] = {"role": message.role, "content": content if isinstance(content, str) else parts or ""}
    if calls := getattr(message, "tool_calls", None):
        turn["tool_calls"] = [
            {"type": "function", "function": {"name": each.function, "arguments": each.arguments}} for each in calls
        ]
    return turn


def _part(part: Any) -> dict[str, Any]:
    return {"type": part.type, "text": part.text} if part.type == "text" else {"type": part.type}


def _score(state: TaskState, judge: str, found: Scored, **more: Any) -> Score:
    notes = {"judge": judge, "coverage": found.coverage, **more}
    if found.score is None or not math.isfinite(found.score):
        return Score.unscored(
            reason="grader_failed", answer=state.output.completion, explanation=found.reason, metadata=notes
        )
    return Score(value=found.score, answer=state.output.completion, explanation=found.rationale, metadata=notes)
