"""A comparison read back from a rendered prompt, without trust: in time that grows with its length, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gramr2.comparison import Comparison, Message
from gramr2.judging.quoting import unquote
from gramr2.judging.template import HEADERS, JudgeMode, JudgeTemplate

_PROMPT, _A, _B, _END = HEADERS


def comparison_in(template: JudgeTemplate, messages: Sequence[Message]) -> tuple[Comparison, JudgeTemplate] | None:
    """The comparison of which a template makes exactly these messages, and the template in the mode that does: its own, or
    ``label``. None if neither does. The comparison's prompt is one turn, however many it was rendered from.
    """
    for mode in dict.fromkeys((template.mode, JudgeMode.LABEL)):
        form = replace(template, mode=mode)
        found = _sections(form, messages[-1].content) if messages else None
        if found is not None and form.render(found) == tuple(messages):
            return found, form
    return None


def looks_rendered(messages: Sequence[Message]) -> bool:
    """Whether the last message ends as a judge's prompt does, whatever its rules."""
    text = messages[-1].content if messages else ""
    return text.endswith(f"\n{_END}") and f"\n\n{_PROMPT}\n" in text


def _sections(form: JudgeTemplate, text: str) -> Comparison | None:
    start, end = f"{form.rules}\n\n{_PROMPT}\n", f"\n{_END}"
    if len(text) < len(start) + len(end) or not (text.startswith(start) and text.endswith(end)):
        return None
    # In a rendered prompt no text has a line that is a header.
    prompt, first, rest = text[len(start) : -len(end)].partition(f"\n{_A}\n")
    a, second, b = rest.partition(f"\n{_B}\n")
    return Comparison.of(unquote(prompt), unquote(a), unquote(b)) if first and second else None
