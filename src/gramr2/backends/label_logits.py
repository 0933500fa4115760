"""Label logits of models in bf16 and fp16, with the digits that their output layer rounds away.

Logits of 20 are multiples of 0.125 in bf16. The margins of a comparison's two orders are then often the same number, and a judge
that hardly sees a difference calls half of all comparisons ties. The labels are few, so that their logits are computed once more
in fp32, from what the output layer was given.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

SLACK = 1e-3
"""what two sums in fp32 may differ by, added to one unit of the last digit of a logit"""


class LabelLogits:
    """Remembers, for each thread, what the output layer of an inference model was last given.

    Args:
        model: a causal language model. Nothing is done in fp32, or where its output layer is no plain linear one.
    """

    def __init__(self, model: Any) -> None:
        head = model.get_output_embeddings()
        known = type(head) is nn.Linear and head.weight.dtype in (torch.bfloat16, torch.float16)
        self._head: nn.Linear | None = head if known else None
        self._last = last = threading.local()

        def remember(_: Any, given: tuple[Tensor, ...]) -> None:
            # A copy: the rest of a prefill's states would stay in memory with a view of it.
            last.given = given[0][:, -1].clone() if given and given[0].ndim == 3 else None

        if known:
            # Not a method of this: the model would then keep itself alive.
            head.register_forward_pre_hook(remember)

    def refined(self, logits: Tensor, ids: Collection[int]) -> Tensor:
        """The logits of this thread's last forward pass (rows, vocabulary), those of ``ids`` in fp32.

        A row stays as it is if the model does something else to its logits behind the output layer, or they are NaN: then the two
        differ by more than rounding.
        """
        given = getattr(self._last, "given", None)
        if self._head is None or given is None or not ids or len(given) != len(logits):
            return logits
        places = torch.tensor(list(ids), device=logits.device)
        bias = None if self._head.bias is None else self._head.bias[places].float()
        exact = nn.functional.linear(given.float(), self._head.weight[places].float(), bias)
        seen = logits[:, places].float()
        rounding = torch.finfo(self._head.weight.dtype).eps * seen.abs() + SLACK
        near = ((exact - seen).abs() <= rounding).all(-1, keepdim=True)
        return logits.float().index_copy_(1, places, exact.where(near, seen))
