"""Log-probabilities of given texts: texts of similar length share a forward pass, and only the answers' logits are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gramr2.backends.base import Score
from gramr2.backends.padding import aligned_at_the_end


@dataclass(frozen=True, slots=True)
class ScoreBatching:
    """Limits of one forward pass: padded tokens, bytes of logits, and whether lengths may differ (padding uses up positions
    of a sliding window)."""

    tokens: int
    logit_bytes: int
    mixed_lengths: bool


def score_all(
    model: Any, device: torch.device, items: Sequence[tuple[list[int], list[int]]], limits: ScoreBatching
) -> list[Score]:
    """Log-probability of each answer given its prompt, both as ids, in the order given."""
    scores: list[Score | None] = [None] * len(items)
    vocabulary = int(model.config.get_text_config(decoder=True).vocab_size)
    for batch in _batches(items, vocabulary, limits):
        for index, score in zip(batch, _score(model, device, [items[i] for i in batch]), strict=True):
            scores[index] = score
    return [score for score in scores if score is not None]


def _batches(
    items: Sequence[tuple[list[int], list[int]]], vocabulary: int, limits: ScoreBatching
) -> Iterator[list[int]]:
    length = [len(prompt) + len(answer) for prompt, answer in items]
    batch: list[int] = []
    for i in sorted(range(len(items)), key=lambda i: -length[i]):
        tried = [*batch, i]
        kept = max(len(items[j][1]) for j in tried) + 1
        full = (
            length[tried[0]] * len(tried) > limits.tokens
            or 4 * vocabulary * kept * len(tried) > limits.logit_bytes
            or (not limits.mixed_lengths and length[i] != length[tried[0]])
            # Padding would come between the only token of a prompt and the answer that it predicts.
            or any(len(items[j][0]) == 1 for j in (*batch[-1:], i))
        )
        if batch and full:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _score(model: Any, device: torch.device, items: Sequence[tuple[list[int], list[int]]]) -> list[Score]:
    """One forward pass. Padding comes before the answers, so that all of them end where the logits do."""
    ids, positions, mask = aligned_at_the_end([[*prompt, *answer] for prompt, answer in items])
    output = model(
        ids.to(device),
        attention_mask=mask.to(device),
        position_ids=positions.to(device),
        logits_to_keep=max(len(answer) for _, answer in items) + 1,
        use_cache=False,
    )
    scores: list[Score] = []
    for logits, (_, answer) in zip(output.logits, items, strict=True):
        picked = logits[-len(answer) - 1 : -1].float().log_softmax(-1)
        target = torch.tensor(answer, device=device, dtype=torch.long)
        scores.append(Score(float(picked.gather(1, target[:, None]).double().sum()), len(answer)))
    return scores
