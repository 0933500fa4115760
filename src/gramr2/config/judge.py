"""The judge's prompt and how it is sampled."""

from __future__ import annotations

import logging
from typing import Any, Literal

from pydantic import Field, model_validator

from gramr2.config.section import Section, would_be_copies

log = logging.getLogger("gramr2")


class SamplingConfig(Section):
    """How comparisons are judged."""

    votes: int = Field(default=4, ge=1)
    """samples in each order (the paper uses 16 votes at test time; 4 in each of two orders is a cheap start)"""
    orders: Literal["both", "first"] = "both"
    """judge both orders, or only the stored one"""
    temperature: float = Field(default=0.75, ge=0)
    """the authors' released inference script uses 0.75; 0 is greedy"""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """nucleus sampling"""
    max_new_tokens: int = Field(default=256, gt=0)
    """budget of the rationale"""
    guided: bool = True
    """fill in the verdict's tags for the model and sample among the labels only"""
    stop_certainty: float | None = Field(default=None, gt=0.5, lt=1)
    """stop voting on a comparison once its majority is this certain (0.95 in adaptive consistency, Aggarwal et al. 2023);
    by default all votes are sampled"""
    direct_certainty: float | None = Field(default=None, gt=0.5, lt=1)
    """write no rationales to decide what the direct reading is this certain of, both orders agreeing; those that are learnt still
    get one. By default the verdict is read where ``judge.verdict`` says"""
    close_on_budget: bool = False
    """close a rationale that used up its budget and read the verdict; otherwise the vote counts as truncated"""

    @model_validator(mode="before")
    @classmethod
    def _former_names(cls, value: Any) -> Any:
        if isinstance(value, dict) and "settled" in value:
            value = dict(value)
            former = value.pop("settled")
            if former is not None and "stop_certainty" in value:
                raise ValueError("settled is the former name of stop_certainty: remove it")
            if former is not None:
                log.warning("judge: settled is now called stop_certainty")
                value["stop_certainty"] = former
        return value

    @model_validator(mode="after")
    def _votes_differ(self) -> SamplingConfig:
        if wrong := would_be_copies(self.votes, self.temperature):
            raise ValueError(wrong)
        if self.close_on_budget and not self.guided:
            raise ValueError("close_on_budget needs guided: true")
        return self


class PoolSampling(SamplingConfig):
    """How unlabelled comparisons are judged."""

    audit: int = Field(default=20, ge=0)
    """comparisons a round that were spared votes (``stop_certainty``, ``direct_certainty``) and are then given all of them, to
    count the decisions that change; the labels stay as they are"""


class EvaluationSampling(SamplingConfig):
    """How the gold set is judged: by default with one greedy judgment in each order."""

    votes: int = Field(default=1, ge=1)
    """samples in each order"""
    temperature: float = Field(default=0.0, ge=0)
    """greedy, so that two judges differ by their weights alone"""


class JudgeConfig(Section):
    """The judge's prompt and how it is sampled on the pool and on gold."""

    mode: Literal["reason", "label"] = "reason"
    """a rationale and then the verdict, or the verdict alone (the label-only baseline)"""
    verdict: Literal["direct", "reasoned", "both", "auto"] = "auto"
    """where the verdict is read: direct, at the end of a prompt that asks for no rationale (a prefill in each order, nothing
    sampled) · reasoned, after the rationale · both, combined in log-odds with weights fitted on held-out seed comparisons ·
    auto, whichever does best for the seed judge on held-out seed comparisons, or, with fewer than 16 of them, the reading
    whose two orders agree better on the pool"""
    ties: Literal["auto"] | bool = "auto"
    """whether “tie” is a possible verdict; auto: if any labelled seed comparison is a tie. A small judge that has seen
    no ties may still predict them (docs/experiments.md)"""
    principles: list[str] = Field(default_factory=list)
    """criteria that go into the prompt, one sentence each"""
    pool: PoolSampling = Field(default_factory=PoolSampling)
    """sampling on unlabelled comparisons"""
    gold: EvaluationSampling = Field(default_factory=EvaluationSampling)
    """sampling on the gold set"""
