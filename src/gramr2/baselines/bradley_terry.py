"""The scalar reward model of ``gramr2.training.bradley_terry`` as a baseline: the only one that costs a training run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from gramr2.baselines.base import Kind, Setting
from gramr2.baselines.files import read, write
from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.config.training import ModelConfig
from gramr2.data.split import subset
from gramr2.judging.preference import Ties, ties_of
from gramr2.judgment import Decision
from gramr2.randomness import derive_seed

if TYPE_CHECKING:
    from gramr2.training.bradley_terry import RewardModel

NAME = "bradley-terry"
TIED_BY = 200
"""unlabelled comparisons that set the margin of its ties"""


class BradleyTerry:
    """A reward model, and the settings it is loaded with."""

    def __init__(self, reward: RewardModel, model: ModelConfig) -> None:
        self.reward, self.model = reward, model

    @property
    def id(self) -> str:
        """The reward model's."""
        return self.reward.id

    def margins(self, comparisons: Sequence[Comparison]) -> list[float]:
        """r(A) − r(B), which is the log-odds."""
        return self.reward.differences(comparisons)

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``."""
        return self.reward.compare(comparisons, seed)

    def save(self, folder: Path) -> None:
        """See ``Baseline``; the weights and the tokenizer are beside it, as transformers saves them."""
        self.reward.save(folder)
        write(folder, {"name": NAME, "ties": asdict(self.reward.ties), "model": self.model.model_dump(mode="json")})


def fit(labeled: Sequence[LabeledComparison], setting: Setting) -> BradleyTerry:
    """Train it; ties only set the margin, by some of the setting's unlabelled comparisons.

    Raises:
        DataError: every comparison is a tie.
    """
    from gramr2.backends.registry import resolve
    from gramr2.training.bradley_terry import train_reward_model

    model = setting.model
    folder = setting.folder or resolve(model.name, revision=model.revision)
    seed = derive_seed(setting.seed, "train", NAME)
    with tempfile.TemporaryDirectory() as scratch:
        reward = train_reward_model(folder, Path(scratch), labeled, setting.training, model, seed=seed)
    if any(item.label is Label.TIE for item in labeled):
        drawn = subset(setting.unlabelled, TIED_BY, setting.seed)
        unseen = reward.differences(drawn)
        reward.ties = ties_of(reward.differences([item.comparison for item in labeled]), labeled, unseen)
    return BradleyTerry(reward, model)


def load(folder: Path, setting: Setting | None) -> BradleyTerry:
    """See ``gramr2.baselines.load``."""
    from gramr2.training.bradley_terry import load_reward_model

    values, _ = read(folder)
    model = setting.model if setting else ModelConfig(**values["model"])
    reward = load_reward_model(folder, model)
    reward.ties = Ties(**values["ties"])
    return BradleyTerry(reward, model)


KIND = Kind(NAME, fit, load, needs_backbone=True, trains=True)
