"""Texts and chat turns of a raw row: checked, split and joined, never altered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from gramr2.comparison import MOST_RESPONSES
from gramr2.messages import BadRowError, Message, Speaker, Turn, checked, content_text, read_turns, shown

__all__ = [
    "BadRowError",
    "implicit_prompt",
    "read_answer",
    "read_prompt",
    "read_references",
    "read_reply",
    "read_text",
    "shown",
]

_TURN = re.compile(r"\n\n(Human|Assistant): ?")
_SPEAKERS: dict[str, Speaker] = {"Human": "user", "Assistant": "assistant"}
_NO_BEGINNING = (
    "there is no prompt, and {} have no common beginning to take as one: they do not begin with the same turns"
)


def implicit_prompt(
    chosen: object, rejected: object, names: tuple[str, str] = ("chosen", "rejected")
) -> tuple[tuple[Message, ...], str, str]:
    """Prompt and answers from two conversations with a common beginning; ``names`` is what messages call them.

    Texts with turns (“\\n\\nHuman: …\\n\\nAssistant: …”) and lists of messages are cut at the same place.
    """
    if isinstance(chosen, str) and isinstance(rejected, str):
        first, second = read_reply(chosen, names[0]), read_reply(rejected, names[1])
        turns, others = _dialogue(first), _dialogue(second)
        return _split_turns(turns, others, names) if turns and others else _split_text(first, second)
    if isinstance(chosen, str) or isinstance(rejected, str):
        raise BadRowError(f"without a prompt, {' and '.join(names)} must both be texts or both be lists of messages")
    return _split_turns(read_turns(chosen, names[0]), read_turns(rejected, names[1]), names)


def _split_turns(
    first: tuple[Turn, ...], second: tuple[Turn, ...], names: tuple[str, str]
) -> tuple[tuple[Message, ...], str, str]:
    """Cut where the conversations part, or before the last common answer if the user's turns are what differs."""
    common = _common(first, second)
    while common and not (_answers(first[common:]) and _answers(second[common:])):
        common -= 1
    if not common:
        raise BadRowError(_NO_BEGINNING.format(" and ".join(names)))
    return _prompt(first[:common]), _joined(first[common:], names[0]), _joined(second[common:], names[1])


def _answers(turns: Sequence[Turn]) -> bool:
    return bool(turns) and turns[0].speaker == "assistant"


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
        raise BadRowError(_NO_BEGINNING.format("chosen and rejected"))
    return read_prompt(prompt), read_reply(chosen[cut:], "chosen"), read_reply(rejected[cut:], "rejected")


def _dialogue(text: str) -> tuple[Turn, ...]:
    """The turns of a text that begins with “\\n\\nHuman:”; none of any other text."""
    start, *pieces = _TURN.split(text)
    if start or not pieces:
        return ()
    return tuple(Turn(_SPEAKERS[role], content) for role, content in zip(pieces[::2], pieces[1::2], strict=True))


def _common(first: Sequence[object], second: Sequence[object]) -> int:
    length = min(len(first), len(second))
    return next((i for i in range(length) if first[i] != second[i]), length)


def read_prompt(value: object) -> tuple[Message, ...]:
    """A prompt: a text is one user turn (or the turns it spells, “\\n\\nHuman: …”), a list is its messages."""
    if isinstance(value, str):
        return (Message("user", read_text(value, "prompt")),)
    return _prompt(read_turns(value, "prompt"))


def read_dialogue(text: str) -> tuple[Message, ...]:
    """The turns of a text that spells them, without the mark of the answer that is to come; else one turn of the user."""
    turns = _dialogue(text)
    if turns and turns[-1].speaker == "assistant" and not turns[-1].text.strip():
        turns = turns[:-1]
    return _prompt(turns) if turns else read_prompt(text)


def _prompt(turns: Sequence[Turn]) -> tuple[Message, ...]:
    """Turns as a prompt; what the user or a tool says must not be empty, and a system turn without words is none."""
    for i, turn in enumerate(turns):
        if turn.speaker == "user" and not turn.text.strip():
            raise BadRowError(f"prompt[{i}].content is empty: a turn of the user needs words")
    found = tuple(turn.message for turn in turns if turn.speaker != "system" or turn.text.strip())
    if not found:
        raise BadRowError("prompt has no turn with words")
    return found


def read_answer(value: object, name: str, prompt: tuple[Message, ...]) -> str:
    """An answer to a given prompt; a conversation may repeat the prompt, or all but its system turn, before it.

    An empty answer is an answer. Turns after the first are joined by blank lines, and turns of the user between them named.
    """
    if isinstance(value, str):
        return read_reply(value, name)
    if isinstance(value, Mapping) and "type" not in value:
        value = [value]
    if _are_parts(value):
        return content_text(value, name)
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        return read_reply(value, name)
    turns = read_turns(value, name)
    spoken = tuple(turn for turn in prompt if turn.role != "system")
    for start in (prompt, spoken):
        if start and tuple(turn.message for turn in turns[: len(start)]) == start:
            return _joined(turns[len(start) :], name)
    return _joined(turns, name)


def _are_parts(value: object) -> bool:
    """Whether a list is the content of one message in parts, and not a list of messages."""
    parts = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()
    return bool(parts) and all(isinstance(part, Mapping) and "type" in part and "role" not in part for part in parts)


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


def _joined(turns: Sequence[Turn], name: str) -> str:
    if not turns:
        raise BadRowError(f"{name} has no answer after the prompt")
    for turn, place in ((turns[0], "begins"), (turns[-1], "ends")):
        if turn.speaker in ("system", "user") or (place == "begins" and turn.speaker == "tool"):
            raise BadRowError(
                f"the answer in {name} {place} with a turn of the role {turn.speaker!r}, not of the assistant"
            )
    texts = [turns[0].text]
    for before, turn in pairwise(turns):
        plain = turn.speaker == "tool" or (turn.speaker == "assistant" and before.speaker in ("assistant", "tool"))
        texts.append(turn.text if plain else f"{turn.speaker.capitalize()}: {turn.text}")
    return "\n\n".join(texts)


def read_reply(value: object, name: str) -> str:
    """The text of an answer, which may be empty; see ``read_text`` for what is refused."""
    return checked(value, name)


def read_text(value: object, name: str) -> str:
    """The text itself; anything else, white space alone, or text that UTF-8 cannot hold is refused."""
    text = checked(value, name)
    if not text.strip():
        raise BadRowError(f"{name} is empty")
    return text
