"""The filters' entries in a run file; what they do is in ``gramr2.selftraining.filters``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Filter(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ConfidenceFilter(_Filter):
    """Keep a pseudo-label whose averaged probability is high."""

    kind: Literal["confidence"] = "confidence"
    """names the filter"""
    threshold: float = Field(default=0.8, ge=0, le=1)
    """least P(label | rationale), averaged over samples and both orders (0.8 in SSRM)"""


class ConsistencyFilter(_Filter):
    """Keep a pseudo-label that samples and orders agree on."""

    kind: Literal["consistency"] = "consistency"
    """names the filter"""
    min_agreement: float = Field(default=0.75, ge=0, le=1)
    """least share of valid votes that state the label"""
    allow_order_flip: bool = False
    """keep labels on which the two orders, each by itself, disagree"""
    min_coverage: float = Field(default=0.5, ge=0, le=1)
    """least share of votes that were verdicts at all"""


class RationaleFilter(_Filter):
    """Keep a rationale that is well formed and supports its conclusion (rule checks of GRAM-R², §3)."""

    kind: Literal["rationale"] = "rationale"
    """names the filter"""
    min_words: int = Field(default=8, ge=1)
    """shorter ones explain nothing"""
    max_words: int = Field(default=300, ge=1)
    """longer ones ramble"""
    max_repetition: float = Field(default=0.3, ge=0, le=1)
    """most allowed share of word 4-grams that occur again"""
    names_both: bool = True
    """Response A and Response B must both be mentioned, by name or as «both» or «each response»"""
    require_conclusion: bool = True
    """a Conclusion line must stand there and state the label"""

    @model_validator(mode="after")
    def _bounds(self) -> RationaleFilter:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} is above max_words {self.max_words}")
        return self


FilterConfig = Annotated[ConfidenceFilter | ConsistencyFilter | RationaleFilter, Field(discriminator="kind")]
