"""Settings of the method itself: who writes the rationales, what is judged when, and what protects the judge from itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from gramr2.config.data import SourceConfig, as_lists
from gramr2.config.section import Section, would_be_copies
from gramr2.config.training import ModelConfig, TrainingConfig


class Overrides(Section):
    """What a later fine-tuning does differently from ``training``; settings left out stay the same."""

    epochs: float | None = Field(default=None, gt=0)
    """passes over the data"""
    learning_rate: float | None = Field(default=None, gt=0)
    """peak learning rate"""

    def applied_to(self, training: TrainingConfig) -> TrainingConfig:
        """The settings with these changes."""
        named = self.model_dump(exclude_none=True)
        # An explicit number of epochs overrides min_steps.
        return training.model_copy(update=named | ({"min_steps": 0} if "epochs" in named else {}))


class ProvingConfig(Section):
    """The preference-proving model: (comparison, label) → proof (GRAM-R², §3)."""

    model: ModelConfig | None = None
    """its backbone; the default is the run's"""
    data: list[SourceConfig] = Field(default_factory=list)
    """comparisons with label and rationale to train it on; the default is the seed comparisons that have a rationale"""
    train: bool = True
    """fine-tune it first; false prompts the backbone as it is, for models that need no training"""
    training: Overrides = Field(default_factory=Overrides)
    """changes to ``training`` for this model"""
    proofs: int = Field(default=4, ge=1)
    """proofs sampled for each comparison, of which the best-scoring is kept"""
    temperature: float = Field(default=0.75, ge=0)
    """sampling temperature; 0 is greedy and allows one proof"""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """nucleus sampling"""
    max_new_tokens: int = Field(default=256, gt=0)
    """budget of a proof; a proof that uses it up is discarded"""
    min_tokens: int = Field(default=16, ge=1)
    """shorter proofs are not eligible: the score's denominator vanishes for them"""
    rationales_for_seed: bool = True
    """write rationales for seed comparisons that have none, so that the judge is not initialised on labels alone"""

    @model_validator(mode="before")
    @classmethod
    def _single_source(cls, value: Any) -> Any:
        return as_lists(value, "data")

    @model_validator(mode="after")
    def _proofs_differ(self) -> ProvingConfig:
        if wrong := would_be_copies(self.proofs, self.temperature, "proofs"):
            raise ValueError(wrong)
        return self


class RationaleConfig(Section):
    """Where training rationales come from. A plain string in YAML is the ``source``."""

    source: Literal["joint", "proving", "none"] = "joint"
    """joint: the judge's own, from its best vote · proving: a second model proves the label · none: labels only (the ablation)"""
    unconditional_prompt: str = Field(default="Compare two responses.", min_length=1)
    """prompt for the term log π(z) in the proof score and in the pmi filter; the paper does not state it"""
    own_for_seed: int = Field(default=0, ge=0)
    """for seed comparisons without a rationale, the pretrained model casts this many votes in each order, and the
    best rationale that reaches the known label is learnt (rejection sampling, as in STaR, arXiv 2203.14465); for
    models that can already judge"""
    proving: ProvingConfig = Field(default_factory=ProvingConfig)
    """settings for source: proving"""

    @property
    def fills_seed(self) -> bool:
        """Whether rationales are written for seed comparisons that have none."""
        return self.own_for_seed > 0 or (self.source == "proving" and self.proving.rationales_for_seed)

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_author(self) -> RationaleConfig:
        if self.own_for_seed and self.source != "joint":
            raise ValueError(
                f"own_for_seed works only with source: joint, not with {self.source}: remove one of the two"
            )
        return self


class SecondViewConfig(Section):
    """A cheap model on other features, fitted on the seed, that contributes to the pseudo-labels and, if asked, to the judge's
    own verdicts. A plain string is its ``name``."""

    name: Literal["frozen-features", "bag-of-words"] = "frozen-features"
    """frozen-features: Bradley-Terry on the backbone's hidden states · bag-of-words: on words and surface features"""
    weight: float = Field(default=1.0, ge=0)
    """weight of its margin; the judge's is 1, both in units of their spread over the slice. With 0 only the second_view filter
    uses it"""
    judge_cap: float | None = Field(default=1.0, gt=0)
    """limit on the judge's margin, in units of its spread; null for no limit. A judge trained on few labels is most confident
    where it follows a shortcut, such as “No” before “Yes” (docs/experiments.md)"""
    verdict_weight: float = Field(default=0.0, ge=0)
    """weight of its margin in the verdicts of the judge itself, which is then saved with it; 0: it only helps to label. Costs two
    forward passes of the backbone for each comparison"""

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class CurriculumConfig(Section):
    """Which part of the pool a round judges. How strict a round is depends on each filter's threshold."""

    per_round: int | None = Field(default=None, gt=0)
    """comparisons per round, none used twice; by default every round judges the whole pool"""
    order: Literal["random", "easy_first"] = "random"
    """random, or first those on which the current judge is most confident without a rationale (costs a prefill per order and
    comparison)"""

    @model_validator(mode="after")
    def _order_matters(self) -> CurriculumConfig:
        if self.order == "easy_first" and self.per_round is None:
            raise ValueError("order: easy_first changes nothing when every round judges the whole pool: set per_round")
        return self


class AlarmsConfig(Section):
    """Limits beyond which a round is reported as suspicious. An alarm warns; only the gold test rolls back."""

    max_label_share: float = Field(default=0.9, gt=0, le=1)
    """largest share of one label among the pool's decisions"""
    max_flip_growth: float = Field(default=0.1, ge=0)
    """largest rise of the order-flip rate on gold, relative to the judge before"""
    max_length_drift: float = Field(default=1.5, gt=1)
    """largest factor by which rationales may grow or shrink on average, relative to the seed's or the first round's"""
    min_passed: float = Field(default=0.02, ge=0, le=1)
    """smallest share that a single filter may pass"""
    max_passed: float = Field(default=0.98, ge=0, le=1)
    """largest share that all filters together may pass"""


class GuardsConfig(Section):
    """The gold gate: a round whose judge is significantly worse than the current one, or than the seed judge, is
    rolled back."""

    test: Literal["mcnemar", "bootstrap"] = "mcnemar"
    """exact McNemar test, or the paired bootstrap interval over groups"""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """two-sided significance level of the McNemar test; the bootstrap uses a 95 % interval"""
    on_worse: Literal["stop", "tighten", "accept"] = "stop"
    """roll back and stop · roll back and continue with stricter thresholds · keep the worse judge (the ablation)"""
    tighten_by: float = Field(default=0.5, gt=0, le=1)
    """how far each roll-back moves a threshold between 0 and 1 towards its strict end"""
    faithfulness: int = Field(default=0, ge=0)
    """number of gold comparisons on which each judge's use of its rationale is probed (verdict with the rationale removed,
    exchanged, cut, corrupted, or contradicted); 0 turns this off"""
    alarms: AlarmsConfig = Field(default_factory=AlarmsConfig)
    """limits of the alarms"""


class FinalConfig(Section):
    """The paper's last stage: fine-tune the last judge on human rationales."""

    data: list[SourceConfig] = Field(default_factory=list)
    """labelled comparisons with rationales; the default is the seed comparisons that came with one"""
    training: Overrides = Field(default_factory=Overrides)
    """changes to ``training`` for this stage"""

    @model_validator(mode="before")
    @classmethod
    def _single_source(cls, value: Any) -> Any:
        return as_lists(value, "data")
