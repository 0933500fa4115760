"""The verdict's own loss: one distribution over A, B and tie from both orders of a comparison.

With z⁽¹⁾ the label logits in the stored order and z⁽²⁾ those in the other with A and B exchanged back, the two are
combined in log space, ½(log softmax z⁽¹⁾ + log softmax z⁽²⁾), normalised, and compared with the label by
cross-entropy. An opinion that follows the position cancels out, so it cannot lower this loss. For two labels it is
−log σ(y·m) with m = ½[(z_A − z_B)(a, b) − (z_A − z_B)(b, a)].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gramr2.config.training import VerdictConfig

EXCHANGE = (1, 0, 2)
"""where A, B and tie are after the responses have changed places"""
OWN = 0.5
"""weight of each order's own cross-entropy beside that of both orders together"""


def stored_order(logits: Tensor, swapped: Tensor) -> Tensor:
    """Label logits (n, 3) as seen, A and B exchanged back in the rows where ``swapped`` (n,) is true."""
    # Columns one by one: an index made of a list is copied to the device, and the processor waits for it.
    exchanged = torch.stack([logits[:, place] for place in EXCHANGE], dim=-1)
    return torch.where(swapped[:, None], exchanged, logits)


def combined(first: Tensor, second: Tensor) -> Tensor:
    """Log-probabilities (n, 3) of both orders together, from the label logits (n, 3) of each in the stored order."""
    return ((first.log_softmax(-1) + second.log_softmax(-1)) / 2).log_softmax(-1)


def cross_entropy(logits: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy (n,) of label logits against a distribution (n, 3), with ``smoothing`` of it spread evenly."""
    target = (1 - smoothing) * target + smoothing / target.shape[-1]
    return -(target * logits.log_softmax(-1)).sum(-1)


def orders_of(units: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Which rows are the two orders of one comparison in one form, (pairs, 2), and which have no other order, (rows,).

    Args:
        units: a number for each row, equal for the two orders of one comparison.
    """
    rows: dict[int, list[int]] = {}
    for row, unit in enumerate(units):
        rows.setdefault(unit, []).append(row)
    found = [rows[unit] for unit in sorted(rows)]
    pairs = [each for each in found if len(each) == 2]
    alone = sorted(row for each in found if len(each) != 2 for row in each)
    return torch.tensor(pairs, dtype=torch.long).view(-1, 2), torch.tensor(alone, dtype=torch.long)


def verdict_losses(
    logits: Tensor, target: Tensor, pairs: Tensor, alone: Tensor, config: VerdictConfig
) -> tuple[Tensor, Tensor]:
    """The summed loss of verdicts, and for the log the summed cross-entropy of the verdicts as they are read: from both
    orders together, or from the only one.

    Args:
        logits: (n, 3), in the stored order: see ``stored_order``.
        target: (n, 3), P(A), P(B), P(tie) in the stored order.
        pairs, alone: see ``orders_of``; a row without another order has its own loss alone.
        config: whether orders are combined, and the smoothing.

    Returns:
        Two scalars. The first is, per comparison, the combined cross-entropy plus half of each order's own where there are
        two orders and ``symmetric`` is on, else the mean of the orders' own.
    """
    # Nothing here asks the device for a number, since the processor would wait for it.
    own = cross_entropy(logits, target, config.smoothing)
    first, second = pairs.unbind(-1)
    together = cross_entropy(combined(logits[first], logits[second]), target[first], config.smoothing).sum()
    each, single = own[pairs.flatten()].sum(), own[alone].sum()
    read = (together + single).detach()
    if not config.symmetric:
        return each / 2 + single, read
    return together + OWN * each + single, read
