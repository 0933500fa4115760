"""How the next token is chosen inside vLLM: by our own random numbers, so that a sample belongs to its seed on every platform.

vLLM's CPU build has no random numbers per request, and those of its GPU build depend on its version. Here each token is drawn
as the transformers backend draws it, from the logits that vLLM computes: vLLM then only takes the most likely of what is left.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from gramr2.backends.base import Decoding
from gramr2.backends.sampling import drawn, usable


@dataclass(frozen=True, slots=True)
class Wish:
    """How the tokens of one request are chosen. ``skipped`` random numbers of the seed are already used up; ``forbidden``
    tokens are not written."""

    seed: int
    decoding: Decoding
    skipped: int = 0
    forbidden: tuple[int, ...] = ()

    def packed(self) -> dict[str, Any]:
        """The wish as JSON; the seed may be larger than the integers that vLLM sends."""
        return {
            "seed": str(self.seed),
            "temperature": self.decoding.temperature,
            "top_p": self.decoding.top_p,
            "skipped": self.skipped,
            "forbidden": list(self.forbidden),
        }

    @classmethod
    def unpacked(cls, values: dict[str, Any]) -> Wish:
        """The inverse of ``packed``."""
        decoding = Decoding(values["temperature"], values["top_p"])
        return cls(int(values["seed"]), decoding, values["skipped"], tuple(values["forbidden"]))


@dataclass
class _Slot:
    """``written`` is the engine's own list of the tokens that it has written, and grows."""

    wish: Wish
    written: Sequence[int]
    draws: list[float] = field(default_factory=list)
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.wish.seed)

    def draw(self) -> float:
        """The random number of the next token: an engine may compute a token again, and then needs the same one."""
        place = self.wish.skipped + len(self.written)
        while len(self.draws) <= place:
            self.draws.append(self.rng.random())
        return self.draws[place]


class Chooser:
    """The wishes of the requests in a batch, by their row, and the logits in which only the chosen tokens are left."""

    def __init__(self) -> None:
        self._slots: dict[int, _Slot] = {}

    def put(self, row: int, wish: Wish | None, written: Sequence[int]) -> None:
        """A request takes a row; without a wish its logits stay as they are."""
        self._slots.pop(row, None)
        if wish is not None:
            self._slots[row] = _Slot(wish, written)

    def drop(self, row: int) -> None:
        """A request leaves its row."""
        self._slots.pop(row, None)

    def move(self, source: int, target: int, *, swap: bool) -> None:
        """A request changes its row; what was in the other one is gone, or comes to its."""
        moved, other = self._slots.pop(source, None), self._slots.pop(target, None)
        if moved is not None:
            self._slots[target] = moved
        if swap and other is not None:
            self._slots[source] = other

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Rule tokens out of fp32 logits (rows, vocabulary), in place. Rows that are NaN or infinite stay so."""
        slots = {row: slot for row, slot in sorted(self._slots.items()) if row < len(logits)}
        places = [(row, token) for row, slot in slots.items() for token in slot.wish.forbidden]
        if places:
            at = torch.tensor(places, device=logits.device)
            logits[at[:, 0], at[:, 1]] = -torch.inf
        rows = [row for row, slot in slots.items() if slot.wish.decoding.temperature]
        if rows:
            fine = usable(logits[rows]).tolist()
            rows = [row for row, good in zip(rows, fine, strict=True) if good]
        if rows:
            tokens = drawn(
                logits[rows], [slots[row].wish.decoding for row in rows], [slots[row].draw() for row in rows]
            )
            logits[rows] = -torch.inf
            logits[rows, tokens] = 0.0
        return logits
