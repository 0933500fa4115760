"""Label logits of models in bf16 and fp16, with the digits that their output layer rounds away.

Logits of 20 are multiples of 0.125 in bf16. The margins of a comparison's two orders are then often the same number, and a judge
that hardly sees a difference calls half of all comparisons ties. The labels are few, so that their logits are computed once more
in fp32, from what the output layer was given.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

HALF = (torch.bfloat16, torch.float16)
ROUNDINGS, SLACK = 3, 1e-3
"""units of the last digit that a logit may be off, which is rounded up to four times where it is scaled or capped; and what two
sums in fp32 may differ by"""

Corrected = Callable[[Tensor, tuple[Tensor, ...]], Tensor]
"""label logits (n, labels) and their rows and positions (n,), (n,) in the pass → the same in fp32"""


class LabelLogits:
    """Remembers, for each thread, what the output layer of an inference model was last given.

    Args:
        model: a causal language model. Nothing is done in fp32, or where its output layer is no plain linear one.
    """

    def __init__(self, model: Any) -> None:
        head = model.get_output_embeddings()
        known = _is_plain(head) and head.weight.dtype in HALF
        self._head: nn.Linear | None = head if known else None
        self._behind = _behind(model)
        self._places: dict[tuple[int, ...], Tensor] = {}
        self._last = last = threading.local()

        def remember(_: Any, given: tuple[Tensor, ...]) -> None:
            # A copy: the rest of a prefill's states would stay in memory with a view of it.
            last.given = given[0][:, -1].clone() if given and given[0].ndim == 3 else None

        if known:
            # Not a method of this: the model would then keep itself alive.
            head.register_forward_pre_hook(remember)

    @property
    def refines(self) -> bool:
        """Whether label logits are computed once more."""
        return self._head is not None

    def refined(self, logits: Tensor, ids: tuple[int, ...]) -> Tensor:
        """The logits of this thread's last forward pass (rows, vocabulary), those of ``ids`` in fp32. It can be a part of a CUDA
        graph if it was called with these ids before.

        A row stays as it is if the model does something else to its logits behind the output layer, or they are NaN: then the two
        differ by more than rounding.
        """
        given = getattr(self._last, "given", None)
        if self._head is None or given is None or not ids or len(given) != len(logits):
            return logits
        places = self._places.get(ids)
        if places is None:
            places = self._places[ids] = torch.tensor(ids, device=logits.device)
        dtype = self._head.weight.dtype
        seen = logits[:, places].float()
        exact = self._behind(_in_fp32(self._head, given, ids, dtype))
        return logits.float().index_copy_(1, places, _where_near(exact, seen, dtype))


@contextmanager
def labels_in_fp32(model: Any, ids: Sequence[int]) -> Iterator[Corrected]:
    """For the forward passes of a training step: gives a function that corrects label logits of the last one.

    Their values are then those of fp32, as they are read; the gradient is that of the pass itself. Nothing is corrected where
    the products are in fp32, or the output layer is no plain linear one.

    Args:
        model: also wrapped for several processes.
        ids: first tokens of the labels.
    """
    inner = getattr(model, "module", model)
    head, behind = inner.get_output_embeddings(), _behind(inner)
    found: list[tuple[Tensor, torch.dtype]] = []

    def compute(layer: nn.Linear, given: tuple[Tensor, ...]) -> None:
        # Before the layer, not behind it: processes that share weights have let go of this layer's by then.
        found.clear()
        if not given or given[0].ndim != 3:
            return
        kind = given[0].device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else layer.weight.dtype
        if dtype in HALF:
            with torch.no_grad(), torch.autocast(kind, enabled=False):
                found.append((behind(_in_fp32(layer, given[0].detach(), ids, dtype)), dtype))

    def corrected(seen: Tensor, place: tuple[Tensor, ...]) -> Tensor:
        seen = seen.float()
        if not found:
            return seen
        exact, dtype = found[0]
        return seen + (_where_near(exact[place], seen.detach(), dtype) - seen.detach())

    hook = head.register_forward_pre_hook(compute) if ids and _is_plain(head) else None
    try:
        yield corrected
    finally:
        if hook is not None:
            hook.remove()


def _is_plain(head: Any) -> bool:
    """Whether an output layer is a linear one and nothing more; FSDP 2 makes a class of its own of it."""
    return isinstance(head, nn.Linear) and type(head).forward is nn.Linear.forward


def _behind(model: Any) -> Callable[[Tensor], Tensor]:
    """What a model does to its logits behind the output layer: Cohere and Granite scale them, Gemma 2 caps them."""
    config = model.config.get_text_config(decoder=True)
    factor = (getattr(config, "logit_scale", None) or 1) / (getattr(config, "logits_scaling", None) or 1)
    cap = getattr(config, "final_logit_softcapping", None)
    return lambda logits: factor * logits if cap is None else cap * torch.tanh(factor * logits / cap)


def _in_fp32(head: nn.Linear, given: Tensor, ids: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Some logits (…, ids) of inputs (…, hidden), the products those of ``dtype`` and not rounded."""
    # One by one: an index made of a list is copied to the device, and the processor waits for it.
    weight = torch.stack([head.weight[i] for i in ids]).to(dtype).float()
    bias = None if head.bias is None else torch.stack([head.bias[i] for i in ids]).to(dtype).float()
    return nn.functional.linear(given.to(dtype).float(), weight, bias)


def _where_near(exact: Tensor, seen: Tensor, dtype: torch.dtype) -> Tensor:
    """The exact logits (…, labels); ``seen`` in places where one differs by more than rounding."""
    near = (exact - seen).abs() <= ROUNDINGS * torch.finfo(dtype).eps * seen.abs() + SLACK
    return exact.where(near.all(-1, keepdim=True), seen)
