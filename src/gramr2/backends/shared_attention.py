"""Attention of samples that are written side by side, where the samples of a prompt read its keys and values from one place.

A copy of the prompt in every sample's row would be read again for each of them in every step, which takes longer than the matrix
products of the model. Here the queries of all samples of a prompt meet its keys in one product; each sample's own tokens, which
are few, are attended to on their own, and one softmax covers both. (Juravsky et al. 2024, "Hydragen", section 3, splits the
softmax instead.)
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from gramr2.backends.cache import can_grow, with_cache
from gramr2.backends.prefill import Prefilled, prefill

NAME = "gramr2_shared"
"""under which transformers knows this attention"""
TOLERANCE, NOISE, MOST = 0.02, 3.0, 0.1
"""How far the probe of a model may differ from transformers' own attention: this share of the largest logit, and so many times as
far as the model's own answers differ when it reads the same tokens at once and one by one; at most the last share. bf16 may
round by more than the first."""


class OwnLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values of the samples' own tokens, shape (samples, heads, capacity, head size); a sample's first token
    is in column 0.

    Args:
        capacity: most tokens of a sample.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.columns = torch.zeros(0, dtype=torch.long)
        """where the next token of each sample goes (samples,)"""
        self.width = 0
        """columns that any sample uses, with the next token"""

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate on the first update, when dtype, device and number of samples are known."""
        self.dtype, self.device = key_states.dtype, key_states.device
        # Zeros: a masked column that was NaN in memory before would make the sum NaN.
        self.keys, self.values = (
            each.new_zeros((*each.shape[:2], self.capacity, each.shape[-1])) for each in (key_states, value_states)
        )
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Put each sample's new token (samples, heads, 1, head size) into its column; returns the columns in use."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        samples = torch.arange(len(self.columns), device=self.columns.device)
        self.keys[samples, :, self.columns] = key_states[:, :, 0]
        self.values[samples, :, self.columns] = value_states[:, :, 0]
        return self.keys[:, :, : self.width], self.values[:, :, : self.width]

    def get_seq_length(self) -> int:
        """Number of columns before the next token; the positions do not follow from it."""
        return max(0, self.width - 1)

    def clear(self, samples: Tensor) -> None:
        """Forget what these samples hold: a sample may have ended in NaN."""
        if self.is_initialized:
            self.keys[samples] = 0
            self.values[samples] = 0

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these samples."""
        if self.is_initialized:
            self.keys, self.values = self.keys[indices], self.values[indices]


@dataclass(frozen=True, eq=False)
class Part:
    """Prompts in one cache, and the samples that continue them: a grid of prompts and, for each, its samples.

    ``keys``, ``values``: of every layer (prompts · heads, columns, head size). ``mask``: 0 or -inf, up to the last column
    with padding (prompts, 1, 1, columns). ``source``: the sample in each cell of the grid, any in an empty one
    (prompts · most samples of one). ``cells``: where in the grid each of the ``samples`` is.
    """

    keys: Sequence[Tensor]
    values: Sequence[Tensor]
    mask: Tensor
    source: Tensor
    cells: Tensor
    samples: Tensor

    def attend(self, layer: int, query: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """What its samples take from their prompt (its samples, heads, queries per head, head size), and the weights of their
        own tokens (its samples, heads, queries per head, own columns).

        Args:
            layer: number of the layer.
            query: scaled (all samples, heads, queries per head, head size).
            own: scores of the samples' own tokens (all samples, heads, queries per head, own columns).
        """
        keys, values = self.keys[layer], self.values[layer]
        columns, padded = keys.shape[1], self.mask.shape[-1]
        before = torch.bmm(self._grid(query), keys.transpose(1, 2))
        if padded:
            before.view(len(self.mask), -1, *before.shape[1:])[..., :padded] += self.mask
        weights = torch.softmax(torch.cat([before, self._grid(own)], -1), -1, dtype=torch.float32).to(query.dtype)
        per = query.shape[2]
        taken = torch.bmm(weights[..., :columns], values)
        return self._rows(taken, per), self._rows(weights[..., columns:], per)

    def _grid(self, each: Tensor) -> Tensor:
        """(all samples, heads, queries per head, width) as (prompts · heads, samples · queries per head, width)."""
        prompts, (_, heads, per, width) = len(self.mask), each.shape
        grid = each[self.source].view(prompts, -1, heads, per, width).transpose(1, 2)
        return grid.reshape(prompts * heads, -1, width)

    def _rows(self, grid: Tensor, per: int) -> Tensor:
        """The inverse, for its samples only."""
        prompts, width = len(self.mask), grid.shape[-1]
        rows = grid.view(prompts, len(grid) // prompts, -1, per, width).transpose(1, 2)
        return rows.reshape(-1, *rows.shape[2:])[self.cells]


def part_of(prompts: Prefilled, places: Sequence[int], samples: Sequence[int]) -> Part:
    """The part for samples that continue the prompt in the same place of ``places``."""
    first, last = min(places), max(places)
    counts = [0] * (last - first + 1)
    found = []
    for place in places:
        found.append((place - first, counts[place - first]))
        counts[place - first] += 1
    most = max(counts)
    cells = [prompt * most + sample for prompt, sample in found]
    source = [samples[0]] * (len(counts) * most)
    for cell, sample in zip(cells, samples, strict=True):
        source[cell] = sample
    used = slice(first, last + 1)
    layers, device = prompts.cache.layers, prompts.mask.device
    # Padding is before a prompt, or between what it shares with others and the rest.
    holes = (prompts.mask[used] == 0).any(0).nonzero()
    padded = int(holes[-1]) + 1 if len(holes) else 0
    unseen = (prompts.mask[used, :padded] == 0)[:, None, None, :]
    return Part(
        [layer.keys[used].flatten(0, 1) for layer in layers],
        [layer.values[used].flatten(0, 1) for layer in layers],
        torch.zeros(unseen.shape, dtype=layers[0].keys.dtype, device=device).masked_fill(unseen, -torch.inf),
        *(torch.tensor(each, device=device) for each in (source, cells, list(samples))),
    )


_parts: ContextVar[Sequence[Part] | None] = ContextVar("parts", default=None)


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    """transformers' attention interface: shared where samples are advanced by ``advance``, otherwise transformers' own.

    Args:
        module: the attention layer.
        query: (samples, query heads, 1, head size).
        key: of the samples' own tokens (samples, heads, own columns, head size).
        value: like ``key``.
        attention_mask: of the own tokens, 0 or -inf (samples, 1, 1, own columns).
        **options: ``scaling`` is used.

    Returns:
        (samples, 1, query heads, head size), and no weights.
    """
    parts = _parts.get()
    if parts is None:
        found: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return found
    samples, query_heads, _, size = query.shape
    scaling = options.get("scaling")
    heads, layer = key.shape[1], module.layer_idx
    query = (query * (size**-0.5 if scaling is None else scaling)).reshape(samples, heads, query_heads // heads, size)
    own = query @ key.transpose(-1, -2)
    if attention_mask is not None:
        own = own + attention_mask
    shared, weights = query.new_zeros((*query.shape[:-1], value.shape[-1])), torch.zeros_like(own)
    for part in parts:
        shared[part.samples], weights[part.samples] = part.attend(layer, query, own)
    output = shared + weights @ value
    return output.reshape(samples, 1, query_heads, -1), None


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)


def advance(model: Any, tokens: Tensor, positions: Tensor, own: Sequence[OwnLayer], parts: Sequence[Part]) -> Tensor:
    """One token of every sample; returns the logits behind it (samples, vocabulary).

    Args:
        model: prepared by ``let_share``.
        tokens: (samples,).
        positions: of the tokens, counted from the beginning of the prompt (samples,).
        own: one for each layer, whose ``columns`` and ``width`` are set; shape and columns are the same in all.
        parts: the prompts; what a sample in none of them gets means nothing.
    """
    columns = own[0].columns
    unseen = torch.arange(own[0].width, device=columns.device) > columns[:, None]
    mask = torch.zeros(unseen.shape, dtype=model.dtype, device=columns.device).masked_fill(unseen, -torch.inf)
    shared = _parts.set(parts)
    try:
        logits: Tensor = model(
            tokens[:, None],
            attention_mask=mask[:, None, None, :],
            position_ids=positions[:, None],
            **with_cache(model, Cache(layers=list(own))),
            logits_to_keep=1,
        ).logits[:, -1]
    finally:
        _parts.reset(shared)
    return logits


@torch.inference_mode()
def let_share(model: Any) -> bool:
    """Let a model's samples share their prompts; whether they can: every layer has full attention, through transformers'
    interface, and a probe of three tokens gives the logits that the model gives by itself."""
    config = model.config.get_text_config(decoder=True)
    if config._attn_implementation != "sdpa" or not can_grow(config):
        return False
    expected = _own_answer(model)
    # For good: another thread may be in the middle of a forward pass.
    model.config._attn_implementation = NAME
    found = _shared_answer(model)
    if found is None or not _close(model, found, expected):
        model.config._attn_implementation = "sdpa"
        return False
    return True


def _probe(model: Any) -> tuple[int, int, int]:
    vocabulary = int(model.get_input_embeddings().weight.shape[0])
    return 1 % vocabulary, 2 % vocabulary, 3 % vocabulary


def _close(model: Any, found: Tensor, expected: Tensor) -> bool:
    largest, apart = float(expected.abs().max()), float((found - expected).abs().max())
    if apart <= TOLERANCE * largest or not apart <= MOST * largest:
        return apart <= TOLERANCE * largest
    again = _one_by_one(model)
    return again is not None and apart <= TOLERANCE * largest + NOISE * float((again - expected).abs().max())


def _own_answer(model: Any) -> Tensor:
    """The logits behind the probe (vocabulary,), by transformers' own attention."""
    ids = torch.tensor([_probe(model)], device=model.device)
    logits: Tensor = model(ids, attention_mask=torch.ones_like(ids), use_cache=False, logits_to_keep=1).logits
    return logits[0, -1].float()


