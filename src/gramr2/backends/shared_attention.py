"""Attention of samples that are written side by side, where the samples of a prompt read its keys and values from one place.

A copy of the prompt in every sample's row would be read again for each of them in every step, which takes longer than the matrix
products of the model. Here the queries of all samples of a prompt meet its keys in one product; each sample's own tokens, which
are few, are attended to on their own, and the two are weighed by the sums of their softmaxes (Juravsky et al. 2024, "Hydragen",
section 3).
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
SEQUENCES = 8
"""sequences of four tokens that the probe of a model reads"""
TOLERANCE, NOISE, MOST = 0.02, 3.0, 0.1
"""How far the probe may differ from transformers' own attention, relative to the logits: this, and so many times as far as the
model's own answers differ when their numbers are rounded elsewhere; at most the last. bf16 may round by more than the first."""


class OwnLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values of the samples' own tokens, shape (samples, heads, capacity, head size); a sample's first token
    is in column 0.

    Args:
        samples: number of samples.
        capacity: most tokens of a sample.
    """

    def __init__(self, samples: int, capacity: int) -> None:
        super().__init__()
        self.samples, self.capacity = samples, capacity
        self.writing: Tensor | None = None
        """the samples whose tokens come next (writing,); None for all"""
        self.columns = torch.zeros(samples, 0, dtype=torch.long)
        """where the next tokens of each go (writing, tokens)"""
        self.width = 0
        """columns that any sample uses, with the next tokens"""

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocate on the first update, when dtype, device and sizes are known."""
        self.dtype, self.device = key_states.dtype, key_states.device
        # Zeros: a masked column that was NaN in memory before would make the sum NaN.
        self.keys, self.values = (
            each.new_zeros((self.samples, each.shape[1], self.capacity, each.shape[-1]))
            for each in (key_states, value_states)
        )
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Put the new tokens (writing, heads, tokens, head size) into their columns; returns the columns in use, of the samples
        that write."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        writing = torch.arange(self.samples, device=self.columns.device) if self.writing is None else self.writing
        self.keys[writing[:, None], :, self.columns] = key_states.transpose(1, 2)
        self.values[writing[:, None], :, self.columns] = value_states.transpose(1, 2)
        used = self.keys[:, :, : self.width], self.values[:, :, : self.width]
        return used if self.writing is None else (used[0][writing], used[1][writing])

    def get_seq_length(self) -> int:
        """Number of columns before the next tokens; the positions do not follow from it."""
        return max(0, self.width - self.columns.shape[-1])

    def clear(self, samples: Tensor) -> None:
        """Forget what these samples hold: a sample may have ended in NaN."""
        if self.is_initialized:
            self.keys[samples] = 0
            self.values[samples] = 0

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these samples."""
        self.samples = len(indices)
        if self.is_initialized:
            self.keys, self.values = self.keys[indices], self.values[indices]


@dataclass(frozen=True, eq=False)
class Part:
    """Prompts in one cache, and the samples that continue them: a grid of prompts and, for each, its samples.

    ``keys``, ``values``: of every layer (prompts, heads, columns, head size). ``mask``: 0 or -inf (prompts, 1, 1, columns).
    ``source``: the sample in each cell of the grid, any in an empty one (prompts · most samples of one).
    ``cells``: where in the grid each of the ``samples`` is.
    """

    keys: Sequence[Tensor]
    values: Sequence[Tensor]
    mask: Tensor
    source: Tensor
    cells: Tensor
    samples: Tensor

    def attend(self, layer: int, query: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        """What its samples take from their prompt (its samples, heads, queries, head size), and the logarithms of the sums of
        their softmaxes (its samples, heads, queries).

        Args:
            layer: number of the layer.
            query: (all samples, heads, queries, head size).
            scale: of the scores.
        """
        keys, per = self.keys[layer], query.shape[2]
        grid = query[self.source].view(len(keys), -1, *query.shape[1:]).transpose(1, 2)
        taken, sums = attended(grid.flatten(2, 3), keys, self.values[layer], self.mask, scale)
        return self._rows(taken, per), self._rows(sums, per)

    def _rows(self, grid: Tensor, per: int) -> Tensor:
        """(prompts, heads, samples · queries, …) as (its samples, heads, queries, …)."""
        prompts, heads, _, *rest = grid.shape
        return grid.view(prompts, heads, -1, per, *rest).transpose(1, 2).flatten(0, 1)[self.cells]


def attended(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Attention (rows, heads, queries, size of a value), and the logarithms of its softmaxes' sums (rows, heads, queries),
    these in fp32 where the query has less.

    Args:
        query: (rows, heads, queries, head size).
        keys: (rows, heads, columns, head size).
        values: (rows, heads, columns, size of a value).
        mask: 0 or -inf in the query's dtype (rows, 1, queries or 1, columns).
        scale: of the scores.
    """
    if query.device.type == "cpu" and keys.shape == values.shape:
        # Without a mask this turns NaN into 0 where there are few columns (torch 2.13).
        found: tuple[Tensor, Tensor] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, keys, values, attn_mask=mask, scale=scale
        )
        return found
    # Scaled before the product, which may not fit into fp16 otherwise.
    scores = (query * scale) @ keys.transpose(-1, -2) + mask
    weights = torch.softmax(scores, -1, dtype=torch.promote_types(scores.dtype, torch.float32))
    # A weight is exp(score - sum): the largest ones give the sum without another pass of exponentials.
    sums = scores.amax(-1).to(weights.dtype) - weights.amax(-1).log()
    return weights.to(values.dtype) @ values, sums


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
    unseen = (prompts.mask[used] == 0)[:, None, None, :]
    mask = torch.zeros(unseen.shape, dtype=layers[0].keys.dtype, device=device).masked_fill(unseen, -torch.inf)
    return Part(
        [layer.keys[used] for layer in layers],
        [layer.values[used] for layer in layers],
        mask,
        *(torch.tensor(each, device=device) for each in (source, cells, list(samples))),
    )


