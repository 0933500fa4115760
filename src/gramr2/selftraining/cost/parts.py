"""What the stages of a plan ask of a model and learn: counts, lengths, and what is assumed about both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gramr2.config import RunConfig
from gramr2.config.judge import SamplingConfig
from gramr2.config.schedules import Quantile
from gramr2.selftraining.cost.sizes import Sizes
from gramr2.selftraining.cost.stages import Asked, Kind, Learnt, Stage

KEPT = 0.5
"""share of judged comparisons that a round keeps, where the config does not say more"""
ROW, VOTE = 400, 250
"""bytes of a row of kept, dropped or gold comparisons, and of each vote in it, beside their texts"""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is not known before a run.

    Args:
        kept: share of judged comparisons that a round keeps; None: what a quantile in the confidence filter says, else ``KEPT``.
        rationale: tokens of a rationale; None: the mean of the seed's, else the budget.
    """

    kept: float | None = None
    rationale: float | None = None


AT_MOST = Assumptions(kept=1.0, rationale=float("inf"))
"""every comparison is kept, and every rationale uses up its budget"""


class Parts:
    """A run's config, the sizes of its data and what is assumed, and the pieces that stages are made of."""

    def __init__(self, config: RunConfig, sizes: Sizes, assumed: Assumptions) -> None:
        self.config, self.sizes, self.assumed = config, sizes, assumed
        self.reasons = config.judge.mode == "reason"
        self.verdict = self._verdict()
        self.taught = False
        self.states: Counter[tuple[str, str]] = Counter()
        """comparisons whose hidden states are computed, by model and part"""
        self.warmed = "warm-up" if config.warmup else "backbone"

    def _verdict(self) -> str:
        """The reading that is planned for; ``auto`` may choose any, and both cost most."""
        wanted = self.config.judge.verdict
        if not self.reasons:
            return "direct"
        if wanted == "auto":
            return "both" if self.config.training.verdict.weight else "reasoned"
        return wanted

    def _left(self, number: int) -> int:
        step = self.config.curriculum.per_round
        pool = self.sizes.count("pool")
        return pool if step is None else max(0, pool - step * (number - 1))

    def _share(self, number: int) -> float:
        if self.assumed.kept is not None:
            return self.assumed.kept
        for each in self.config.filters:
            threshold = getattr(each, "threshold", None)
            if each.kind == "confidence" and isinstance(threshold, Quantile):
                whole = self.config.rounds - 1
                way = (number - 1) / whole if whole > 0 else 0.0
                return 1 - (threshold.start + (threshold.end - threshold.start) * way)
        return KEPT

    def _accumulated(self, number: int) -> float:
        """Kept so far: slices add up, and a pool that is judged again replaces what was kept of it."""
        step, total = self.config.curriculum.per_round, 0.0
        for each in range(1, number + 1):
            judged = self._left(each) if step is None else min(self._left(each), step)
            kept = self._share(each) * judged
            total = max(total, kept) if step is None else total + kept
        return total

    def _budget(self, budget: int) -> float:
        """Tokens of a rationale, of at most ``budget``, with those that lead to its verdict."""
        wanted = self.assumed.rationale if self.assumed.rationale is not None else self.sizes.rationale
        return (budget if wanted is None else min(budget, wanted)) + self.sizes.bridge

    def _own(self) -> float:
        """Tokens of the seed's own rationales."""
        return self.sizes.rationale or self._budget(self._longest())

    def _longest(self) -> int:
        proving = self.config.rationale.source == "proving"
        return self.config.rationale.proving.max_new_tokens if proving else self.config.judge.pool.max_new_tokens

    def _without(self) -> int:
        """Seed comparisons that are learnt without a rationale."""
        return 0 if self.config.rationale.fills_seed else self.sizes.bare

    def _asked(self, part: str, n: float, sampling: SamplingConfig, reading: str) -> Iterator[Asked]:
        orders = 2 if sampling.orders == "both" else 1
        if reading in ("direct", "both"):
            yield Asked(orders * n, self.sizes.of(part, "direct"))
        if reading in ("reasoned", "both"):
            written = self._budget(sampling.max_new_tokens)
            yield Asked(orders * n, self.sizes.of(part, "reasoned"), sampling.votes, written)

    def _judge(self, title: str, model: str, part: str, n: float, sampling: SamplingConfig, reading: str) -> Stage:
        asked = tuple(self._asked(part, n, sampling, reading))
        texts = self.sizes.bytes.get(part, 0.0) + sum(each.votes * 4 * each.generated for each in asked)
        votes = sum(each.requests * each.votes for each in asked)
        return Stage(title, Kind.JUDGE, n, model, asked, kept=n * (ROW + texts) + VOTE * votes)

    def _forms(self, part: str, n: float, reasoned: float, written: float) -> Iterator[Learnt]:
        """The sequences of ``n`` comparisons, ``reasoned`` of which have a rationale of so many tokens."""
        training, sizes = self.config.training, self.sizes
        orders = 2 if training.orders == "both" else 1
        if reasoned:
            yield self._learnt(orders * reasoned, part, "reasoned", written + sizes.frame)
        direct = 2 * n if training.verdict.weight else orders * (n - reasoned)
        if direct:
            yield self._learnt(direct, part, "direct", sizes.label)

    def _learnt(self, count: float, part: str, form: str, answer: float) -> Learnt:
        """Prompts of a form with answers of so many tokens, the beginning of which the prompts' lengths hold already."""
        return Learnt(count, self.sizes.of(part, form).longer(answer - self.sizes.given[form]), answer)
