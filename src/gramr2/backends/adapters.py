"""LoRA adapters on a model: put on whole, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import safe_open

from gramr2.backends.loading import loading
from gramr2.backends.pretrained import listed
from gramr2.backends.registry import ADAPTER_WEIGHTS
from gramr2.errors import ModelError

_PREFIX = "base_model.model."
"""what peft puts before the name of a weight of the model itself"""


def with_adapter(model: Any, adapter: Path) -> Any:
    """The model with a LoRA adapter on it, not merged. An adapter that was trained with added tokens has the embeddings of
    all tokens in it, and the model's are resized to them.

    Raises:
        ModelError: the adapter has no safetensors, is not one of a language model, or does not fit.
    """
    from peft import PeftConfig, PeftModel, get_peft_model_state_dict

    file = adapter / ADAPTER_WEIGHTS
    if not file.is_file():
        raise ModelError(f"{adapter} has no {ADAPTER_WEIGHTS}: save the adapter again with save_pretrained")
    with loading("the adapter", adapter):
        config = PeftConfig.from_pretrained(adapter)
        if config.task_type not in (None, "CAUSAL_LM"):
            raise ModelError(
                f"{adapter} is an adapter for {config.task_type}, which writes no text: give one for CAUSAL_LM"
            )
        with safe_open(file, framework="pt") as stored:
            shapes = {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
        rows = _embeddings(model, shapes)
        if rows is not None:
            model.resize_token_embeddings(rows, mean_resizing=False)
        loaded = PeftModel.from_pretrained(model, adapter)
        wanted = set(get_peft_model_state_dict(loaded, save_embedding_layers=False))
        # peft starts a half that it does not find at random or at zero, and only warns.
        if missing := sorted(wanted - shapes.keys()):
            raise ModelError(f"the adapter in {adapter} lacks weights ({listed(missing)}): copy or save it again")
        if unused := sorted(shapes.keys() - wanted - loaded.state_dict().keys()):
            raise ModelError(
                f"the adapter in {adapter} has weights for which its adapter_config.json has no place ({listed(unused)}): "
                "restore the adapter_config.json that belongs to them"
            )
    return loaded


def _embeddings(model: Any, shapes: dict[str, tuple[int, ...]]) -> int | None:
    """How many tokens an adapter has embeddings for, if it has any and the model has another number."""
    has = model.get_input_embeddings().weight
    for name, weight in model.named_parameters():
        rows = shapes.get(_PREFIX + name, (len(has),))[0]
        if weight is has and rows != len(has):
            return rows
    return None