_parts: ContextVar[Sequence[Part] | None] = ContextVar("parts", default=None)


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    """transformers' attention interface: shared where samples are advanced by ``advance``, otherwise transformers' own.

    Args:
        module: the attention layer.
        query: (samples, query heads, tokens, head size).
        key: of the samples' own tokens (samples, heads, own columns, head size).
        value: like ``key``.
        attention_mask: of the own tokens, 0 or -inf (samples, 1, tokens, own columns).
        **options: ``scaling`` is used.

    Returns:
        (samples, tokens, query heads, head size), and no weights.
    """
    parts = _parts.get()
    if parts is None:
        found: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return found
    samples, query_heads, tokens, size = query.shape
    heads, layer = key.shape[1], module.layer_idx
    scaling = options.get("scaling")
    scale = size**-0.5 if scaling is None else scaling
    # The query heads that read the same keys stand side by side, as if they were tokens.
    grouped = query.reshape(samples, heads, -1, size)
    assert attention_mask is not None
    own, own_sums = attended(grouped, key, value, attention_mask.repeat(1, 1, query_heads // heads, 1), scale)
    shared, sums = torch.zeros_like(own), torch.full_like(own_sums, -torch.inf)
    for part in parts:
        shared[part.samples], sums[part.samples] = part.attend(layer, grouped, scale)
    # Most of the weight is often the prompt's: next to 1, bf16 would round what is left to nothing.
    weight = torch.sigmoid(sums - own_sums)[..., None]
    output = torch.lerp(own.to(weight.dtype), shared.to(weight.dtype), weight).to(own.dtype)
    return output.reshape(samples, query_heads, tokens, -1).transpose(1, 2), None


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)


def advance(model: Any, tokens: Tensor, positions: Tensor, own: Sequence[OwnLayer], parts: Sequence[Part]) -> Tensor:
    """Further tokens of samples; returns the logits behind the last ones (samples, vocabulary).

    Args:
        model: prepared by ``let_share``.
        tokens: (samples, tokens).
        positions: of the tokens, counted from the beginning of the prompt (samples, tokens).
        own: one for each layer, whose ``writing``, ``columns`` and ``width`` are set; shape and columns are the same in all.
        parts: the prompts; what a sample in none of them gets means nothing.
    """
    columns = own[0].columns
    unseen = torch.arange(own[0].width, device=columns.device) > columns[..., None]
    mask = torch.zeros(unseen.shape, dtype=model.dtype, device=columns.device).masked_fill(unseen, -torch.inf)
    shared = _parts.set(parts)
    try:
        logits: Tensor = model(
            tokens,
            attention_mask=mask[:, None],
            position_ids=positions,
            **with_cache(model, Cache(layers=list(own))),
            logits_to_keep=1,
        ).logits[:, -1]
    finally:
        _parts.reset(shared)
    return logits


@torch.inference_mode()
def let_share(model: Any) -> bool:
    """Let a model's samples share their prompts; whether they can: every layer has full attention, through transformers'
    interface, and a probe of short sequences gives the logits that the model gives by itself."""
    config = model.config.get_text_config(decoder=True)
    if config._attn_implementation != "sdpa" or not can_grow(config):
        return False
    ids = _probe(model)
    expected = _own_answer(model, ids)
    # Nobody else uses the model yet; later, another thread may be in the middle of a forward pass.
    model.config._attn_implementation = NAME
    found = _shared_answer(model, ids)
    if found is None or not _near(model, ids, found, expected):
        model.config._attn_implementation = "sdpa"
        return False
    return True


def _probe(model: Any) -> Tensor:
    """Tokens from all over the vocabulary (sequences, 4): behind special tokens bf16's error can be ten times as large."""
    vocabulary = int(model.get_input_embeddings().weight.shape[0])
    count = 4 * SEQUENCES
    return torch.tensor([(i + 1) * vocabulary // (count + 2) for i in range(count)], device=model.device).view(-1, 4)


def _near(model: Any, ids: Tensor, found: Tensor, expected: Tensor) -> bool:
    apart = _apart(found, expected)
    if apart <= TOLERANCE or not apart <= MOST:
        return apart <= TOLERANCE
    others = [_one_by_one(model, ids)]
    if torch.finfo(model.dtype).bits < 32:
        others.append(_eager_answer(model, ids))
    noise = max((_apart(each, expected) for each in others if each is not None), default=0.0)
    return apart <= TOLERANCE + NOISE * noise


def _apart(found: Tensor, expected: Tensor) -> float:
    """The difference of two answers, relative to the second; what is added to all logits of a place does not count."""
    found, expected = (each - each.mean(-1, keepdim=True) for each in (found, expected))
    return float((found - expected).norm() / expected.norm())


def _own_answer(model: Any, ids: Tensor) -> Tensor:
    """The logits behind the probe (sequences, vocabulary), by the attention that the model has."""
    logits: Tensor = model(ids, attention_mask=torch.ones_like(ids), use_cache=False, logits_to_keep=1).logits
    return logits[:, -1].float()


def _eager_answer(model: Any, ids: Tensor) -> Tensor | None:
    """The same by transformers' plain attention; None if it fails."""
    usual = model.config._attn_implementation
    model.config._attn_implementation = "eager"
    try:
        return _own_answer(model, ids)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return None
    finally:
        model.config._attn_implementation = usual


def _one_by_one(model: Any, ids: Tensor) -> Tensor | None:
    """The same of a model that reads one token at a time; None if it cannot."""
    try:
        cache = DynamicCache(config=model.config.get_text_config(decoder=True))
        for i in range(ids.shape[1]):
            where = torch.full((len(ids), 1), i, device=model.device)
            told = {"position_ids": where, "logits_to_keep": 1} | with_cache(model, cache)
            logits = model(ids[:, i : i + 1], attention_mask=torch.ones_like(ids[:, : i + 1]), **told).logits
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return None
    found: Tensor = logits[:, -1].float()
    return found


def _shared_answer(model: Any, ids: Tensor) -> Tensor | None:
    """The same with the first token, in every second sequence the first two, as prompts; None if the architecture cannot."""
    count = len(ids)
    long = [1 + i % 2 for i in range(count)]
    behind = [i for i in range(count) if long[i] == 1]
    everyone = [*range(count)][::-1]
    try:
        prompts = prefill(model, [row[:end] for row, end in zip(ids.tolist(), long, strict=True)])
        own = [OwnLayer(count, 3) for _ in prompts.cache.layers]
        # One token of those that are behind; then the last two of all, in another order.
        for rows, at in ((behind, [1]), (everyone, [2, 3])):
            samples, positions = (
                torch.tensor(rows, device=model.device),
                torch.tensor([at] * len(rows), device=model.device),
            )
            columns = positions - torch.tensor(long, device=model.device)[samples, None]
            for layer in own:
                layer.writing, layer.columns, layer.width = samples, columns, int(columns.max()) + 1
            part = part_of(prompts, rows, [*range(len(rows))])
            logits = advance(model, ids[samples[:, None], positions], positions, own, [part])
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        # Whatever an architecture does otherwise, its samples are decoded in the usual way.
        return None
    return logits.flip(0).float()
