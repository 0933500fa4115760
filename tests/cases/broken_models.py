"""Damaged copies of a model folder, made the way they come about: a lost file, an edited config, another head."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Weights = dict[str, torch.Tensor]


def copied(model: Path, into: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(model, into))


def with_weights(folder: Path, change: Callable[[Weights], object]) -> Path:
    """The folder with its weights changed in place."""
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def with_json(folder: Path, name: str, **values: Any) -> Path:
    """The folder with other values in one of its JSON files."""
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    return folder


def with_template(folder: Path, text: str) -> Path:
    """The folder with another chat template."""
    (folder / "chat_template.jinja").write_text(text)
    return folder


def with_tokens(folder: Path, *tokens: str) -> Path:
    """The folder with tokens added to its tokenizer only."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(list(tokens))
    tokenizer.save_pretrained(folder)
    return folder
