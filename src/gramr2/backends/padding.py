"""Token sequences of different lengths as one batch in which all end in the same column."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def aligned_at_the_end(
    rows: Sequence[Sequence[int]], shared: int = 0, *, apart: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Ids (n, w), positions (n, w) and attention mask (n, shared + w) of ``rows``, each of at least one token.

    ``shared`` tokens before every row are in a cache. Without a cache, a row's first token is in the first column and the padding
    comes after it: in front of it, a padded query would see no key at all, and attention kernels may return NaN gradients for
    that. Full attention with rotary positions is not affected by the gap, but the column before the second token is a padded
    one, whose logits predict nothing. Sliding windows and convolutions depend on columns: for them the first token stays next
    to the second (``apart=False``).
    """
    width = max(map(len, rows))
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    positions = torch.zeros_like(ids)
    mask = torch.ones((len(rows), shared + width), dtype=torch.long)
    for i, row in enumerate(rows):
        gap, head = width - len(row), 0 if shared or not apart or len(row) == 1 else 1
        at = torch.tensor([*range(head), *range(head + gap, width)])
        ids[i, at] = torch.tensor(list(row))
        positions[i, at] = torch.arange(shared, shared + len(row))
        mask[i, shared + head : shared + head + gap] = 0
    return ids, positions, mask
