"""Cheap preference models that a trained judge has to beat: one module each, whose ``KIND`` says how it is fitted and loaded.

Torch and scipy are imported only when a baseline that needs them is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gramr2 import registry
from gramr2.baselines.base import Baseline, Kind, Setting
from gramr2.baselines.files import read
from gramr2.comparison import LabeledComparison
from gramr2.config.training import ModelConfig
from gramr2.errors import ConfigError, ModelError
from gramr2.text import hint

__all__ = ["BASELINES", "Baseline", "Kind", "Setting", "fit", "load"]


BASELINES: dict[str, Kind] = {
    each.name: each
    for each in sorted(
        registry.instances("baselines", Kind),
        key=lambda each: (each.needs_seed, each.needs_backbone, each.trains, each.name),
    )
}
"""the cheapest first"""


def fit(
    name: str, labeled: Sequence[LabeledComparison], *, model: Setting | ModelConfig | Path | str, seed: int = 0
) -> Baseline:
    """Fit a baseline on labelled comparisons; ties among them set when it answers tie.

    Args:
        model: the backbone, or a whole setting, whose seed is then used.

    Raises:
        ConfigError: there is no such baseline.
        DataError: every comparison is a tie, or one exceeds the backbone's context.
    """
    if not isinstance(model, Setting):
        config = model if isinstance(model, ModelConfig) else ModelConfig(name=str(model))
        model = Setting(config, seed=seed)
    return _kind(name).fit(labeled, model)


def load(folder: Path, setting: Setting | None = None) -> Baseline:
    """A saved baseline; a setting says how to open its backbone.

    Raises:
        ModelError: there is none, it cannot be read, or its backbone has changed.
    """
    values, _ = read(folder)
    if values.get("name") not in BASELINES:
        raise ModelError(f"{folder} has a baseline {values.get('name')!r}, and known ones are {', '.join(BASELINES)}")
    try:
        return BASELINES[values["name"]].load(folder, setting)
    except KeyError as error:
        raise ModelError(f"the baseline in {folder} lacks {error}: remove the folder and fit it again") from error


def _kind(name: str) -> Kind:
    if name not in BASELINES:
        raise ConfigError(f"there is no baseline {name!r}{hint(name, BASELINES)}: take one of {', '.join(BASELINES)}")
    return BASELINES[name]
