"""A run, as one YAML file. Importable and checkable without torch.

The text below a field says what it does and why its default has that value. Where the paper gives no value (learning rate,
votes, thresholds), the text names the source of the substitute.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from gramr2 import registry
from gramr2.config.data import DataConfig
from gramr2.config.engine import EngineConfig
from gramr2.config.judge import JudgeConfig
from gramr2.config.method import CurriculumConfig, FinalConfig, GuardsConfig, RationaleConfig, SecondViewConfig
from gramr2.config.section import Section, would_be_copies
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.config.warmup import WarmupConfig
from gramr2.text import hint

if TYPE_CHECKING:
    from gramr2.selftraining.filters.base import FilterConfig as AnyFilter

    FILTERS: dict[str, type[AnyFilter]]
else:
    FILTERS = registry.filters()
    AnyFilter = registry.tagged_union(list(FILTERS.values()))

log = logging.getLogger("gramr2")

DEFAULT_FILTERS = ("confidence", "consistency", "rationale", "duplicates", "balance")
"""filters that need no further model calls"""
_FORMER = {each.formerly: kind for kind, each in FILTERS.items() if each.formerly}


class RunConfig(Section):
    """A whole run."""

    seed: int = 0
    """every order, sample and split is derived from it"""
    model: ModelConfig
    """the backbone"""
    data: DataConfig
    """seed, pool and gold"""
    judge: JudgeConfig = Field(default_factory=JudgeConfig)
    """prompt and sampling"""
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    """fine-tuning"""
    warmup: WarmupConfig | None = None
    """next-token training on the pool's texts before any other training; off by default"""
    rounds: int = Field(default=1, ge=0)
    """self-training rounds; 0 trains on the seed alone"""
    init: Literal["backbone", "previous"] = "backbone"
    """where each round's training starts"""
    rationale: RationaleConfig = Field(default_factory=RationaleConfig)
    """who writes the rationales"""
    second_view: SecondViewConfig | None = None
    """a cheap model fitted on the seed that helps to label the pool; off by default"""
    curriculum: CurriculumConfig = Field(default_factory=CurriculumConfig)
    """which part of the pool a round judges"""
    filters: tuple[AnyFilter, ...] = Field(
        default_factory=lambda: tuple(FILTERS[kind](kind=kind) for kind in DEFAULT_FILTERS)
    )
    """applied in this order; the first to reject a comparison drops it"""
    guards: GuardsConfig = Field(default_factory=GuardsConfig)
    """the gold gate and the alarms"""
    baselines: list[str] = Field(default=["longer", "bag-of-words", "frozen-features"])
    """cheap models fitted on the whole labelled seed, with which the final judge is compared on gold; bradley-terry, a scalar
    reward model on the same backbone, needs a training of its own"""
    final: FinalConfig | None = None
    """a last fine-tuning on human rationales; off by default"""
    engine: EngineConfig = Field(default_factory=EngineConfig)
    """where the judge runs; no result depends on it"""
    out: str | None = None
    """run folder; the default is runs/<name of the YAML file>"""

    @property
    def calibrates(self) -> bool:
        """Whether a round fits a temperature on held-out seed comparisons."""
        return self.rounds > 0 and any(f.calibrates for f in self.filters)

    @model_validator(mode="before")
    @classmethod
    def _shorthands(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        value = dict(value)
        judge = value.get("judge")
        if isinstance(judge, dict) and judge.get("mode") == "label":
            # A label-only judge has no rationales to learn, so source and filters default to what works without any.
            value.setdefault("rationale", "none")
            kept = [kind for kind in DEFAULT_FILTERS if not FILTERS[kind].needs_rationale]
            value.setdefault("filters", [{"kind": kind} for kind in kept])
        if isinstance(value.get("filters"), list | tuple):
            value["filters"] = [_by_its_name(each) for each in value["filters"]]
        return value

    @field_validator("baselines")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        known = registry.baseline_names()
        if unknown := [name for name in value if name not in known]:
            raise ValueError(
                f"there is no baseline {unknown[0]!r}{hint(unknown[0], known)}: take one of {', '.join(known)}"
            )
        return value

    @model_validator(mode="after")
    def _possible(self) -> RunConfig:
        if self.rounds and not self.data.pool:
            raise ValueError("rounds of self-training need data.pool: name unlabelled data or set rounds: 0")
        if self.warmup and not self.data.pool:
            raise ValueError("warmup learns from data.pool: name unlabelled data there or remove warmup")
        kind, _, number = self.model.device.partition(":")
        if self.engine.kind != "ray" and number not in ("", "0"):
            raise ValueError(
                f"model.device: {self.model.device}: a training takes the first GPU that it sees: set model.device: {kind}, and "
                f"CUDA_VISIBLE_DEVICES={number} in the environment"
            )
        if self.engine.kind == "ray" and ":" in self.model.device:
            raise ValueError(
                f"model.device: {self.model.device} names one GPU, but with engine: ray every worker has one of its own: "
                f"set model.device: {kind}"
            )
        if self.data.aggregate == "soft" and not self.training.verdict.soft:
            raise ValueError("data.aggregate: soft has no effect without training.verdict.soft: true; or take majority")
        kinds = [f.kind for f in self.filters]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"filters: each kind may be listed only once, got {', '.join(kinds)}")
        if len(set(self.baselines)) < len(self.baselines):
            raise ValueError(f"baselines: each may be listed only once, got {', '.join(self.baselines)}")
        if wrong := would_be_copies(
            self.rationale.own_for_seed, self.judge.pool.temperature, "rationale.own_for_seed", "judge.pool.temperature"
        ):
            raise ValueError(wrong)
        views = [view for f in self.filters if (view := f.view_named)]
        if self.second_view and views and views[0] != self.second_view.name:
            raise ValueError(
                f"second_view: {self.second_view.name} and the second_view filter's view: {views[0]} are different models: "
                "remove the filter's view"
            )
        if (
            self.judge.mode == "reason"
            and self.judge.verdict in ("direct", "both")
            and not self.training.verdict.weight
        ):
            raise ValueError(
                f"judge.verdict: {self.judge.verdict} needs the direct reading, which training.verdict.weight: 0 does not "
                "train: raise the weight, or set judge.verdict: reasoned"
            )
        if self.judge.mode == "label" and self.judge.verdict in ("reasoned", "both"):
            raise ValueError(
                f"judge.mode: label writes no rationale to read a verdict after: remove verdict: {self.judge.verdict}"
            )
        if self.judge.mode == "label":
            vain = [f.kind for f in self.filters if f.needs_rationale]
            if vain:
                raise ValueError(f"judge.mode: label writes no rationales, so remove the {vain[0]} filter")
            if self.rationale.source != "none":
                raise ValueError(
                    f"judge.mode: label learns no rationales: set rationale: none, or judge.mode: reason for "
                    f"{self.rationale.source}"
                )
        elif self.rationale.source == "none":
            raise ValueError("rationale: none trains labels alone, so set judge.mode: label as well")
        return self


def _by_its_name(entry: Any) -> Any:
    """A filter's entry under the filter's current name."""
    now = _FORMER.get(str(entry.get("kind"))) if isinstance(entry, dict) else None
    if now is None:
        return entry
    log.warning("filters: the filter %s is now called %s", entry["kind"], now)
    return entry | {"kind": now}
