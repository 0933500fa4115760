"""Token sequences of different lengths as one batch in which all end in the same column."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def aligned_at_the_end(rows: Sequence[Sequence[int]], shared: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Ids (n, w), positions (n, w) and attention mask (n, shared + w) of ``rows``, each of at least one token.

    ``shared`` tokens before every row stand in a cache. Without them a row's first token is in the first column, and the padding
    between it and the others: left of it, a padded query would see no key at all, for which attention kernels of CUDA may return
    NaN gradients. Attention follows the positions, so that the gap changes nothing; but what is right of it has a padded column
    before it, whose logits predict nothing.
    """
    width = max(map(len, rows))
    ids, positions = (
        torch.zeros((len(rows), width), dtype=torch.long),
        torch.zeros((len(rows), width), dtype=torch.long),
    )
    mask = torch.ones((len(rows), shared + width), dtype=torch.long)
    for i, row in enumerate(rows):
        gap, head = width - len(row), 0 if shared or len(row) == 1 else 1
        at = torch.tensor([*range(head), *range(head + gap, width)])
        ids[i, at] = torch.tensor(list(row))
        positions[i, at] = torch.arange(shared, shared + len(row))
        mask[i, shared + head : shared + head + gap] = 0
    return ids, positions, mask
