"""The loss of a judge: next-token loss on the answer, and a separate loss on the verdict.

Per comparison, L = (answer tokens' cross-entropy, weighted by form) / N̄ + weight · (verdict loss of each form),
averaged over the comparisons of a step. N̄, the mean number of answer tokens per comparison in this training run, is a
constant, so that the loss of a batch is the mean of the losses of its parts, whatever the gradient accumulation or the
number of processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers.cache_utils import DynamicCache

from gramr2.backends.cache import with_cache
from gramr2.backends.label_logits import Corrected, labels_in_fp32
from gramr2.config.training import TrainingConfig
from gramr2.training.batches import FORMS, IGNORED, Form
from gramr2.training.verdict import stored_order, verdict_losses

Parts = dict[str, tuple[float, float]]
"""name → (sum, count)"""


@dataclass(frozen=True, slots=True)
class Objective:
    """The loss of a batch that ``Collator`` made.

    Args:
        settings: weights of the parts.
        label_ids: first tokens of A, B and tie; None for answers without a verdict.
        answer_tokens: N̄.
        always: forms whose forward pass is made even for a batch without them, on one token and without loss: processes that
            share weights wait for each other in every pass.
    """

    settings: TrainingConfig
    label_ids: Sequence[int] | None
    answer_tokens: float
    always: Sequence[str] = ()

    def __call__(self, model: Any, batch: dict[str, Any]) -> tuple[Tensor, Parts]:
        """The loss, a scalar, and its parts.

        They are ``{form}_answer_loss`` over tokens and ``{form}_verdict_loss`` over comparisons.
        """
        losses: list[Tensor] = []
        totals: dict[str, tuple[Tensor, int]] = {}
        for name in FORMS:
            if name not in batch:
                if name in self.always:
                    losses.append(0.0 * _one_token(model).sum())
                continue
            form = cast(Form, batch[name])
            judged = self.label_ids is not None and self.settings.verdict.weight > 0
            with labels_in_fp32(model, self.label_ids or () if judged else ()) as corrected:
                logits = forward(model, form)
            told = cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), form["answers"].flatten(), ignore_index=IGNORED, reduction="sum"
            )
            totals[f"{name}_answer_loss"] = told.detach(), form["tokens"]
            weight = 1.0
            if self.label_ids is not None and name == "reasoned":
                weight = self.settings.rationale_weight
            elif judged:
                weight = self.settings.verdict.format
            losses.append(weight * told / self.answer_tokens)
            if judged:
                verdict, together = self._verdict(form, logits, corrected)
                totals[f"{name}_verdict_loss"] = together, len(set(form["unit"]))
                losses.append(self.settings.verdict.weight * verdict)
        # One transfer, since each waits for the device.
        values = torch.stack([total for total, _ in totals.values()]).tolist() if totals else []
        parts = {name: (value, float(n)) for value, (name, (_, n)) in zip(values, totals.items(), strict=True)}
        return torch.stack(losses).sum() / max(1, batch["count"]), parts

    def _verdict(self, form: Form, logits: Tensor, corrected: Corrected) -> tuple[Tensor, Tensor]:
        place = torch.arange(len(logits), device=logits.device), form["label_at"]
        there = logits[place]
        at = corrected(torch.stack([there[:, label] for label in self.label_ids or ()], dim=-1), place)
        target = form["target"].to(at)
        stored = stored_order(at, form["swapped"])
        return verdict_losses(stored, target, form["pairs"], form["alone"], self.settings.verdict)


def _one_token(model: Any) -> Tensor:
    """The logits of a forward pass on a single token."""
    ids = torch.zeros((1, 1), dtype=torch.long, device=model.device)
    rest = {"attention_mask": torch.ones_like(ids), "position_ids": ids, "logits_to_keep": 1, "use_cache": False}
    return cast(Tensor, model(input_ids=ids, **rest).logits)


def forward(model: Any, form: Form) -> Tensor:
    """Logits (n, k + 1, vocabulary) of a form's last tokens: those that predict its answers, and one after."""
    keep = form["answers"].shape[1] + 1
    rest = {"input_ids": form["ids"], "attention_mask": form["mask"], "position_ids": form["positions"]}
    if not len(form["prefix"]):
        return cast(Tensor, model(**rest, logits_to_keep=keep, use_cache=False).logits)
    cache = DynamicCache(config=model.config)
    model(input_ids=form["prefix"][None], **with_cache(model, cache), logits_to_keep=1)
    rows = len(form["ids"])
    for layer in cache.layers:
        layer.keys = layer.keys.expand(rows, -1, -1, -1)
        layer.values = layer.values.expand(rows, -1, -1, -1)
    return cast(Tensor, model(**rest, **with_cache(model, cache), logits_to_keep=keep).logits)
