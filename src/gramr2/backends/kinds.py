"""What kind of model a name stands for, from its ``config.json`` alone; no torch."""

from __future__ import annotations

import json
from pathlib import Path

from gramr2.backends.loading import loading
from gramr2.backends.registry import NAMED_MODELS, adapted, resolve

SCALAR = "ForSequenceClassification"
"""how the class of a scalar reward model ends in transformers"""


def scalar_folder(name: str) -> Path | None:
    """The folder of a scalar reward model, local or from the hub; None if the name is that of another model.

    It is one if every class that its config names under ``architectures`` has a head for classification.

    Raises:
        ModelNotFoundError: there is no model of that name.
        ModelError: there is something of that name, but it is not a model.
    """
    if name.partition(":")[0] in ("openai", "scripted") or name.endswith(".gguf") or name in NAMED_MODELS:
        return None
    base, adapter = adapted(name)
    if adapter is not None:
        return None
    folder = resolve(base)
    with loading("the config", folder):
        stated = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures")
    names = stated if isinstance(stated, list) else []
    return folder if names and all(isinstance(each, str) and each.endswith(SCALAR) for each in names) else None
