"""A judge whose tokens are counted."""

from __future__ import annotations

from collections.abc import Sequence

from gramr2.comparison import Comparison
from gramr2.judging.preference import PreferenceModel
from gramr2.judgment import Decision
from gramr2.wire.lists import UsageBody


class Metered:
    """Counts what a judge is asked and writes. A prompt counts once for each order and reading, however many votes it has."""

    def __init__(self, judge: PreferenceModel) -> None:
        self._judge = judge
        self._prompts = self._written = self._comparisons = 0

    @property
    def id(self) -> str:
        """The judge's."""
        return self._judge.id

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``."""
        decisions = self._judge.compare(comparisons, seed)
        for each in decisions:
            prompts = {(vote.order, vote.reading): vote.prompt_tokens for vote in each.judgments}
            self._prompts += sum(prompts.values())
            self._written += sum(vote.completion_tokens for vote in each.judgments)
        self._comparisons += len(decisions)
        return decisions

    @property
    def usage(self) -> UsageBody:
        """The tokens so far, as the backend counts them."""
        return UsageBody(
            prompt_tokens=self._prompts,
            completion_tokens=self._written,
            total_tokens=self._prompts + self._written,
            comparisons=self._comparisons,
        )
