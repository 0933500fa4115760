"""What is exported: a judge's weights, or adapters and the model they belong to, and the run that made them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gramr2.backends.registry import resolve
from gramr2.errors import ModelError

ADAPTER_FILE = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class Source:
    """``weights`` is a model folder; ``adapter``, where there is one, a LoRA adapter on it; ``record`` the folder of the run or
    adaptation behind it; ``base`` what the weights are called elsewhere."""

    weights: Path
    adapter: Path | None
    record: Path | None
    base: str | None

    @property
    def judge(self) -> Path:
        """The folder that has the judge's prompt and tokenizer."""
        return self.adapter or self.weights


def find(model: str) -> Source:
    """Where a judge's parts are.

    Raises:
        ModelError: the name is none of a model with weights here, or an adapter does not say what it belongs to.
    """
    if model.startswith(("scripted:", "openai:")):
        raise ModelError(f"{model} has no weights here to export: give a run, a model folder or an adapter folder")
    path = Path(model).expanduser()
    file = path / ADAPTER_FILE
    if not file.is_file():
        weights = resolve(model)
        record = _record(path) if path.is_dir() else None
        return Source(weights, None, record, model_of(record) if record else None)
    try:
        base = json.loads(file.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except ValueError as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    if not isinstance(base, str) or not base:
        raise ModelError(f"{file} does not say which model the adapter belongs to (base_model_name_or_path)")
    return Source(resolve(base), path, None, base)


def _record(path: Path) -> Path | None:
    """The folder of the run or adaptation that a judge folder is, or is in."""
    for folder in (path, path.absolute().parent):
        if (folder / "run.yaml").is_file() or (folder / "adaptation.json").is_file():
            return folder
    return None


def model_of(record: Path) -> str:
    """What a run or adaptation started from, as its own file names it."""
    adaptation, run = record / "adaptation.json", record / "run.yaml"
    if adaptation.is_file():
        return str(json.loads(adaptation.read_text(encoding="utf-8"))["model"])
    config: dict[str, Any] = yaml.safe_load(run.read_text(encoding="utf-8"))
    return str(config["model"]["name"])
