"""Weights of a model on a CPU, laid out once as oneDNN's kernels read them.

Without this, every product with few rows reads the weights in an order that suits none of them: with 64 rows the layers of
SmolLM2-135M take up to twice as long. The packed copy is beside the weights, so a model takes twice its memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gramr2.backends.memory import free_memory

log = logging.getLogger("gramr2")

SPARE = 4
"""times the weights' bytes that must be free"""
ROWS = 256
"""rows that the layout is chosen for, as many as are decoded side by side; others work too"""


def pack(model: Any) -> bool:
    """Let the linear layers of an inference model on a CPU compute with packed weights; whether they do.

    They stay as they are on other devices, in a dtype or on a processor for which oneDNN has no packed layout, and where memory
    is short. Weights must not change afterwards.
    """
    layers = [each for each in model.modules() if type(each) is nn.Linear]
    size = sum(each.weight.nbytes for each in layers)
    if not layers or any(each.weight.device.type != "cpu" for each in layers) or SPARE * size > free_memory():
        return False
    try:
        with torch.inference_mode():
            for layer in layers:
                layer.forward = _packed(layer.weight, layer.bias)  # type: ignore[method-assign, assignment]
    except (AttributeError, RuntimeError) as error:
        log.debug("weights are not packed: %s", error)
        for layer in layers:
            layer.__dict__.pop("forward", None)
        return False
    return True


def _packed(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    packed = _reorder(weight.detach(), ROWS)
    product = torch.ops.mkldnn._linear_pointwise

    def forward(input: Tensor) -> Tensor:
        found: Tensor = product(input, packed, bias, "none", [], "")
        return found

    return forward


def _reorder(weight: Tensor, rows: int) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    return packed
