"""Token sequences of a few examples as tensors for one forward pass, with their common beginning separate.

Every prompt of a form begins with the same rules, which are half of a short prompt. They are computed in one row, whose
keys and values are shared by all rows, with their gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor
from torch.utils.data import Dataset

from gramr2.backends.padding import aligned_at_the_end
from gramr2.training.examples import TokenSequence
from gramr2.training.verdict import orders_of

IGNORED = -100
"""no loss on this token, as everywhere in transformers"""
MIN_SHARED = 16
"""shorter common beginnings are not worth a pass of their own"""
BLANK = -1
"""index of no example: fills a step that does not divide evenly among processes"""
FORMS = ("direct", "reasoned")


class Form(TypedDict):
    """The sequences of one form: n rows, padded before the answers so that all end where the logits do.

    ``prefix`` (p,) are the ids that all rows begin with; ``ids`` and ``positions`` (n, w) are what follows; ``mask`` is
    (n, p + w). ``answers`` (n, k) are the answers' ids at the end of the rows, ``IGNORED`` elsewhere, ``tokens`` of them in all;
    ``label_at`` (n,) is the column of ``answers`` where the label begins (−1 without one); ``swapped`` (n,) and ``target``
    (n, 3) are those of ``TokenSequence``, the target in the stored order. ``unit`` is the index of each row's comparison, and
    ``pairs`` and ``alone`` are the rows that it pairs: see ``gramr2.training.verdict.orders_of``.

    Numbers that only the processor needs are no tensors, which would be moved to the device and waited for.
    """

    prefix: Tensor
    ids: Tensor
    positions: Tensor
    mask: Tensor
    answers: Tensor
    label_at: Tensor
    swapped: Tensor
    target: Tensor
    pairs: Tensor
    alone: Tensor
    unit: list[int]
    tokens: int


@dataclass(frozen=True, slots=True)
class Row:
    """An example as token sequences."""

    sequences: tuple[TokenSequence, ...]


class Rows(Dataset[dict[str, object]]):
    """Training examples for the trainer; ``input_ids`` is the longest sequence, by whose length the sampler groups them."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, object]:
        if index == BLANK:
            return {"row": None, "input_ids": ()}
        row = self.rows[index]
        longest = max(row.sequences, key=lambda each: each.length)
        return {"row": row, "input_ids": longest.prompt + longest.answer}


@dataclass(frozen=True, slots=True)
class Collator:
    """Turns rows of the data set into tensors, one group per form; without any row there is none.

    Args:
        share: compute common beginnings once.
        apart: see ``gramr2.backends.padding``; only for models with full attention.
    """

    share: bool
    apart: bool = True

    def __call__(self, items: Sequence[dict[str, object]]) -> dict[str, object]:
        rows = [item["row"] for item in items if item["row"] is not None]
        groups: dict[str, list[tuple[int, TokenSequence]]] = {name: [] for name in FORMS}
        for unit, row in enumerate(rows):
            assert isinstance(row, Row)
            for each in row.sequences:
                groups[FORMS[each.reasoned]].append((unit, each))
        found: dict[str, object] = {n: _form(group, self.share, self.apart) for n, group in groups.items() if group}
        return found | {"count": len(rows)}


def _form(group: Sequence[tuple[int, TokenSequence]], share: bool, apart: bool) -> Form:
    sequences = [each for _, each in group]
    shared = _shared([each.prompt for each in sequences]) if share else 0
    longest = max(len(each.answer) for each in sequences)
    rows = [(each.prompt + each.answer)[shared:] for each in sequences]
    ids, positions, mask = aligned_at_the_end(rows, shared, apart=apart)
    answers = torch.full((len(sequences), longest), IGNORED)
    for i, each in enumerate(sequences):
        answers[i, longest - len(each.answer) :] = torch.tensor(each.answer)
    labels = [-1 if s.label_at is None else longest - len(s.answer) + s.label_at for s in sequences]
    units = [unit for unit, _ in group]
    pairs, alone = orders_of(units)
    return Form(
        prefix=torch.tensor(sequences[0].prompt[:shared], dtype=torch.long),
        ids=ids,
        positions=positions,
        mask=mask,
        answers=answers,
        label_at=torch.tensor(labels),
        swapped=torch.tensor([each.swapped for each in sequences]),
        target=torch.tensor([_stored(each) for each in sequences]),
        pairs=pairs,
        alone=alone,
        unit=units,
        tokens=sum(token != IGNORED for each in sequences for token in each.answer),
    )


def _stored(each: TokenSequence) -> tuple[float, float, float]:
    a, b, tie = each.target
    return (b, a, tie) if each.swapped else (a, b, tie)


def _shared(prompts: Sequence[tuple[int, ...]]) -> int:
    """Number of tokens that all prompts begin with; each keeps at least one of its own."""
    if len(prompts) < 2:
        return 0
    limit = min(map(len, prompts)) - 1
    first, last = min(prompts), max(prompts)
    common = next((i for i in range(limit) if first[i] != last[i]), limit)
    return common if common >= MIN_SHARED else 0
