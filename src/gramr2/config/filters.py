"""The filters' entries in a run file; what each does is in its file in ``gramr2.selftraining.filters``.

Every threshold may be a schedule, see ``gramr2.config.schedules``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gramr2.config.schedules import Pmi, Share, Words
from gramr2.config.section import Section


class ConfidenceFilter(Section):
    """Keep a pseudo-label whose averaged probability is high."""

    kind: Literal["confidence"] = "confidence"
    """names the filter"""
    threshold: Share = 0.8
    """least P(label | rationale), averaged over samples and both orders (0.8 in SSRM)"""
    calibrate: bool = True
    """rescale the probability by a temperature fitted on held-out seed comparisons (``data.held_out_share``); without any,
    it stays as it is and the run says so"""


class ConsistencyFilter(Section):
    """Keep a pseudo-label that samples and orders agree on."""

    kind: Literal["consistency"] = "consistency"
    """names the filter"""
    min_agreement: Share = 0.75
    """least share of valid votes that state the label"""
    allow_order_flip: bool = False
    """keep labels on which the two orders, each by itself, disagree"""
    min_coverage: Share = 0.5
    """least share of votes that were verdicts at all"""


class ReadingsFilter(Section):
    """Keep a pseudo-label that both readings of the verdict name, the one before the rationale and the one after it."""

    kind: Literal["readings"] = "readings"
    """names the filter; a judge with one reading has nothing to compare, so its labels pass"""
    min_margin: Share = 0.0
    """least lead of the label's probability over the next label's, in each reading"""


class SecondViewFilter(Section):
    """Keep a pseudo-label that a second, cheaper model trained on the same seed finds likely as well."""

    kind: Literal["second_view"] = "second_view"
    """names the filter; what the second view knows nothing of is dropped"""
    view: Literal["bag-of-words", "frozen-features"] | None = None
    """which model: frozen-features (Bradley-Terry on the backbone's hidden states) or bag-of-words; the default is the run's
    ``second_view``, and frozen-features where it has none"""
    min_probability: Share = 0.5
    """least probability of A or B under the second view, shared out between those two, as it may know no ties"""
    max_tie_gap: Share = 0.2
    """a tie passes if the second view's P(A) and P(B) are at most this far apart"""


class TransitivityFilter(Section):
    """Keep pseudo-labels that put the responses to a prompt in an order: of each circle A > B > C > A the least sure goes."""

    kind: Literal["transitivity"] = "transitivity"
    """names the filter; it does something where pairs of one prompt (``group``, or the same text) share responses"""
    ties: bool = True
    """read on through ties: A = B and B > C exclude C > A; otherwise ties are left out of it"""


class HistoryFilter(Section):
    """Keep a pseudo-label that is still what the judge of the last round said."""

    kind: Literal["history"] = "history"
    """names the filter"""
    require_earlier: bool = False
    """drop what was not judged in the last round, which in the first round, and with fresh slices of the pool, is everything"""


Failed = Literal["auto", "drop", "strip"]
"""what a bad rationale does: see ``RationaleFilter.failed``"""


class RationaleFilter(Section):
    """Keep a rationale that is well formed and supports its conclusion (rule checks of GRAM-R², §3)."""

    kind: Literal["rationale"] = "rationale"
    """names the filter"""
    min_words: Words = 8
    """shorter ones explain nothing"""
    max_words: Words = 300
    """longer ones ramble"""
    max_repetition: Share = 0.3
    """most allowed share of word 4-grams that occur again"""
    names_both: bool = True
    """Response A and Response B must both be mentioned, by name or as «both» or «each response»"""
    require_conclusion: bool = True
    """a Conclusion line must stand there and state the label"""
    min_quotes: Share = 1.0
    """least share of its quotations that really occur in the prompt or a response; without quotations it counts as 1"""
    min_principles: Share = 1.0
    """least share of ``judge.principles`` that it addresses; without principles it counts as 1"""
    failed: Failed = "auto"
    """drop a comparison whose rationale fails, strip the rationale and learn the label, or auto: strip where the label was read
    directly and does not rest on the rationale"""

    @model_validator(mode="after")
    def _bounds(self) -> RationaleFilter:
        low, high = self.min_words, self.max_words
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            raise ValueError(f"min_words {low:g} is above max_words {high:g}")
        return self


class SupportFilter(Section):
    """Keep a rationale from which the label can be read back with neither responses nor conclusion in sight."""

    kind: Literal["support"] = "support"
    """names the filter; it costs one prefill for each comparison that reaches it"""
    min_probability: Share = 0.5
    """least P(label | rationale alone) under the judge"""
    failed: Failed = "auto"
    """as in the rationale filter"""


class SpecificFilter(Section):
    """Keep a rationale that belongs to its comparison: generic ones would be as likely without it."""

    kind: Literal["specific"] = "specific"
    """names the filter; it costs two prefills for each comparison that reaches it"""
    min_pmi: Pmi = 0.0
    """least normalised pointwise mutual information 1 − log π(z|s) / log π(z), which is the proof score of GRAM-R² plus 1"""
    failed: Failed = "auto"
    """as in the rationale filter"""


class DuplicatesFilter(Section):
    """Keep one of several near-copies, and none of what is in the seed, in gold or was kept before."""

    kind: Literal["duplicates"] = "duplicates"
    """names the filter"""
    max_similarity: Share = 0.6
    """most allowed overlap of word 3-grams (Jaccard) of prompt and responses"""


class BalanceFilter(Section):
    """Keep as many A as B, by exchanging responses where that can be done, and not too many ties."""

    kind: Literal["balance"] = "balance"
    """names the filter; put it last"""
    max_ties: Share = 0.34
    """most allowed share of ties among what is kept; the least confident are dropped"""


FilterConfig = Annotated[
    ConfidenceFilter
    | ConsistencyFilter
    | ReadingsFilter
    | SecondViewFilter
    | TransitivityFilter
    | HistoryFilter
    | RationaleFilter
    | SupportFilter
    | SpecificFilter
    | DuplicatesFilter
    | BalanceFilter,
    Field(discriminator="kind"),
]


_OF_DECISIONS = ("confidence", "consistency", "readings", "second_view", "transitivity", "history")


def place_of_rationales(kinds: Sequence[str]) -> int:
    """Where in a stack the rationales are found: before the first filter that looks at more than decisions."""
    return next((i for i, kind in enumerate(kinds) if kind not in _OF_DECISIONS), len(kinds))


def default_stack() -> tuple[FilterConfig, ...]:
    """The filters that cost no extra model call."""
    return (ConfidenceFilter(), ConsistencyFilter(), RationaleFilter(), DuplicatesFilter(), BalanceFilter())
