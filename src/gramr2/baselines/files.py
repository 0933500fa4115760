"""A baseline on disk: ``baseline.safetensors`` for tensors, ``baseline.json`` for everything else. No pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from gramr2.errors import ModelError, reason_of, writing
from gramr2.files import strict_json

FILE, TENSORS = "baseline.json", "baseline.safetensors"


def write(folder: Path, values: dict[str, Any], tensors: Mapping[str, np.ndarray] | None = None) -> None:
    """Write both into an existing folder; the same content gives the same bytes."""
    with writing(folder / FILE):
        (folder / FILE).write_text(strict_json(values) + "\n", encoding="utf-8")
    if tensors:
        with writing(folder / TENSORS):
            save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, folder / TENSORS)


def read(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What ``write`` wrote.

    Raises:
        ModelError: there is no baseline, or it cannot be read.
    """
    if not (folder / FILE).is_file():
        raise ModelError(f"{folder} is not a baseline: it has no {FILE}")
    try:
        values = json.loads((folder / FILE).read_text(encoding="utf-8"))
        tensors = load_file(folder / TENSORS) if (folder / TENSORS).is_file() else {}
    except (ValueError, RecursionError, SafetensorError) as error:
        raise ModelError(
            f"the baseline in {folder} cannot be read ({reason_of(error)}): remove the folder and fit it again"
        ) from error
    return values, tensors


def digest(*arrays: np.ndarray) -> str:
    """12 hex digits over the numbers of a baseline."""
    found = hashlib.blake2b(digest_size=6)
    for each in arrays:
        found.update(np.ascontiguousarray(each).tobytes())
    return found.hexdigest()
