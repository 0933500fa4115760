"""Addressed randomness: every order, sample and split is derived from a seed and the name of what it is for."""

from __future__ import annotations

import hashlib


def _digest(seed: int, parts: tuple[str | int, ...]) -> int:
    text = "\x1f".join([str(seed), *map(str, parts)])
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def fraction(seed: int, *parts: str | int) -> float:
    """A number in [0, 1) for this address: the source of every random choice of a run. ``1`` and ``"1"`` are one address."""
    return (_digest(seed, parts) >> 11) / (1 << 53)


def derive_seed(seed: int, *parts: str | int) -> int:
    """A 63-bit seed for this address."""
    return _digest(seed, parts) >> 1
