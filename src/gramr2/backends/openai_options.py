"""The options of a chat request that a server may refuse, and what is sent instead.

Servers differ in which options they take: a reasoning model has its own temperature, some know no seed, others rename the budget.
A refusal names the option. The request is sent again without it, and once that has worked, so are all later ones.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gramr2.backends.base import Decoding

log = logging.getLogger("gramr2")

ROOM_FOR_VERDICT = 16
"""tokens on top of the rationale's budget, for tags that other backends write themselves"""
TOP = 20
"""alternatives requested at each token: the most that these APIs return"""
SEEDS = 1 << 31
OLD, NEW = "max_tokens", "max_completion_tokens"
"""the budget's names: OpenAI has renamed it, and most other servers know the older name only"""
_DISPENSABLE = ("top_p", "seed", "temperature")
"""in this order, where a refusal names several of which one may stay"""
_LOST = {
    "logprobs": "votes are counted, not weighted",
    "temperature": "answers are sampled as the server does",
    "top_p": "answers are sampled from all tokens",
    "seed": "the same request may have another answer next time",
    "budget": "the server decides how long an answer may be",
}
_SHOWN = {"budget": "a limit of tokens"}
_WORD = {name: name for name in _LOST} | {"budget": "_tokens", "logprobs": "logprob"}
_TOO_LONG = re.compile(r"context|too (large|long|many)|at most|exceed|reduce", re.IGNORECASE)
"""in a refusal that names the budget: this prompt is too long, and another may fit"""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a server takes. ``budget`` is the option's name, or None; ``top`` is how many alternatives it returns, or 0."""

    budget: str | None
    top: int = TOP
    dropped: frozenset[str] = frozenset()

    def options(self, decoding: Decoding, seed: int, logprobs: bool) -> dict[str, Any]:
        """The options of a request."""
        found: dict[str, Any] = {"temperature": decoding.temperature, "top_p": decoding.top_p, "seed": seed % SEEDS}
        found = {name: value for name, value in found.items() if name not in self.dropped}
        if self.budget is not None:
            found[self.budget] = decoding.max_new_tokens + ROOM_FOR_VERDICT
        if logprobs and self.top:
            found |= {"logprobs": True, "top_logprobs": self.top}
        return found

    def without(self, refusal: Any, sent: dict[str, Any]) -> Accepted | None:
        """What is left after a refusal; None if the refusal names none of the options that were sent.

        Args:
            refusal: the body of the server's answer.
            sent: the options of the request.
        """
        said = refusal if isinstance(refusal, str) else json.dumps(refusal, ensure_ascii=False)
        named = _named(refusal, said, sent)
        if "logprobs" in named:
            fewer = [n for n in map(int, re.findall(r"(?<![\w.-])\d{1,2}(?![\w-])", said)) if 0 < n < self.top]
            return Accepted(self.budget, max(fewer, default=0), self.dropped)
        for name in _DISPENSABLE:
            if name in named:
                return Accepted(self.budget, self.top, self.dropped | {name})
        if self.budget in named and not _TOO_LONG.search(said):
            other = {OLD: NEW, NEW: OLD}[self.budget or OLD]
            # A second refusal is of the other name: this server takes neither.
            budget = None if "budget" in self.dropped else other
            return Accepted(budget, self.top, self.dropped | {"budget"})
        return None


@dataclass
class RefusedOptions:
    """Remembers what a server takes, for all threads that ask it."""

    now: Accepted
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, worked: Accepted, server: str, refusals: Sequence[str]) -> None:
        """Remember what a request needed to be answered, and tell the user once what that costs.

        Args:
            worked: what the answered request left out.
            server: its name.
            refusals: what it said on the way.
        """
        with self._lock:
            before = self.now
            if worked == before:
                return
            dropped = before.dropped | worked.dropped
            self.now = Accepted(
                worked.budget if "budget" in worked.dropped else before.budget, min(before.top, worked.top), dropped
            )
            fresh = {name for name in dropped - before.dropped if name != "budget" or self.now.budget is None}
            if before.top and not self.now.top:
                fresh.add("logprobs")
        for name in sorted(fresh):
            said = next((each for each in refusals if _WORD[name] in each), refusals[0])
            log.warning("%s refuses %s, so %s (it says: %s)", server, _SHOWN.get(name, name), _LOST[name], said)


def _named(refusal: Any, said: str, sent: dict[str, Any]) -> set[str]:
    """The sent options that a refusal names: by its parameter if it has one, or else anywhere in its text."""
    error = refusal.get("error", refusal) if isinstance(refusal, dict) else {}
    parameter = error.get("param") if isinstance(error, dict) else None
    for text in (parameter if isinstance(parameter, str) else "", said):
        words = set(re.findall(r"\w+", text))
        found = {name for name in sent if name in words}
        if any("logprob" in word for word in words) and "logprobs" in sent:
            found.add("logprobs")
        if found:
            return found
    return set()
