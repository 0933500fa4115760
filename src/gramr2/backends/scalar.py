"""A scalar reward model: one number for a response to a prompt, from a classification head of transformers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from gramr2.backends.conversations import Conversations, Row
from gramr2.backends.hardware import choose_device, choose_dtype, keep_freed_memory
from gramr2.backends.label_logits import HALF
from gramr2.backends.loading import loading
from gramr2.backends.pretrained import context_of, open_config, open_scalar, open_tokenizer, refuse_unembedded
from gramr2.backends.registry import fingerprint
from gramr2.comparison import Message
from gramr2.errors import ModelError, PromptTooLongError

ROWS, TOKENS = 32, 16384
"""of a batch: texts, and tokens with padding; one text may have more tokens"""

FP32_REWARD = "+reward-fp32"
"""behind the name of a model in bf16 or fp16: earlier versions rounded its rewards, and what they kept is not to be found"""

Text = tuple[tuple[Message, ...], str]
"""a prompt and a response"""


class ScalarModel:
    """A reward model as it was published: its weights, its tokenizer, its chat template.

    Args:
        folder: of the model.
        dtype: see ``gramr2.backends.hardware.choose_dtype``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps`` …
        trust_remote_code: run Python code that comes with the model.

    Raises:
        ModelError: it cannot be loaded, or has not exactly one number for a text.
    """

    def __init__(
        self, folder: Path, *, dtype: str = "auto", device: str = "auto", trust_remote_code: bool = False
    ) -> None:
        config = open_config(folder, trust_remote_code=trust_remote_code)
        if config.num_labels != 1:
            raise ModelError(
                f"{folder} tells {config.num_labels} classes apart, and a reward model has one number for a text (num_labels 1): "
                "give a reward model"
            )
        keep_freed_memory()
        self._device = choose_device(device)
        self._dtype = choose_dtype(dtype, self._device)
        tokenizer = open_tokenizer(folder, trust_remote_code=trust_remote_code)
        model = open_scalar(folder, dtype=self._dtype, trust_remote_code=trust_remote_code)
        refuse_unembedded(model, tokenizer, folder)
        self.context_length = context_of(config, folder)
        """the most tokens of a prompt and a response together"""
        with loading("the reward model", folder):
            self._model = model.to(self._device).eval()
            head = _fp32_head(self._model)
            self._encoder = Conversations(tokenizer)
            if not tokenizer.chat_template:
                # Encoders such as RoBERTa count positions from 2 on, and only their tokenizer says so.
                self.context_length = min(self.context_length, int(tokenizer.model_max_length))
        self._id = f"{fingerprint(folder)}{FP32_REWARD if head else ''}"

    @property
    def id(self) -> str:
        """Folder name, digest of the weights, and dtype: what determines the rewards."""
        return f"{self._id}:{str(self._dtype).removeprefix('torch.')}"

    def count(self, prompt: tuple[Message, ...], response: str) -> int:
        """Tokens of a response with its prompt."""
        return len(self._encoder.row(prompt, response).ids)

    def rewards(self, texts: Sequence[Text]) -> list[float]:
        """The reward of each text, in the order given; NaN or infinite where the model's number is.

        Raises:
            PromptTooLongError: a text exceeds the model's context.
        """
        rows = [self._encoder.row(*text) for text in texts]
        longest = max((len(row.ids) for row in rows), default=0)
        if longest > self.context_length:
            raise PromptTooLongError(
                f"a prompt with its response has {longest} tokens, more than the context of {self.context_length} of the reward "
                "model: leave the comparison out, or take another model"
            )
        return rewards_of(self._model, rows)


def _fp32_head(model: Any) -> bool:
    """Compute the last layer in fp32: in bf16 rewards from 4 to 8 are multiples of 1/32, and two that are close become the same.
    Returns whether that changes anything."""
    within = set(model.base_model.modules())
    heads = [
        each for each in model.modules() if type(each) is nn.Linear and each.out_features == 1 and each not in within
    ]
    if len(heads) != 1 or heads[0].weight.dtype not in HALF:
        return False
    heads[0].float()
    heads[0].register_forward_pre_hook(lambda _, given: (given[0].float(), *given[1:]))
    return True


@torch.inference_mode()
def rewards_of(model: Any, rows: Sequence[Row]) -> list[float]:
    """The reward of each row, in the order given. Batches hold rows of similar length, the longest first."""
    found = [0.0] * len(rows)
    pad = model.config.get_text_config(decoder=True).pad_token_id
    typed = "token_type_ids" in inspect.signature(model.forward).parameters
    for part in _batches(rows, 1 if pad is None else ROWS):
        width = len(rows[part[0]].ids)

        def padded(values: Sequence[list[int]], fill: int, width: int = width) -> torch.Tensor:
            return torch.tensor([each + [fill] * (width - len(each)) for each in values], device=model.device)

        given = {
            "input_ids": padded([rows[i].ids for i in part], pad or 0),
            "attention_mask": padded([[1] * len(rows[i].ids) for i in part], 0),
        }
        if typed:
            given["token_type_ids"] = padded([rows[i].types or [0] * len(rows[i].ids) for i in part], 0)
        for i, value in zip(part, model(**given).logits[:, 0].float().tolist(), strict=True):
            found[i] = value
    return found


def _batches(rows: Sequence[Row], most: int) -> Iterator[list[int]]:
    """Indices of the rows that are computed together."""
    part: list[int] = []
    for i in sorted(range(len(rows)), key=lambda i: -len(rows[i].ids)):
        if part and (len(part) == most or len(rows[part[0]].ids) * (len(part) + 1) > TOKENS):
            yield part
            part = []
        part.append(i)
    if part:
        yield part
