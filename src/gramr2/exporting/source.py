"""What to export: a judge's weights, or an adapter and the model it belongs to, and the run that made them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gramr2.backends.registry import resolve
from gramr2.errors import ModelError
from gramr2.judging.saved import PROMPT_FILE, load_options, load_template
from gramr2.judging.template import JudgeTemplate
from gramr2.selftraining.run.folder import record_of

ADAPTER_FILE = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class Source:
    """``weights`` is a model folder; ``adapter``, if there is one, a LoRA adapter for it; ``record`` the folder of the run or
    adaptation that made it; ``base`` the name of the model it was made from."""

    weights: Path
    adapter: Path | None
    record: Path | None
    base: str | None

    @property
    def template(self) -> JudgeTemplate:
        """The judge's prompt: the adapter's own, else that of its model."""
        return load_template(self._prompts)

    @property
    def options(self) -> dict[str, Any]:
        """The variables for the chat template that are saved with the prompt."""
        return load_options(self._prompts)

    @property
    def _prompts(self) -> Path:
        return self.adapter if self.adapter and (self.adapter / PROMPT_FILE).is_file() else self.weights


def find(model: str) -> Source:
    """Find a judge's parts.

    Raises:
        ModelError: the name is not that of a model with weights here, or an adapter does not say what it belongs to.
    """
    if model.startswith(("scripted:", "openai:")):
        raise ModelError(f"{model} has no weights here to export: give a run, a model folder or an adapter folder")
    path = Path(model).expanduser()
    file = path / ADAPTER_FILE
    if not file.is_file():
        record = record_of(path)
        return Source(resolve(model), None, record, model_of(record) if record else None)
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        base, revision = settings.get("base_model_name_or_path"), settings.get("revision")
    except (ValueError, AttributeError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    if not isinstance(base, str) or not base:
        raise ModelError(f"{file} does not say which model the adapter belongs to (base_model_name_or_path)")
    return Source(resolve(base, revision=revision), path, None, base)


def model_of(record: Path) -> str:
    """The model that a run or adaptation started from, as named in its own file."""
    adaptation, run = record / "adaptation.json", record / "run.yaml"
    if adaptation.is_file():
        return str(json.loads(adaptation.read_text(encoding="utf-8"))["model"])
    config: dict[str, Any] = yaml.safe_load(run.read_text(encoding="utf-8"))
    return str(config["model"]["name"])
