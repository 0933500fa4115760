"""What batches have taken, and so what the next one would take."""

from __future__ import annotations

from dataclasses import dataclass, field

KEPT = 0.9
"""how much a batch counts beside the one after it"""
SPREAD = 0.05
"""relative standard deviation of the sizes below which they tell nothing of the fixed part"""


@dataclass
class Costs:
    """Seconds of a batch against its characters: a fixed part and one for each character, by least squares over past batches.

    A judge that writes a rationale takes as many steps for one as for many, each hardly longer with more samples: nearly all is
    fixed. One that reads verdicts directly computes prompts alone, and nothing is. ``pace``: seconds per character over all.
    """

    pace: float = 1e-4
    _sums: list[float] = field(default_factory=lambda: [0.0] * 5)

    def observe(self, work: int, seconds: float) -> None:
        """Learn from a batch of so many characters."""
        self.pace = 0.8 * self.pace + 0.2 * seconds / work
        seen = (1.0, float(work), seconds, float(work) ** 2, work * seconds)
        self._sums = [KEPT * before + now for before, now in zip(self._sums, seen, strict=True)]

    @property
    def fixed(self) -> float | None:
        """Seconds that a batch takes whatever its size; None as long as all batches were of about one size."""
        weight, work, seconds, squares, products = self._sums
        if not weight:
            return None
        mean = work / weight
        variance = squares / weight - mean**2
        if variance <= (SPREAD * mean) ** 2:
            return None
        each = (products / weight - mean * seconds / weight) / variance
        return max(0.0, seconds / weight - max(0.0, each) * mean)

    def limit(self, first: int, times: float) -> float:
        """Seconds that a batch may take whose first comparison has so many characters.

        So many times the fixed part, beside the first comparison: nothing is gained by waiting for others where there is none. As
        long as it is not known, so many times the first comparison, which tells it.
        """
        fixed, alone = self.fixed, self.seconds(first)
        return times * alone if fixed is None else alone + times * fixed

    def seconds(self, work: int) -> float:
        """Of a batch of so many characters."""
        weight, total, seconds, *_ = self._sums
        if not weight:
            return self.pace * work
        fixed = self.fixed or 0.0
        return fixed + max(0.0, seconds / weight - fixed) * work * weight / total
