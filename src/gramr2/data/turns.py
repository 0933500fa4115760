"""Texts and chat turns of a raw row: checked, split and joined, never altered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from gramr2.comparison import MOST_RESPONSES, Message, Role

_ROLES: dict[object, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
_TURN = re.compile(r"\n\n(Human|Assistant): ?")


class BadRowError(Exception):
    """The reason why a row is refused."""


def implicit_prompt(chosen: object, rejected: object) -> tuple[tuple[Message, ...], str, str]:
    """Prompt and answers from two conversations with a common beginning."""
    if isinstance(chosen, str) and isinstance(rejected, str):
        return _split_text(read_text(chosen, "chosen"), read_text(rejected, "rejected"))
    if isinstance(chosen, str) or isinstance(rejected, str):
        raise BadRowError("without a prompt, chosen and rejected must both be texts or both be lists of messages")
    first, second = _messages(chosen, "chosen"), _messages(rejected, "rejected")
    common = _common(first, second)
    if common and common == min(len(first), len(second)) and first[common - 1].role == "assistant":
        common -= 1  # the same answer twice is an answer, not a prompt
    if not common:
        raise BadRowError("there is no prompt, and chosen and rejected do not begin with the same messages")
    return first[:common], _joined(first[common:], "chosen"), _joined(second[common:], "rejected")


def _split_text(chosen: str, rejected: str) -> tuple[tuple[Message, ...], str, str]:
    """Cut after the last common “Assistant:” turn mark, else after the last common white space; nothing is stripped."""
    common = _common(chosen, rejected)
    marks = [mark for mark in _TURN.finditer(chosen, 0, common) if mark[1] == "Assistant"]
    if marks:
        start, cut = marks[-1].span()
        prompt = chosen[:start]
    else:
        cut = next((i for i in range(common, 0, -1) if chosen[i - 1].isspace()), 0)
        prompt = chosen[:cut]
    if not prompt.strip():
        raise BadRowError("there is no prompt, and chosen and rejected have no common beginning to take as one")
    return _turns(prompt), read_text(chosen[cut:], "chosen"), read_text(rejected[cut:], "rejected")


def _turns(text: str) -> tuple[Message, ...]:
    """The turns of a text that begins with “\\n\\nHuman:”; any other text is one user turn."""
    start, *pieces = _TURN.split(text)
    if start or not pieces:
        return read_prompt(text)
    roles: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}
    pairs = zip(pieces[::2], pieces[1::2], strict=True)
    return tuple(Message(roles[role], read_text(content, "a turn of the prompt")) for role, content in pairs)


def _common(first: Sequence[object], second: Sequence[object]) -> int:
    length = min(len(first), len(second))
    return next((i for i in range(length) if first[i] != second[i]), length)


def read_prompt(value: object) -> tuple[Message, ...]:
    """A prompt: a text is one user turn, a list is its messages."""
    if isinstance(value, str):
        return (Message("user", read_text(value, "prompt")),)
    return _messages(value, "prompt")


def read_answer(value: object, name: str, prompt: tuple[Message, ...]) -> str:
    """An answer to a given prompt; a conversation may repeat the prompt before it."""
    if isinstance(value, str):
        return read_text(value, name)
    turns = _messages(value, name)
    return _joined(turns[len(prompt) :] if turns[: len(prompt)] == prompt else turns, name)


def read_references(one: object, several: object, read: Callable[[object, str], str]) -> tuple[str, ...]:
    """What a response is scored against: a reference, or a list of up to 64, in which a repeated text counts once.

    Null and an empty list mean none. ``read`` turns a value and its name into a text.
    """
    if several is not None and (not isinstance(several, Sequence) or isinstance(several, str | bytes)):
        raise BadRowError(f"references must be a list of texts, not {shown(several)}")
    if one is not None and several:
        raise BadRowError("it has both reference and references: give only one of the two")
    if several and len(several) > MOST_RESPONSES:
        raise BadRowError(f"there are {len(several)} references, and at most {MOST_RESPONSES} can be used")
    texts = (read(value, f"references[{i}]") for i, value in enumerate(several or ()))
    return tuple(dict.fromkeys(texts)) if one is None else (read(one, "reference"),)


def _messages(value: object, name: str) -> tuple[Message, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not value:
        raise BadRowError(f"{name} must be a text or a non-empty list of messages, not {type(value).__name__}")
    turns: list[Message] = []
    for i, turn in enumerate(value):
        if not isinstance(turn, Mapping):
            raise BadRowError(f"{name}[{i}] must be a message with role and content")
        role = turn.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise BadRowError(f"{name}[{i}] has the role {shown(role)}, which must be system, user or assistant")
        turns.append(Message(_ROLES[role], read_text(turn.get("content"), f"{name}[{i}].content")))
    return tuple(turns)


def _joined(turns: tuple[Message, ...], name: str) -> str:
    if not turns:
        raise BadRowError(f"{name} has no answer after the prompt")
    for turn in turns:
        if turn.role != "assistant":
            raise BadRowError(
                f"{name} has a turn with the role {turn.role!r} in the answer, which must be assistant turns"
            )
    return "\n\n".join(turn.content for turn in turns)


def read_text(value: object, name: str) -> str:
    """The text itself; anything else, white space alone, or text that UTF-8 cannot hold is refused."""
    if not isinstance(value, str):
        raise BadRowError(f"{name} must be a text, not {type(value).__name__}")
    if not value.strip():
        raise BadRowError(f"{name} is empty")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRowError(f"{name} contains half of a surrogate pair, which is not text") from None
    return value


def shown(value: object) -> str:
    """A refused value for a message, never long."""
    small = isinstance(value, int) and abs(value) < 1e15  # Python refuses to write very long numbers
    return f"{value!r:.50}" if small or isinstance(value, str | float | None) else f"of type {type(value).__name__}"