def _one_by_one(model: Any) -> Tensor | None:
    """The same of a model that reads one token at a time; None if it cannot."""
    ids, mask = torch.tensor([_probe(model)], device=model.device), torch.ones(1, 3, device=model.device)
    try:
        cache = DynamicCache(config=model.config.get_text_config(decoder=True))
        for i in range(ids.shape[1]):
            where = torch.full((1, 1), i, device=model.device)
            told = {"position_ids": where, "logits_to_keep": 1} | with_cache(model, cache)
            logits = model(ids[:, i : i + 1], attention_mask=mask[:, : i + 1].long(), **told).logits
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return None
    found: Tensor = logits[0, -1].float()
    return found


def _shared_answer(model: Any) -> Tensor | None:
    """The same with the first token as the prompt; None if the architecture cannot."""
    first, second, third = _probe(model)
    one = torch.ones(1, dtype=torch.long, device=model.device)
    try:
        prompt = prefill(model, [[first]])
        own = [OwnLayer(2) for _ in prompt.cache.layers]
        for step, token in enumerate((second, third)):
            for layer in own:
                layer.columns, layer.width = step * one, step + 1
            found = advance(model, token * one, (step + 1) * one, own, [part_of(prompt, [0], [0])])[0].float()
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        # Whatever an architecture does otherwise, its samples are decoded in the usual way.
        return None
    return found
