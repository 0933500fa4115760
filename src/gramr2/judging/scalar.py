"""A scalar reward model as a preference model: the difference of two rewards is the log-odds of the first response."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from gramr2.comparison import Comparison, Message
from gramr2.journal import Journal, address
from gramr2.judging.budget import Overlong
from gramr2.judging.preference import Ties, decided
from gramr2.judgment import Decision

CHUNK = 128
"""texts that are computed together, and again together after an interruption"""

Text = tuple[tuple[Message, ...], str]
"""a prompt and a response"""
NEVER = Ties()


class Rewards(Protocol):
    """What gives the rewards, such as ``gramr2.backends.scalar.ScalarModel``."""

    @property
    def id(self) -> str:
        """Its name and a digest of its weights."""
        ...

    @property
    def context_length(self) -> int:
        """The most tokens of a prompt and a response together."""
        ...

    def count(self, prompt: tuple[Message, ...], response: str) -> int:
        """Tokens of a response with its prompt."""
        ...

    def rewards(self, texts: Sequence[Text]) -> list[float]:
        """The reward of each text, in the order given."""
        ...


class ScalarJudge:
    """Decides by rewards: P(A) = σ(r(A) − r(B)), a tie only where they are equal, and no decision where one is no number.

    It is a ``PreferenceModel``. It sees no order and draws nothing.

    Args:
        model: gives the rewards.
        journal: keeps them as they are computed, and is asked first.
    """

    draws = False
    """whether its decisions depend on the seed"""

    def __init__(self, model: Rewards, journal: Journal | None = None) -> None:
        self.model = model
        self.journal = journal

    @property
    def id(self) -> str:
        """The reward model's."""
        return self.model.id

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``.

        Raises:
            PromptTooLongError: a response with its prompt does not fit the model.
        """
        return decided(comparisons, self.margins(comparisons), NEVER)

    def margins(self, comparisons: Sequence[Comparison]) -> list[float]:
        """r(A) − r(B) of each comparison; NaN where a reward is no finite number. Raises as ``compare`` does."""
        values = self.rewards([(each.prompt, response) for each in comparisons for response in each.responses])
        pairs = zip(values[::2], values[1::2], strict=True)
        return [a - b if math.isfinite(a) and math.isfinite(b) else math.nan for a, b in pairs]

    def rewards(self, texts: Sequence[Text]) -> list[float]:
        """The reward of each text, on the model's own scale; each distinct one is computed once. Raises as ``compare`` does."""
        distinct = [*dict.fromkeys(texts)]
        found: dict[Text, float] = {}
        for start in range(0, len(distinct), CHUNK):
            part = distinct[start : start + CHUNK]
            found |= zip(part, self._kept(part), strict=True)
        return [found[text] for text in texts]

    def overlong(self, comparisons: Sequence[Comparison]) -> list[Overlong]:
        """The comparisons of which a response with its prompt does not fit the model."""
        allowed = self.model.context_length
        sizes = ((c.id, max(self.model.count(c.prompt, each) for each in c.responses)) for c in comparisons)
        return [Overlong(name, size, allowed) for name, size in sizes if size > allowed]

    def _kept(self, texts: Sequence[Text]) -> list[float]:
        journal = self.journal
        if journal is None:
            return self.model.rewards(texts)
        keys = [_key(self.id, *text) for text in texts]
        known = [_reward(journal, key) for key in keys]
        if None not in known:
            return [each for each in known if each is not None]
        fresh = self.model.rewards(texts)
        for key, kept, value in zip(keys, known, fresh, strict=True):
            if kept is None and math.isfinite(value):
                journal.write(key, {"reward": value})
        return [value if kept is None else kept for kept, value in zip(known, fresh, strict=True)]


def _key(model: str, prompt: tuple[Message, ...], response: str) -> str:
    return address(model, "reward", [[turn.role, turn.content] for turn in prompt], response)


def _reward(journal: Journal, key: str) -> float | None:
    value = (journal.read(key) or {}).get("reward")
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
