"""The interface of a baseline, and what it may use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.judging.preference import PreferenceModel

IN_MEMORY = Path(":memory:")
"""a cache of hidden states that ends with the call; SQLite's own name for a database without a file"""


class Baseline(PreferenceModel, Protocol):
    """A cheap preference model. Its decisions are those of ``gramr2.judging.preference.decided``."""

    def margins(self, comparisons: Sequence[Comparison]) -> list[float]:
        """Log-odds of A over B for each comparison; exchanging the responses changes the sign."""
        ...

    def save(self, folder: Path) -> None:
        """Write it into an existing folder, as JSON and safetensors; ``gramr2.baselines.load`` reads it back."""
        ...


@dataclass(frozen=True, slots=True)
class Setting:
    """What a baseline may use to be fitted or loaded.

    Args:
        model: the backbone's settings.
        folder: the backbone, resolved; None resolves ``model`` when it is needed.
        seed: for the folds, and for training.
        training: how the Bradley-Terry model is trained.
        open: returns the loaded backbone, for callers that already have it; None loads it when it is needed.
        cache: file for its hidden states, or ``IN_MEMORY``; None is the backbone's file in gramr2's cache, which nothing ever
            removes.
        unlabelled: comparisons by which a model that is trained on the labels sets how often it says tie; without any it goes by
            what it has learnt, and says it too often.
        progress: told (texts, total) while hidden states are computed; it begins anew with each call.
    """

    model: ModelConfig
    folder: Path | None = None
    seed: int = 0
    training: TrainingConfig = field(default_factory=TrainingConfig)
    open: Callable[[], Any] | None = None
    cache: Path | None = None
    unlabelled: Sequence[Comparison] = ()
    progress: Callable[[int, int], None] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """How a baseline is made: ``fit`` on labelled comparisons, or ``load`` from the folder that it was saved in.

    ``needs_backbone`` if it uses the pretrained model, ``trains`` if it changes that model's weights, ``needs_seed`` unless it
    works without labels.
    """

    name: str
    fit: Callable[[Sequence[LabeledComparison], Setting], Baseline]
    load: Callable[[Path, Setting | None], Baseline]
    needs_backbone: bool = False
    needs_seed: bool = True
    trains: bool = False
