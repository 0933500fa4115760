"""``Chooser`` as a logits processor of vLLM, which imports this file by its name."""

from __future__ import annotations

from typing import Any

import torch
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality

from gramr2.backends.vllm_choice import Chooser, Wish

NAME = "gramr2"
"""key of a wish in ``SamplingParams.extra_args``"""


class Choice(LogitsProcessor):  # type: ignore[misc]  # vLLM is not installed where types are checked
    """Leaves each request's chosen token."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self._chooser = Chooser()

    def is_argmax_invariant(self) -> bool:
        """It is not: greedy requests have forbidden tokens, and all others a single token that is left."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the requests through the rows of the batch; the order of the three is vLLM's."""
        if batch_update is None:
            return
        for row in batch_update.removed:
            self._chooser.drop(row)
        for row, params, _, written in batch_update.added:
            packed = (params.extra_args or {}).get(NAME)
            self._chooser.put(row, None if packed is None else Wish.unpacked(packed), written)
        for source, target, way in batch_update.moved:
            self._chooser.move(source, target, swap=way is MoveDirectionality.SWAP)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """See ``Chooser.apply``."""
        return self._chooser.apply(logits)
