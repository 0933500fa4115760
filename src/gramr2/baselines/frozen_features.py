"""Bradley-Terry on the backbone's hidden states: what the pretrained model knows about a response before any training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gramr2.backends.registry import same_model
from gramr2.baselines.base import Kind, Setting
from gramr2.baselines.files import digest, read, write
from gramr2.baselines.logistic import Fitted, fit_logistic
from gramr2.comparison import Comparison, LabeledComparison
from gramr2.config.training import ModelConfig
from gramr2.errors import ModelError
from gramr2.judging.preference import Ties, decided
from gramr2.judgment import Decision

if TYPE_CHECKING:
    from gramr2.backends.hidden_states import HiddenStates

NAME = "frozen-features"
CHUNK = 1024
"""comparisons whose features are in memory at once"""


class FrozenFeatures:
    """Weights on hidden states, standardised by those of the seed."""

    def __init__(self, states: HiddenStates, model: ModelConfig, scale: np.ndarray, fitted: Fitted) -> None:
        self.states, self.model, self.scale, self.fitted = states, model, scale, fitted

    @property
    def id(self) -> str:
        """Name and digest of the weights."""
        return f"{NAME}@{digest(self.fitted.weights, self.scale)}"

    def margins(self, comparisons: Sequence[Comparison]) -> list[float]:
        """See ``Baseline``.

        Raises:
            PromptTooLongError: a response with its prompt exceeds the backbone's context.
        """
        found: list[float] = []
        for start in range(0, len(comparisons), CHUNK):
            differences = _differences(_features(self.states, comparisons[start : start + CHUNK]), self.scale)
            # Row by row: the last digits of a matrix product depend on the number of rows.
            found += (differences * self.fitted.weights).sum(axis=1).tolist()
        return found

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``."""
        return decided(comparisons, self.margins(comparisons), self.fitted.ties)

    def save(self, folder: Path) -> None:
        """See ``Baseline``."""
        ties = self.fitted.ties
        numbers = {"strength": self.fitted.strength, "tie_margin": ties.margin, "tie_probability": ties.probability}
        backbone = {"fingerprint": self.states.fingerprint, "layers": list(self.states.layers)}
        write(
            folder,
            {"name": NAME, **numbers, **backbone, "model": self.model.model_dump(mode="json")},
            {"weights": self.fitted.weights, "scale": self.scale},
        )


def fit(labeled: Sequence[LabeledComparison], setting: Setting) -> FrozenFeatures:
    """Learn scales and weights from labelled comparisons.

    Raises:
        DataError: every comparison is a tie, or one exceeds the backbone's context.
    """
    states = _states(setting)
    features = _features(states, [item.comparison for item in labeled])
    spread = features.std(axis=0)
    # The length of a difference of standardised features is about the root of their number: see ``STRENGTHS``.
    scale = np.where(spread > 0, spread, 1.0) * np.sqrt(features.shape[1])
    return FrozenFeatures(
        states, setting.model, scale, fit_logistic(_differences(features, scale), labeled, setting.seed)
    )


def load(folder: Path, setting: Setting | None) -> FrozenFeatures:
    """See ``gramr2.baselines.load``; the backbone is the one it was fitted on unless a setting says otherwise.

    Raises:
        ModelError: the backbone has changed.
    """
    values, tensors = read(folder)
    setting = setting or Setting(ModelConfig(**values["model"]))
    states = _states(setting)
    if not same_model(values["fingerprint"], states.fingerprint):
        raise ModelError(
            f"{folder} was fitted on the hidden states of {values['fingerprint']}, and {setting.model.name} is "
            f"{states.fingerprint} now: restore that model, or remove the folder and fit it again"
        )
    fitted = Fitted(tensors["weights"], values["strength"], Ties(values["tie_margin"], values["tie_probability"]))
    return FrozenFeatures(states, setting.model, tensors["scale"], fitted)


def _states(setting: Setting) -> HiddenStates:
    from gramr2.backends.hidden_states import HiddenStates
    from gramr2.backends.registry import resolve

    model = setting.model
    folder = setting.folder or resolve(model.name, revision=model.revision)

    @cache
    def opened() -> Any:
        from gramr2.backends.transformers import TransformersBackend

        return TransformersBackend(
            folder,
            dtype=model.dtype,
            device=model.device,
            trust_remote_code=model.trust_remote_code,
            chat_template_options=model.chat_template_options,
        )

    return HiddenStates(folder, model, setting.open or opened, setting.cache, setting.progress)


def _features(states: HiddenStates, comparisons: Sequence[Comparison]) -> np.ndarray:
    """Features of both responses of each comparison in turn, shape (2 · comparisons, features)."""
    texts = [(c.prompt, response) for c in comparisons for response in c.responses]
    return states.of(texts).astype(np.float64)


def _differences(features: np.ndarray, scale: np.ndarray) -> np.ndarray:
    difference: np.ndarray = (features[0::2] - features[1::2]) / scale
    return difference


KIND = Kind(NAME, fit, load, needs_backbone=True)
