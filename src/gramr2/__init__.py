"""Generative reward models that train themselves on unlabelled comparisons (GRAM-R²).

    judge = gramr2.load_judge("runs/my-run")
    judge.compare("What is 2 + 2?", "4", "5").label
    judge.rank("Name a prime.", ["4", "7", "9"]).best
    judge.score("What is 2 + 2?", "4", references=["5"]).score

Everything here is imported on first use, and torch only with a model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gramr2.api import TrainedJudge, self_train
    from gramr2.client import Client
    from gramr2.comparison import Comparison, Label, LabeledComparison
    from gramr2.judging.preference import PreferenceModel
    from gramr2.judgment import Decision
    from gramr2.loading import LoadedJudge, load_judge
    from gramr2.rewards.adapters.trl import TRLReward
    from gramr2.rewards.groups import ReferenceReward, SiblingReward, WinRateReward

_HOMES = {
    "Client": "client",
    "Comparison": "comparison",
    "Decision": "judgment",
    "Label": "comparison",
    "LabeledComparison": "comparison",
    "LoadedJudge": "loading",
    "PreferenceModel": "judging.preference",
    "ReferenceReward": "rewards.groups",
    "SiblingReward": "rewards.groups",
    "TRLReward": "rewards.adapters.trl",
    "WinRateReward": "rewards.groups",
    "TrainedJudge": "api",
    "load_judge": "loading",
    "self_train": "api",
}
__all__ = [
    "Client",
    "Comparison",
    "Decision",
    "Label",
    "LabeledComparison",
    "LoadedJudge",
    "PreferenceModel",
    "ReferenceReward",
    "SiblingReward",
    "TRLReward",
    "TrainedJudge",
    "WinRateReward",
    "__version__",
    "load_judge",
    "self_train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from gramr2.errors import installed

        found = installed()
        return found.version if found else "0.0.0"  # a checkout on the path
    if name not in _HOMES:
        raise AttributeError(f"module 'gramr2' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"gramr2.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
