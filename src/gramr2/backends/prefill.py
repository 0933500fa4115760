"""Prompts into a key-value cache, computing only once what several of them begin with.

Both orders of a comparison share its prompt, and the pairs of a ranking share a prompt and a first response: their common
beginning is computed as a row of its own, which the rows of the prompts then continue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from gramr2.backends.cache import continued, new_cache, with_cache
from gramr2.backends.padding import aligned_at_the_end

MIN_SHARED = 16
"""tokens that a common beginning must have to be worth a row of its own"""


@dataclass(frozen=True, eq=False)
class Prefilled:
    """Prompts in a cache: their columns in it (prompts, columns), their lengths, and the logits behind (prompts, vocabulary)."""

    cache: Cache
    mask: Tensor
    lengths: list[int]
    logits: Tensor


def prefill(model: Any, prompts: Sequence[list[int]], start: Prefilled | None = None, room: int = 0) -> Prefilled:
    """Compute prompts side by side, none of which is empty.

    Args:
        model: whose layers all use full attention, if there is a start; see ``gramr2.backends.cache.can_grow``.
        prompts: as ids, without what they begin with.
        start: a single row that all of them begin with.
        room: tokens that will be written into the same cache.
    """
    return _continue(model, prompts, start, [0] * len(prompts), room)


def prefilled(
    model: Any, prompts: Sequence[list[int]], start: Prefilled | None
) -> Iterator[tuple[Prefilled, list[int]]]:
    """Prompts in one or two caches, and which prompts are in each.

    Args:
        prompts: whole, as ids.
        start: a single row that all of them begin with.
    """
    known = start.lengths[0] if start else 0
    groups = [(length, members) for length, members in branches(prompts, known) if length > known]
    if groups:
        heads = prefill(model, [prompts[members[0]][known:length] for length, members in groups], start)
        rows = [(row, i, length) for row, (length, members) in enumerate(groups) for i in members]
        tails = [prompts[i][length:] for _, i, length in rows]
        yield _continue(model, tails, heads, [row for row, _, _ in rows]), [i for _, i, _ in rows]
    shared = {i for _, members in groups for i in members}
    if left := [i for i in range(len(prompts)) if i not in shared]:
        yield prefill(model, [prompts[i][known:] for i in left], start), left


def branches(prompts: Sequence[list[int]], known: int = 0) -> list[tuple[int, list[int]]]:
    """Prompts grouped by a common beginning so that most tokens are saved: (tokens they share, their indices).

    Each prompt is in one group and has at least one token behind what it shares. A group that is not worth it has one prompt
    and shares ``known`` tokens, with which all prompts begin.
    """
    order = sorted(range(len(prompts)), key=lambda i: prompts[i])
    shares = [_shared(prompts[a], prompts[b]) for a, b in pairwise(order)]

    def best(first: int, last: int) -> tuple[int, list[tuple[int, list[int]]]]:
        """(tokens saved, groups) of the prompts from ``first`` to ``last`` in the order, both included."""
        if first == last:
            return 0, [(known, [order[first]])]
        least = min(shares[first:last])
        cuts = [place for place in range(first, last) if shares[place] == least]
        parts = [best(a, b) for a, b in zip([first, *(c + 1 for c in cuts)], [*cuts, last], strict=True)]
        saved = sum(part[0] for part in parts)
        together = (last - first) * (least - known) if least - known >= MIN_SHARED else 0
        if together > saved:
            return together, [(least, order[first : last + 1])]
        return saved, [group for part in parts for group in part[1]]

    return best(0, len(order) - 1)[1] if order else []


def common_prefix(prompts: Sequence[list[int]]) -> int:
    """Number of tokens that all prompts begin with; every prompt keeps at least one of its own."""
    return min(_shared(min(prompts), max(prompts)), min(map(len, prompts)) - 1)


def _shared(a: list[int], b: list[int]) -> int:
    limit = min(len(a), len(b)) - 1
    return next((i for i in range(limit) if a[i] != b[i]), max(limit, 0))


def _continue(
    model: Any, ids: Sequence[list[int]], before: Prefilled | None, rows: Sequence[int], room: int = 0
) -> Prefilled:
    """Each of ``ids`` after the row of ``before`` of the same place in ``rows``."""
    device, width = model.device, max(map(len, ids))
    if before is None:
        tokens, positions, mask = aligned_at_the_end(ids)
        cache = new_cache(model.config.get_text_config(decoder=True), width + room)
        lengths = [*map(len, ids)]
    else:
        tokens, positions, own = aligned_at_the_end(ids, before.mask.shape[1])
        own = own[:, before.mask.shape[1] :]
        starts = [before.lengths[row] for row in rows]
        positions = (positions - before.mask.shape[1] + torch.tensor(starts)[:, None]).clamp_min(0)
        mask = torch.cat([before.mask[torch.tensor(rows, device=device)].cpu(), own], 1)
        cache = continued(before.cache, rows, width + room)
        lengths = [start + len(each) for start, each in zip(starts, ids, strict=True)]
    mask = mask.to(device)
    output = model(
        tokens.to(device),
        attention_mask=mask,
        position_ids=positions.to(device),
        **with_cache(model, cache),
        logits_to_keep=1,
    )
    return Prefilled(cache, mask, lengths, output.logits[:, -1])
