"""As many A as B, and not too many ties: a judge that sees one label more often learns to prefer it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gramr2.comparison import Label
from gramr2.config.schedules import FixedShare
from gramr2.data.balance import balancing_swaps
from gramr2.selftraining.candidate import Candidate
from gramr2.selftraining.filters.base import FilterConfig, FilterContext, Rejection


class Balance(FilterConfig):
    """Keep exactly as many A as B, by swapping responses, and few ties; put it last.

    Label and rationale are swapped too. An example whose rationale mentions a bare “A” or “B” cannot be swapped by rule. If
    such examples, or an odd number, leave a surplus, the least confident of the larger side are dropped. So are surplus ties.
    """

    kind: Literal["balance"] = "balance"
    max_ties: FixedShare = 0.34
    """maximum share of ties among the kept labels; the least confident are dropped"""

    def review(self, candidates: Sequence[Candidate], context: FilterContext) -> list[Candidate | Rejection]:
        result: dict[str, Candidate | Rejection] = {c.comparison.id: c for c in candidates}
        decisive = [c for c in candidates if c.example and c.example.label is not Label.TIE]
        swaps = balancing_swaps([c.example for c in decisive if c.example], context.seed)
        sides = [c.swap() if swap else c for c, swap in zip(decisive, swaps, strict=True)]
        for each in sides:
            result[each.comparison.id] = each
        sizes = {label: sum(c.example is not None and c.example.label is label for c in sides) for label in Label}
        larger = max((Label.A, Label.B), key=lambda label: sizes[label])
        surplus = abs(sizes[Label.A] - sizes[Label.B])
        for each in self._weakest([c for c in sides if c.example and c.example.label is larger])[:surplus]:
            result[each.comparison.id] = Rejection(
                self.name,
                f"surplus of {larger.value} over {larger.swap().value}",
                sizes[larger],
                min(sizes[Label.A], sizes[Label.B]),
            )
        share = context.limit("balance.max_ties", self.max_ties, at_least=False)
        ties = [c for c in candidates if c.example and c.example.label is Label.TIE]
        decided = len(sides) - surplus
        # t ≤ share · (t + decided), solved for the number of ties t; without any A or B, every tie is surplus.
        allowed = len(ties) if share >= 1 else int(share * decided / (1 - share) + 1e-9)
        for each in self._weakest(ties)[: max(len(ties) - allowed, 0)]:
            result[each.comparison.id] = Rejection(
                self.name, "too many ties", round(len(ties) / (len(ties) + decided), 4), share
            )
        return [result[c.comparison.id] for c in candidates]

    def _weakest(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        return sorted(candidates, key=lambda c: (c.confidence or 0.0, c.comparison.id))
