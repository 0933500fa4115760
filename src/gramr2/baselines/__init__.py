"""Cheap preference models that a trained judge has to beat: one file each, and a line here.

A baseline's file has ``fit(labeled, setting)`` and ``load(folder, setting)``; what they return is a ``Baseline``. Torch and
scikit-learn are imported when one is fitted that needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gramr2.baselines import bag_of_words, bradley_terry, frozen_features, longer
from gramr2.baselines.base import Baseline, Setting
from gramr2.baselines.files import read
from gramr2.comparison import LabeledComparison
from gramr2.config.training import ModelConfig
from gramr2.errors import ConfigError, ModelError

__all__ = ["BASELINES", "Baseline", "Kind", "Setting", "fit", "load"]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a baseline comes into being; ``needs_backbone`` where it looks at the pretrained model."""

    fit: Callable[[Sequence[LabeledComparison], Setting], Baseline]
    load: Callable[[Path, Setting | None], Baseline]
    needs_backbone: bool = False
    needs_seed: bool = True


BASELINES: dict[str, Kind] = {
    longer.NAME: Kind(longer.fit, longer.load, needs_seed=False),
    bag_of_words.NAME: Kind(bag_of_words.fit, bag_of_words.load),
    frozen_features.NAME: Kind(frozen_features.fit, frozen_features.load, needs_backbone=True),
    bradley_terry.NAME: Kind(bradley_terry.fit, bradley_terry.load, needs_backbone=True),
}


def fit(
    name: str, labeled: Sequence[LabeledComparison], *, model: Setting | ModelConfig | Path | str, seed: int = 0
) -> Baseline:
    """Fit a baseline on labelled comparisons; ties among them set when it answers tie.

    Args:
        model: the backbone, or a whole setting, whose seed then counts.

    Raises:
        ConfigError: there is no such baseline.
        DataError: every comparison is a tie, or one exceeds the backbone's context.
    """
    if not isinstance(model, Setting):
        config = model if isinstance(model, ModelConfig) else ModelConfig(name=str(model))
        model = Setting(config, seed=seed)
    return _kind(name).fit(labeled, model)


def load(folder: Path, setting: Setting | None = None) -> Baseline:
    """A baseline that was saved; with a setting its backbone is reached through that.

    Raises:
        ModelError: there is none, it cannot be read, or its backbone is another one now.
    """
    values, _ = read(folder)
    if values.get("name") not in BASELINES:
        raise ModelError(f"{folder} holds a baseline {values.get('name')!r}, and known are {', '.join(BASELINES)}")
    try:
        return BASELINES[values["name"]].load(folder, setting)
    except KeyError as error:
        raise ModelError(f"the baseline in {folder} lacks {error}: remove the folder and fit it again") from error


def _kind(name: str) -> Kind:
    if name not in BASELINES:
        raise ConfigError(f"there is no baseline {name!r}: take one of {', '.join(BASELINES)}")
    return BASELINES[name]
