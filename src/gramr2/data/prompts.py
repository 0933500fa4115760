"""The prompt of a row: the columns in which files keep it, its system turn, and the tools that could be called."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gramr2.data.turns import BadRowError, read_prompt, read_text
from gramr2.messages import Message, carries, tools_text

NAMES = ("prompt", "instruction", "question", "query", "input", "messages", "conversations", "conversation")
_SYSTEM = ("system", "system_prompt")


def find_prompt(row: Mapping[str, object], without: Collection[str] = ()) -> tuple[Message, ...] | None:
    """The prompt, from the first of the columns ``NAMES`` that the row has; None if it has none of them.

    ``instruction`` and ``input`` together are one prompt (Alpaca). ``system`` is a turn before it, and ``tools`` are lines of
    that turn.

    Args:
        row: where the columns are looked for.
        without: columns that are known to be something else.

    Raises:
        BadRowError: the column holds no prompt, or there are two system turns.
    """
    name = next((each for each in NAMES if each in row and each not in without), None)
    if name is None:
        return None
    value = row[name]
    if name == "instruction" and "input" in row and carries(row["input"]):
        value = f"{read_text(value, name)}\n\n{read_text(row['input'], 'input')}"
    elif name != "prompt" and isinstance(value, str):
        value = read_text(value, name)
    return with_system(row, read_prompt(value))


def with_system(row: Mapping[str, object], prompt: tuple[Message, ...]) -> tuple[Message, ...]:
    """The prompt after the row's system turn and tools, if it has any. Raises as ``find_prompt`` does."""
    said = next((each for each in _SYSTEM if each in row and carries(row[each])), None)
    texts = [] if said is None else [read_text(row[said], said)]
    if prompt[0].role == "system":
        if texts and prompt[0].content != texts[0]:
            raise BadRowError(f"the column {said} and the prompt's own system turn differ: keep one of them")
        texts, prompt = [prompt[0].content], prompt[1:]
    if "tools" in row and carries(row["tools"]):
        texts.append(tools_text(row["tools"], "tools"))
    return (Message("system", "\n\n".join(texts)), *prompt) if texts else prompt
