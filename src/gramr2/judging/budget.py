"""Token budgets, checked before anything is judged or trained: nothing is ever cut to fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from gramr2.comparison import Comparison, Message
from gramr2.errors import PromptTooLongError

BRIDGE_TOKENS = 32
"""room for the tags that guided decoding writes"""


class TokenCounter(Protocol):
    """The part of a backend that a budget needs; a tokenizer alone is enough for it."""

    @property
    def context_length(self) -> int:
        """The most tokens of prompt and answer together."""
        ...

    def count_tokens(self, messages: tuple[Message, ...], answer: str = "") -> int:
        """Tokens of a prompt followed by an answer."""
        ...


class PromptTemplate(Protocol):
    """The part of a template that a budget needs."""

    @property
    def prefill(self) -> str:
        """The start of the answer."""
        ...

    def render(self, comparison: Comparison) -> tuple[Message, ...]:
        """The prompt."""
        ...


@dataclass(frozen=True, slots=True)
class Overlong:
    """A comparison that does not fit."""

    id: str
    tokens: int
    allowed: int


def overlong(
    counter: TokenCounter,
    template: PromptTemplate,
    items: Iterable[tuple[Comparison, str]],
    *,
    new_tokens: int,
    max_prompt_tokens: int | None = None,
) -> list[Overlong]:
    """The comparisons whose rendered prompt leaves no room for ``new_tokens`` or the given answer, whichever is longer.

    Args:
        items: comparisons, each with the answer it will be trained on (empty when it is only judged).
    """
    found: list[Overlong] = []
    for comparison, answer in items:
        prompt = counter.count_tokens(template.render(comparison), template.prefill)
        written = max(new_tokens, counter.count_tokens((), answer) if answer else 0)
        allowed = counter.context_length - written - BRIDGE_TOKENS
        allowed = min(allowed, max_prompt_tokens) if max_prompt_tokens else allowed
        if prompt > allowed:
            found.append(Overlong(comparison.id, prompt, allowed))
    return found


def refuse(found: list[Overlong], total: int, what: str) -> None:
    """Raise for comparisons that do not fit.

    Raises:
        PromptTooLongError: there are some; names the first, how many they are, and what to do.
    """
    if found:
        first = found[0]
        raise PromptTooLongError(
            f"{what}: {len(found)} of {total} comparisons exceed the budget of {first.allowed} prompt tokens (the first, "
            f"{first.id!r}, has {first.tokens}): raise max_prompt_tokens, take a larger model, or set on_overlong: drop"
        )
