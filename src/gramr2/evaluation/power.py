"""How many comparisons a paired test of two judges needs (Connor 1987, simplified): n = 7.84 · d / Δ².

d is the share of the comparisons that exactly one of the two judges gets right, and Δ the difference in accuracy that is
detected with 80 % power at the 5 % level, two-sided. Comparisons count as independent.
"""

from __future__ import annotations

import math

POWER = 7.84
"""(1.96 + 0.84)²"""


def visible_difference(discordant: float, n: int) -> float:
    """The difference in accuracy that ``n`` comparisons detect."""
    return math.sqrt(POWER * discordant / n)


def comparisons_for(difference: float, discordant: float) -> int:
    """How many comparisons it takes to detect this difference; the inverse of ``visible_difference``."""
    # Without the last term, rounding would add a comparison to a whole number.
    return math.ceil(POWER * discordant / difference**2 - 1e-9)
