"""Chat turns as text, whichever API wrote them: tool calls and tool results are written out, other content is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]
Speaker = Literal["system", "user", "assistant", "tool"]

_SPEAKERS: dict[str, Speaker] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
_TEXT_PARTS = ("text", "input_text", "output_text", None)
# Where chat APIs put what a policy thought before its answer.
_REASONING = ("reasoning_content", "reasoning", "thinking")
# What a turn may say of itself that is no words of anybody.
_SILENT = frozenset(("id", "name", "type", "tool_call_id", "timestamp", "created_at", "model", "status", "index"))


class BadRowError(Exception):
    """The reason why a row is refused."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat turn."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn as it was read: who speaks, and the words, in which tool calls and the results of tools are written out."""

    speaker: Speaker
    text: str

    @property
    def message(self) -> Message:
        """The turn in a prompt. The result of a tool is marked, and shown as a turn of the user: nobody's answer."""
        return Message("user" if self.speaker == "tool" else self.speaker, self.text)


def read_turns(value: object, name: str) -> tuple[Turn, ...]:
    """The turns in a list of messages: ``role`` and ``content``, or ``from`` and ``value`` (ShareGPT).

    Raises:
        BadRowError: it is no such list, or a turn holds something that is not text.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
        raise BadRowError(f"{name} must be a text or a non-empty list of messages, not {type(value).__name__}")
    return tuple(read_turn(turn, f"{name}[{i}]") for i, turn in enumerate(value))


def read_turn(turn: object, name: str) -> Turn:
    """One message as a turn. Raises as ``read_turns`` does."""
    if isinstance(turn, Message):
        return Turn(turn.role, checked(turn.content, f"{name}.content"))
    if not isinstance(turn, Mapping):
        raise BadRowError(f"{name} must be a message with role and content")
    role_key, text_key = ("role", "content") if turn.get("role") is not None else ("from", "value")
    role = turn.get(role_key)
    speaker = _SPEAKERS.get(role) if isinstance(role, str) else None
    if speaker is None:
        known = "system, developer, user, assistant or tool"
        raise BadRowError(f"{name} has the role {shown(turn.get('role', role))}, which must be {known}")
    calls = _calls(turn, f"{name}.tool_calls")
    _refuse_unknown(turn, {role_key, text_key, "tool_calls", "function_call"}, name)
    content = turn.get(text_key)
    # An assistant that could have called tools and did not may have said nothing at all.
    silent = content is None and speaker == "assistant" and (bool(calls) or "tool_calls" in turn)
    text = "" if silent else content_text(content, f"{name}.{text_key}")
    if role == "function_call":
        calls, text = [_call(parsed(text), f"{name}.value")], ""
    if calls and speaker != "assistant":
        raise BadRowError(f"{name} calls a tool, which only the assistant can")
    if speaker == "tool":
        text = f"[tool result{_named(turn)}] {text}"
    return Turn(speaker, "\n".join(filter(None, [text, *calls])))


def without_reasoning(turn: object) -> object:
    """A message without what its writer thought before the words, where an API tells the two apart."""
    if not isinstance(turn, Mapping):
        return turn
    return {key: value for key, value in turn.items() if key not in _REASONING}


def content_text(content: object, name: str) -> str:
    """A message's content as one text: a text, or a list of parts that are all text.

    Raises:
        BadRowError: it is something else; a part that is an image or a sound is named.
    """
    if not isinstance(content, Sequence) or isinstance(content, str | bytes) or not content:
        return checked(content, name)
    texts: list[str] = []
    for i, part in enumerate(content):
        if not isinstance(part, Mapping):
            texts.append(checked(part, f"{name}[{i}]"))
            continue
        kind = part.get("type")
        if kind not in _TEXT_PARTS:
            raise BadRowError(
                f"{name}[{i}] is a part of the type {shown(kind)}, but only text can be judged: leave such rows out"
            )
        _refuse_unknown(part, {"type", "text"}, f"{name}[{i}]")
        texts.append(checked(part.get("text"), f"{name}[{i}].text"))
    return "".join(texts)


def tools_text(tools: object, name: str) -> str:
    """Definitions of tools as lines of a system turn: each as JSON.

    Raises:
        BadRowError: they are neither a text nor a list of objects.
    """
    found = parsed(tools) if isinstance(tools, str) else tools
    if isinstance(found, Sequence) and not isinstance(found, str | bytes):
        return "\n".join(f"[tool] {_json(each)}" for each in found)
    return f"[tool] {checked(found, name)}"


def checked(value: object, name: str) -> str:
    """The text itself; anything that is not a text, or that UTF-8 cannot hold, is refused."""
    if not isinstance(value, str):
        raise BadRowError(f"{name} must be a text, not {type(value).__name__}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRowError(f"{name} contains half of a surrogate pair, which is not text") from None
    return value


def carries(value: object) -> bool:
    """Whether a value holds something that could be read: any text but white space, or data of a strange type."""
    if value is None or isinstance(value, int | float | complex):
        return False
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, Mapping):
        return any(carries(each) for each in value.values())
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return any(carries(each) for each in value)
    return not hasattr(value, "isoformat")  # a date


def shown(value: object) -> str:
    """A refused value for a message, never long."""
    small = isinstance(value, int) and abs(value) < 1e15  # Python refuses to write very long numbers
    return f"{value!r:.50}" if small or isinstance(value, str | float | None) else f"of type {type(value).__name__}"


def shown_names(names: Sequence[str]) -> str:
    """Names from the user's data for a message, never long."""
    return ", ".join(names)[:200].encode("utf-8", "backslashreplace").decode("utf-8")


def _refuse_unknown(turn: Mapping[str, object], known: set[str], name: str) -> None:
    strange = [str(key) for key, value in turn.items() if key not in known | _SILENT and carries(value)]
    if strange:
        raise BadRowError(
            f"{name} has {shown_names(strange)}, which the judge would not see: put it into the text, or name it in ignore"
        )


def _calls(turn: Mapping[str, object], name: str) -> list[str]:
    """The tool calls of a turn, a line each."""
    found = turn.get("tool_calls")
    if found is None or found == "" or found == []:
        found = []
    found = parsed(found) if isinstance(found, str) else found
    if not isinstance(found, Sequence) or isinstance(found, str | bytes):
        raise BadRowError(f"{name} must be a list of calls, not {type(found).__name__}")
    if turn.get("function_call") is not None:
        found = [*found, turn["function_call"]]
    return [_call(each, f"{name}[{i}]") for i, each in enumerate(found)]


def _call(call: object, name: str) -> str:
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise BadRowError(f"{name} must be a call with the function's name and arguments")
    arguments = function.get("arguments", function.get("parameters"))
    _refuse_unknown(function, {"name", "arguments", "parameters"}, name)
    arguments = parsed(arguments) if isinstance(arguments, str) else arguments
    written = arguments if isinstance(arguments, str) else _json({} if arguments is None else arguments)
    return checked(f"[tool call] {function['name']} {written}", name)


def _named(turn: Mapping[str, object]) -> str:
    name = turn.get("name")
    return f" of {checked(name, 'name')}" if name is not None else ""


def parsed(text: str) -> object:
    """What a text says as JSON, or the text: APIs write arguments in either way."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRowError(f"a tool's description or arguments cannot be written as JSON: {error}") from error
