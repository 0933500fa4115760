"""The backbone and how it is fine-tuned."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from gramr2.config.section import Section


class ModelConfig(Section):
    """A pretrained model. A plain string in YAML is its ``name``."""

    name: str
    """a local folder, a hub id, a .gguf file, or a named model (``gramr2 models list``)"""
    revision: str | None = None
    """revision of a hub model"""
    backend: Literal["transformers", "vllm"] = "transformers"
    """what judges with the model; training, hidden states and baselines always use transformers. ``vllm`` pays off on a GPU
    (docs/judging.md)"""
    dtype: Literal["auto", "fast", "float32", "bfloat16", "float16"] = "auto"
    """precision of inference; auto is fp32 on a CPU and bf16 on a GPU; fast is auto, but bf16 too on a CPU that multiplies it in
    tiles (AMX), where it is the faster one and votes may depend on the batch"""
    device: str = "auto"
    """auto, cpu, cuda or mps; one of several GPUs is chosen with CUDA_VISIBLE_DEVICES"""
    trust_remote_code: bool = False
    """run Python code that comes with the model"""
    chat_template_options: dict[str, Any] = Field(default_factory=dict)
    """variables for the chat template, such as enable_thinking: false"""

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


SMALL_MODEL = 1_000_000_000
"""number of parameters below which the default learning rates are those that were measured on a model of 135M"""


class LoraConfig(Section):
    """Low-rank adaptation; the adapter is merged into the saved judge."""

    rank: int = Field(default=16, gt=0)
    """rank of the update"""
    alpha: int = Field(default=32, gt=0)
    """scale; the update is multiplied by alpha / rank"""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """dropout on the adapter's input"""


class EarlyStopConfig(Section):
    """Stop when the loss on a held-out part no longer falls, and keep the weights of the best epoch."""

    share: float = Field(default=0.15, gt=0, lt=1)
    """share of the training comparisons, in whole prompts, that is held out and not trained on"""
    patience: int = Field(default=2, ge=1)
    """epochs without a lower held-out loss after which training stops"""
    min_comparisons: int = Field(default=8, ge=1)
    """with fewer held out, their loss is too noisy: then all comparisons are trained on for all ``epochs``"""


class VerdictConfig(Section):
    """The verdict's own loss, in addition to the language-model loss on the answer.

    In the answer the verdict is one token among fifty, and after a rationale it copies a conclusion, so that its
    probabilities are 0 or 1. This loss trains the label's distribution itself, in both orders of a comparison at once, and
    also *direct*, at the end of a prompt that asks for no rationale.
    """

    weight: float = Field(default=1.0, ge=0)
    """weight of this loss; the answer's is 1. With 0 the verdict is trained like any other token, and comparisons with a
    rationale are not trained in the direct form as well"""
    symmetric: bool = True
    """one loss on the two orders together (A and B swapped in the second, averaged in log space), which a position bias
    cannot lower, plus half of each order's own loss; false: each order's own loss alone"""
    format: float = Field(default=0.1, ge=0)
    """weight of the language-model loss on a direct answer. The label is trained by the loss above, so this one teaches the
    tags around it; at 1 the tags, wrong at first, drown the label's gradient"""
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    """share of the target spread evenly over the three labels"""
    soft: bool = False
    """train pseudo-labels towards their calibrated probabilities instead of the label alone"""


class TrainingConfig(Section):
    """Supervised fine-tuning on rationale + verdict, through the trainer of transformers."""

    method: Literal["full", "lora"] = "full"
    """train all weights, or low-rank adapters on every linear layer"""
    lora: LoraConfig = Field(default_factory=LoraConfig)
    """settings for method: lora"""
    epochs: float = Field(default=3, gt=0)
    """passes over the data (3 in the same group's follow-up, MSRL)"""
    min_steps: int = Field(default=128, ge=0)
    """minimum number of optimiser steps; passes are added to reach it: SmolLM2-135M does not learn 128 labels in three
    classes in 64 steps (docs/experiments.md)"""
    learning_rate: float | None = Field(default=None, gt=0)
    """peak learning rate; for a model under a billion parameters the default is 5e-5 for all weights and 5e-4 for LoRA,
    above that 1e-5 (MSRL) and 2e-4"""
    batch_size: int = Field(default=4, gt=0)
    """comparisons per optimiser step, each with all of its orders and forms; small, because few labels give few steps
    (docs/experiments.md)"""
    micro_batch_size: int | None = Field(default=None, gt=0)
    """comparisons per forward pass; the default is batch_size, or each process's share of it if several train together,
    and fewer on a CPU if they would not fit its free memory (logged)"""
    soup: int = Field(default=1, ge=1)
    """trainings, alike but for the order of the data, whose weights are averaged (model soups, arXiv 2203.05482): as many times
    the cost"""
    verdict: VerdictConfig = Field(default_factory=VerdictConfig)
    """the verdict's own loss"""
    rationale_weight: float = Field(default=1.0, ge=0)
    """weight of the language-model loss on answers with a rationale; 0 trains the verdict alone"""
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    """share of the steps in which the learning rate rises (0.05 in MSRL)"""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW weight decay"""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """precision of the matrix products; the weights stay in fp32. auto is bf16 on a GPU that supports it, and on a CPU if a
    probe, run once per machine, finds it faster, the model is large enough to gain, and a step has the same loss in
    both (logged)"""
    orders: Literal["both", "hashed"] = "both"
    """train on each rationale in both orders, or in one chosen by hash (half the cost); direct verdicts always use both"""
    early_stop: EarlyStopConfig | None = None
    """off by default; if set, ``epochs`` is the maximum"""
    accelerate: str | None = None
    """an accelerate config (``accelerate config``, or examples/accelerate/): fine-tunings then run in the processes that it
    describes, with weights shared as it says (DDP, FSDP, DeepSpeed); by default they run in this process"""
    report_to: list[Literal["tensorboard", "trackio", "wandb"]] = Field(default_factory=list)
    """experiment trackers; TensorBoard's files go to ``rounds/N/tracking``"""

    def rate_for(self, parameters: int) -> float:
        """The peak learning rate for a model of this many parameters."""
        if self.learning_rate is not None:
            return self.learning_rate
        small = parameters < SMALL_MODEL
        return (5e-4 if small else 2e-4) if self.method == "lora" else (5e-5 if small else 1e-5)

    def epochs_for(self, examples: int) -> float:
        """Passes over this many comparisons: ``epochs``, or more if ``min_steps`` needs them."""
        return max(self.epochs, self.min_steps / math.ceil(examples / self.batch_size))

    @model_validator(mode="after")
    def _learns(self) -> TrainingConfig:
        if not self.rationale_weight and not self.verdict.weight:
            raise ValueError(
                "rationale_weight: 0 and verdict.weight: 0 leave nothing to learn from a rationale: raise one of the two"
            )
        return self

    @model_validator(mode="after")
    def _micro_divides(self) -> TrainingConfig:
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of micro_batch_size {self.micro_batch_size}"
            )
        return self
