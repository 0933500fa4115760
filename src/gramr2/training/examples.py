"""From labelled comparisons to training examples: orders, forms, and the token ids that inference would see.

An example is one comparison with everything that is learnt from it in one step: the reasoned form (rationale, then
verdict) in one order or both, and the direct form (verdict alone) in both, because the verdict's loss needs both
orders side by side.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gramr2.backends.encoding import Encoder
from gramr2.comparison import Comparison, Label, LabeledComparison, Message, Order
from gramr2.config.training import EarlyStopConfig
from gramr2.data.balance import balancing_swaps, is_fixed
from gramr2.data.split import split_by_prompt
from gramr2.randomness import fraction

log = logging.getLogger("gramr2")

LABELS = (Label.A, Label.B, Label.TIE)
"""the order of label logits and targets"""


@dataclass(frozen=True, slots=True)
class TrainingForm:
    """A comparison as shown, with the label and rationale to be written for it; ``order`` is how the stored comparison is
    shown here."""

    comparison: Comparison
    label: Label
    rationale: str | None
    order: Order = Order.AB
    target: tuple[float, float, float] | None = None


TrainingExample = tuple[TrainingForm, ...]
"""all forms of one comparison"""


class AnswerTemplate(Protocol):
    """Defines the prompt and the answer to train on: ``JudgeTemplate`` or ``ProvingTemplate``."""

    def conversation(
        self, comparison: Comparison, label: Label, rationale: str | None
    ) -> tuple[tuple[Message, ...], tuple[str, ...]]:
        """The prompt's messages, and the answer in pieces whose ends are token boundaries."""
        ...


def training_examples(
    labeled: Sequence[LabeledComparison], orders: str, seed: int, *, direct: bool, reasoned: bool = True
) -> list[TrainingExample]:
    """The training examples of labelled comparisons.

    A rationale is shown in ``both`` orders, or (``hashed``) in one drawn from (seed, id), such that A and B are right
    equally often, or differ by one. A rationale that refers to a bare “A” or “B” cannot be swapped by rule, so it stays
    in its stored order.

    Args:
        orders: ``both`` or ``hashed``.
        seed: for drawing the orders.
        direct: whether the verdict alone is taught too, in both orders; without it, only a comparison without a rationale
            takes that form.
        reasoned: whether rationales are taught; a judge of labels alone would otherwise learn each verdict twice.
    """
    swaps = balancing_swaps(labeled, seed)
    examples: list[TrainingExample] = []
    for item, swap in zip(labeled, swaps, strict=True):
        swap = swap or (item.label is Label.TIE and _tie_swapped(item, seed))
        one = [Order.BA if swap else Order.AB]
        written = one if orders == "hashed" else [Order.AB] if is_fixed(item) else [*Order]
        shown = [_shown(item, order) for order in written] if reasoned and item.rationale is not None else []
        bare = LabeledComparison(item.comparison, item.label, None, item.target)
        if direct:
            shown += [_shown(bare, order) for order in Order]
        elif not shown:
            shown = [_shown(bare, order) for order in written]
        examples.append(tuple(shown))
    return examples


def _shown(item: LabeledComparison, order: Order) -> TrainingForm:
    each = item if order is Order.AB else item.swap()
    return TrainingForm(each.comparison, each.label, each.rationale, order, each.target)


def _tie_swapped(item: LabeledComparison, seed: int) -> bool:
    return not is_fixed(item) and fraction(seed, "order", item.comparison.id) < 0.5


def held_out_of(
    items: Sequence[LabeledComparison], settings: EarlyStopConfig | None, seed: int
) -> tuple[Sequence[LabeledComparison], Sequence[LabeledComparison]]:
    """What to train on, and what is held out for early stopping: nothing without settings, or if it would be too little."""
    if settings is None:
        return items, ()
    rest, held_out = split_by_prompt(items, settings.share, seed)
    if len(held_out) < settings.min_comparisons:
        log.warning(
            "no early stop: %d of %d comparisons would be held out, and %d are needed (early_stop.min_comparisons)",
            len(held_out),
            len(items),
            settings.min_comparisons,
        )
        return items, ()
    return rest, held_out


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """Token ids of one form of an example.

    ``label_at`` is the position of the label's first token in ``answer`` (None for a proof), ``target`` the
    distribution over A, B, tie in the order in which the comparison is shown.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    reasoned: bool
    swapped: bool
    label_at: int | None
    target: tuple[float, float, float]

    @property
    def length(self) -> int:
        """Total number of tokens."""
        return len(self.prompt) + len(self.answer)


def encode(example: TrainingForm, encoder: Encoder, template: AnswerTemplate, *, verdict: bool = True) -> TokenSequence:
    """Token ids of prompt and answer, the answer with the end-of-turn token.

    Args:
        verdict: whether the answer's last piece but one is a label, as for a judge, but not for a proof.
    """
    messages, pieces = template.conversation(example.comparison, example.label, example.rationale)
    parts = [encoder.fragment(piece) for piece in pieces]
    end = encoder.tokenizer.eos_token_id
    answer = [i for part in parts for i in part] + ([] if end is None else [end])
    certain = tuple(float(example.label is label) for label in LABELS)
    return TokenSequence(
        prompt=tuple(encoder.prompt(messages)),
        answer=tuple(answer),
        reasoned=example.rationale is not None,
        swapped=example.order is Order.BA,
        label_at=sum(map(len, parts[:-2])) if verdict else None,
        target=example.target or (certain[0], certain[1], certain[2]),
    )
