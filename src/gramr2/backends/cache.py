"""A key-value cache that appends in place.

``DynamicLayer`` concatenates: every new token copies every layer's whole cache. With 32 rows of 400 tokens on
SmolLM2-135M that is more memory traffic per step than reading the weights.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values in buffers of fixed capacity, shape (rows, heads, capacity, head size), of which the first
    ``length`` columns are in use."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = 0
        self.buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate on the first update, when dtype, device and number of rows are known."""
        self.dtype, self.device = key_states.dtype, key_states.device
        rows, heads = key_states.shape[:2]
        self.buffers = (
            key_states.new_empty((rows, heads, self.capacity, key_states.shape[-1])),
            value_states.new_empty((rows, heads, self.capacity, value_states.shape[-1])),
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the new states; returns views of everything up to and including them."""
        if self.buffers is None:
            self.lazy_initialization(key_states, value_states)
        assert self.buffers is not None
        end = self.length + key_states.shape[-2]
        # Assigning to columns beyond the end would do nothing, without an error.
        if end > self.capacity:
            raise ValueError(f"{end} columns do not fit into a cache of {self.capacity}")
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, self.length : end] = states
        self.length = end
        self.keys, self.values = (buffer[:, :, :end] for buffer in self.buffers)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Number of columns in use."""
        return self.length

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep (or repeat) rows; the unused capacity is not copied."""
        assert self.buffers is not None
        old = self.buffers
        shape = (len(indices), *old[0].shape[1:])
        self.buffers = (old[0].new_empty(shape), old[1].new_empty((*shape[:-1], old[1].shape[-1])))
        for new, source in zip(self.buffers, old, strict=True):
            new[:, :, : self.length] = source[:, :, : self.length][indices]
        self.keys, self.values = (buffer[:, :, : self.length] for buffer in self.buffers)


def with_cache(model: Any, cache: Cache) -> dict[str, Any]:
    """The arguments by which a model reads and extends a cache.

    transformers renames the argument, and drops the old name with 5.40; models with code of their own, and older versions, know
    only that.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return {_argument(type(inner).forward): cache, "use_cache": True}


@functools.cache
def _argument(forward: Callable[..., Any]) -> str:
    return "cache" if "cache" in inspect.signature(forward).parameters else "past_key_values"


def can_grow(config: Any) -> bool:
    """Whether every layer of the model uses plain full attention, the only kind that ``GrowingLayer`` supports."""
    layers = DynamicCache(config=config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def new_cache(config: Any, capacity: int) -> Cache:
    """An empty cache for one batch: an in-place one where the architecture allows it, otherwise the library's own."""
    if not can_grow(config):
        return DynamicCache(config=config)
    count = len(DynamicCache(config=config).layers)
    return Cache(layers=[GrowingLayer(capacity) for _ in range(count)])


def continued(before: Cache, rows: Sequence[int], room: int) -> Cache:
    """A cache whose rows begin with these rows of another, with ``room`` for further columns."""
    layers = []
    for source in before.layers:
        layer = GrowingLayer(source.keys.shape[-2] + room)
        keys, values = (
            states.expand(len(rows), -1, -1, -1)
            if len(states) == 1
            else states[torch.tensor(rows, device=states.device)]
            for states in (source.keys, source.values)
        )
        layer.update(keys, values)
        layers.append(layer)
    return Cache(layers=layers)
