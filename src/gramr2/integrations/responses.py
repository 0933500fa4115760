"""OpenAI's Responses API as chat turns: what was asked, and what was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gramr2.comparison import Message, as_messages
from gramr2.data.turns import BadRowError, read_answer, read_prompt
from gramr2.errors import DataError
from gramr2.messages import tools_text


def asked(body: Mapping[str, Any]) -> tuple[Message, ...]:
    """The prompt of a request: its instructions and tools as a system turn, then its input.

    Raises:
        DataError: it holds something that is not text.
    """
    given = body.get("input") or ""
    turns = [{"role": "user", "content": given}] if isinstance(given, str) else _turns(given)
    try:
        rules = [body["instructions"]] if body.get("instructions") else []
        rules += [tools_text(body["tools"], "tools")] if body.get("tools") else []
        system = [{"role": "system", "content": "\n\n".join(rules)}] if rules else []
        return read_prompt([*system, *turns])
    except BadRowError as error:
        raise DataError(f"the request: {error}") from error


def answered(body: Mapping[str, Any]) -> str:
    """The output of a response as one text, with tool calls and results written out, and without the reasoning.

    Raises:
        DataError: it holds something that is not text.
    """
    turns = _turns(body.get("output") or [])
    try:
        return read_answer(turns, "the response", ()) if turns else ""
    except BadRowError as error:
        raise DataError(str(error)) from error


def conversation(turns: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Chat turns as a prompt. Raises as ``asked`` does."""
    return as_messages([dict(each) for each in turns])


def _turns(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for item in items:
        kind = item.get("type") or "message"
        if kind == "message":
            turns.append({"role": item.get("role", "assistant"), "content": _content(item.get("content"))})
        elif kind == "function_call":
            call = {"name": item.get("name"), "arguments": item.get("arguments")}
            turns.append({"role": "assistant", "content": None, "tool_calls": [call]})
        elif kind == "function_call_output":
            turns.append({"role": "tool", "content": _content(item.get("output"))})
        elif kind != "reasoning":
            raise DataError(
                f"an item of the type {str(kind)[:50]!r} cannot be shown to the judge: only text and tools can"
            )
    return turns


def _content(given: Any) -> Any:
    if not isinstance(given, list):
        return given
    return [_part(each) for each in given] or ""


def _part(part: Any) -> Any:
    """A part without its annotations and log-probabilities, which are no words of anybody."""
    if not isinstance(part, Mapping):
        return part
    if part.get("type") == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    return {key: part[key] for key in part if key not in ("annotations", "logprobs")}
