"""What tests of training teach: a few comparisons of different lengths, as examples, rows and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from conftest import make
from gramr2.backends.base import VerdictReading
from gramr2.backends.encoding import Encoder
from gramr2.comparison import Label, LabeledComparison
from gramr2.config.training import TrainingConfig
from gramr2.judging.template import JudgeTemplate
from gramr2.training.batches import Collator, Row
from gramr2.training.examples import AnswerTemplate, encode, training_examples
from gramr2.training.objective import Objective


def reason(label: Label, words: str) -> str:
    """A rationale in the judge's form."""
    ends = {
        Label.A: "Response A is better.",
        Label.B: "Response B is better.",
        Label.TIE: "Neither response is better.",
    }
    return f"Feedback: {words}\nConclusion: {ends[label]}"


ITEMS = [
    LabeledComparison(make("one", "4", "5, I think"), Label.A, reason(Label.A, "Response A is right.")),
    LabeledComparison(make("two", "no", "yes"), Label.B, reason(Label.B, "Response B says so, Response A does not.")),
    LabeledComparison(make("three", "a", "b"), Label.TIE),
    LabeledComparison(
        make("four", "long " * 9, "x"), Label.A, reason(Label.A, "Response B is short."), (0.7, 0.1, 0.2)
    ),
    LabeledComparison(make("five", "x", "y"), Label.A, "A is better, says nobody."),
]


def encoder_of(folder: Path) -> Encoder:
    """The encoder of a model's folder."""
    from transformers import AutoTokenizer

    return Encoder(AutoTokenizer.from_pretrained(folder))


def rows_of(
    items: Sequence[LabeledComparison],
    encoder: Encoder,
    *,
    orders: str = "both",
    direct: bool = True,
    template: AnswerTemplate | None = None,
) -> list[Row]:
    """Training examples as token sequences."""
    shown = template or JudgeTemplate()
    verdict = isinstance(shown, JudgeTemplate)
    examples = training_examples(items, orders, 0, direct=direct)
    return [Row(tuple(encode(each, encoder, shown, verdict=verdict) for each in example)) for example in examples]


def batch_of(rows: Sequence[Row], *, share: bool = False) -> dict[str, Any]:
    """Rows as one batch."""
    return Collator(share)([{"row": row} for row in rows])


def objective_of(encoder: Encoder, answer_tokens: float = 50.0, **settings: Any) -> Objective:
    """A judge's objective; ``settings`` are those of ``training``."""
    return Objective(TrainingConfig(**settings), [*encoder.label_ids(VerdictReading()).values()], answer_tokens)


def gradients(model: Any, objective: Objective, batch: dict[str, Any]) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of a batch and the gradient of every parameter."""
    model.zero_grad()
    loss, _ = objective(model, batch)
    loss.backward()
    zero = torch.zeros(())
    return float(loss.detach()), {n: zero if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Of two sets of tensors with the same names."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a saved model."""
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def apart(one: Path, other: Path, start: Path) -> float:
    """How far apart two trained models are, as a share of the way from where they started.

    A norm over all weights: Adam turns rounding into whole steps where a gradient is next to nothing.
    """
    a, b, zero = weights(one), weights(other), weights(start)
    way = sum(float((a[name] - zero[name]).square().sum()) for name in a)
    return float((sum(float((a[name] - b[name]).square().sum()) for name in a) / way) ** 0.5)
