"""Operations and bytes of a decoder-only transformer, from its shape alone.

One token costs 2 operations per weight forward and 4 more backward (Kaplan et al. 2020, arXiv 2001.08361, §2.1; Hoffmann et
al. 2022, arXiv 2203.15556, appendix F), and attention 4 · layers · attention width · context, on average over half of its own
sequence. Embeddings are looked up; the head is multiplied only where logits are wanted.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from gramr2.backends.loading import loading
from gramr2.errors import ModelError

FP32 = 4
MOMENTS = 2
"""of AdamW, per trained parameter, in fp32"""
LOGIT_COPIES = 3
"""logits in fp32, their log-softmax, and the gradient"""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the cost of a model depends on.

    Args:
        parameters: all weights.
        layers, hidden: depth and width.
        attention: query heads times head size.
        keys: key-value heads times head size.
        vocabulary: rows of the head.
        linear: input plus output widths of all linear layers, summed: LoRA's parameters per unit of rank.
    """

    parameters: int
    layers: int
    hidden: int
    attention: int
    keys: int
    vocabulary: int
    linear: int
    tied: bool = False

    @property
    def head(self) -> int:
        """Weights of the output head, the embedding if they are tied."""
        return self.vocabulary * self.hidden

    @property
    def body(self) -> int:
        """Weights that every token is multiplied with: all but embedding and head."""
        return self.parameters - (1 if self.tied else 2) * self.head

    def trained(self, rank: int | None) -> int:
        """Trained parameters: all, or those of adapters of this rank on every linear layer."""
        return self.parameters if rank is None else rank * self.linear

    def cache(self, tokens: float, itemsize: int) -> float:
        """Bytes of keys and values of so many tokens."""
        return 2 * self.layers * self.keys * itemsize * tokens

    @classmethod
    def of(cls, folder: Path) -> Shape:
        """The shape of a model folder, from its config and the headers of its weights; nothing is loaded.

        Raises:
            ModelError: the config does not state it in the usual names, or there are no weights.
        """
        with loading("the config", folder):
            raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config: dict[str, Any] = raw.get("text_config", raw)
        try:
            return cls.from_config(config, _parameters(folder), tied=_tied(raw, folder))
        except (KeyError, TypeError, ZeroDivisionError) as error:
            raise ModelError(
                f"{folder}/config.json does not state the model's shape ({error}): its cost is not known"
            ) from error

    @classmethod
    def from_config(cls, config: dict[str, Any], parameters: int, *, tied: bool) -> Shape:
        """The shape that a ``config.json`` states, with the number of parameters of its weights.

        Raises:
            KeyError: it lacks a number.
        """
        hidden, heads, layers = config["hidden_size"], config["num_attention_heads"], config["num_hidden_layers"]
        size = config.get("head_dim") or hidden // heads
        attention, keys = heads * size, (config.get("num_key_value_heads") or heads) * size
        inner = config["intermediate_size"]
        # q, k, v and o, then gate, up and down, as in every model of the Llama family.
        linear = layers * (2 * (hidden + attention) + 2 * (hidden + keys) + 3 * (hidden + inner))
        return cls(parameters, layers, hidden, attention, keys, config["vocab_size"], linear, tied)


def forward_flops(shape: Shape, tokens: float, squares: float, logits: float) -> float:
    """Operations of a forward pass.

    Args:
        tokens: tokens computed.
        squares: sum over them of twice the tokens that each attends to: the sum of squared lengths for whole sequences.
        logits: positions whose logits are computed.
    """
    return 2 * shape.body * tokens + 2 * shape.layers * shape.attention * squares + 2 * shape.head * logits


def training_flops(forward: float, *, adapters: bool, recompute: bool = False) -> float:
    """Operations of forward and backward pass. A frozen weight has no gradient of its own; recomputing adds a forward pass."""
    return forward * ((2 if adapters else 3) + recompute)


def judging_bytes(shape: Shape, itemsize: int, rows: float, tokens: float, *, packed: bool = False) -> float:
    """Memory while ``rows`` samples of ``tokens`` tokens are decoded: weights, a packed copy on a CPU, keys and values, logits in
    fp32. Samples that share a prompt need less."""
    return (
        shape.parameters * itemsize * (1 + packed)
        + shape.cache(rows * tokens, itemsize)
        + FP32 * rows * shape.vocabulary
    )


def training_bytes(shape: Shape, rank: int | None, activations: float, logits: float, *, bf16: bool = False) -> float:
    """Memory of a training step: weights in fp32, gradients and moments of what is trained, activations, logits.

    Args:
        rank: of adapters; None trains all weights.
        activations: bytes, see ``gramr2.training.arguments``.
        logits: positions of a pass whose logits are computed.
        bf16: products are computed in bf16, from a copy of the weights.
    """
    trained = shape.trained(rank)
    weights = (FP32 + 2 * bf16) * shape.parameters + (FP32 * trained if rank else 0)
    return weights + (1 + MOMENTS) * FP32 * trained + activations + LOGIT_COPIES * FP32 * logits * shape.vocabulary


def _tied(config: dict[str, Any], folder: Path) -> bool:
    """Whether the output layer has the embedding's weights: where the config is silent, as Gemma's is, if it has no others."""
    if "tie_word_embeddings" in config:
        return bool(config["tie_word_embeddings"])
    return not any("lm_head" in name for file in folder.glob("*.safetensors") for name in _header(file))


def _parameters(folder: Path) -> int:
    """Number of weights in a folder's safetensors, read from their headers."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{folder} has no .safetensors, so its number of parameters is not known")
    with loading("the weights", folder):
        return sum(_counted(file) for file in files)


def _counted(file: Path) -> int:
    return sum(prod(each["shape"]) for each in _header(file).values())


def _header(file: Path) -> dict[str, Any]:
    """The tensors that a file has, by name."""
    with file.open("rb") as handle:
        (size,) = struct.unpack("<Q", handle.read(8))
        header = json.loads(handle.read(size))
    return {name: each for name, each in header.items() if name != "__metadata__"}
