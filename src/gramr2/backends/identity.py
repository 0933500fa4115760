"""What a model in this process is called in journals: everything in its files that decides its answers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from gramr2.backends.chat_template import mark_of
from gramr2.backends.encoding import Encoder
from gramr2.backends.registry import fingerprint

FP32_LABELS = "+labels-fp32"
"""behind the name of a model in bf16 or fp16 whose label logits are those of fp32: earlier versions read rounded ones, and what
they kept is not to be found"""


def identity(folder: Path, encoder: Encoder, ends: Collection[int], adapter: Path | None = None) -> str:
    """Folder name and digest of the weights, and what later versions read otherwise than earlier ones.

    Args:
        folder: of the model.
        encoder: of its tokenizer.
        ends: tokens that end a turn, beside the tokenizer's special ones.
        adapter: folder of a LoRA adapter on the model, which determines the answers as much as the weights under it do.
    """
    name = fingerprint(folder) if adapter is None else f"{fingerprint(folder)}+{fingerprint(adapter)}"
    if ends:
        # Earlier versions did not end an answer at them: what those kept under the model's former id is not to be found.
        name += f"+ends-{'-'.join(map(str, sorted(ends)))}"
    if encoder.control.unflagged:
        # Earlier versions let a text become such a token: what those kept is not to be found.
        name += "+plain"
    name += mark_of(encoder.options)
    if encoder.marks:
        # Earlier versions let a space marker begin each content of a prompt, and what the template writes behind it.
        name += "+joined"
    return name
