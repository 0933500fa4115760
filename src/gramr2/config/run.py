"""A run, as one YAML file. Importable and checkable without torch.

A text below a field says what it does and, for a default, why it has that value; where the paper prints none (learning
rate, votes, thresholds), the source of the substitute is named.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gramr2.config.filters import ConfidenceFilter, ConsistencyFilter, FilterConfig, RationaleFilter


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values do not change after the check."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ModelConfig(Section):
    """The pretrained model the judge is made from."""

    name: str
    """a local folder, a hub id, a .gguf file, or a named model (``gramr2 models list``)"""
    revision: str | None = None
    """revision of a hub model"""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """precision of inference; auto is fp32 on a CPU and bf16 on a GPU"""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps"""
    trust_remote_code: bool = False
    """run Python code that comes with the model"""
    chat_template_options: dict[str, Any] = Field(default_factory=dict)
    """variables for the chat template, such as enable_thinking: false"""


class SourceConfig(Section):
    """One file or dataset. A plain string in YAML is its ``path``."""

    path: str
    """.jsonl, .json, .jsonl.gz, .parquet, a folder saved by datasets, a hub id, or starter:labeled|unlabeled|gold"""
    split: str = "train"
    """split of a hub or saved dataset"""
    limit: int | None = Field(default=None, gt=0)
    """take this many comparisons, drawn by the run's seed"""

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class DataConfig(Section):
    """What the run learns from and is measured on."""

    seed: list[SourceConfig] = Field(min_length=1)
    """labelled comparisons that initialise the judge"""
    pool: list[SourceConfig] = Field(default_factory=list)
    """unlabelled comparisons; labels in them are ignored"""
    gold: list[SourceConfig] = Field(min_length=1)
    """labelled comparisons to measure every judge on; never trained on"""
    on_bad_row: Literal["fail", "skip"] = "fail"
    """what a row that is not a comparison does: stop the run, or be counted and left out"""
    max_prompt_tokens: int | None = Field(default=None, gt=0)
    """budget of a rendered prompt; the default is what the model's context leaves"""
    on_overlong: Literal["refuse", "drop"] = "refuse"
    """what a comparison over the budget does; text is never cut"""

    @model_validator(mode="before")
    @classmethod
    def _single_source(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        parts = ("seed", "pool", "gold")
        return {k: [v] if k in parts and isinstance(v, str | dict) else v for k, v in value.items()}


class SamplingConfig(Section):
    """How comparisons are judged."""

    votes: int = Field(default=4, ge=1)
    """samples in each order (the paper votes over 16 at test time; 4 in each of two orders is its cheap start)"""
    orders: Literal["both", "first"] = "both"
    """judge both orders, or only the stored one"""
    temperature: float = Field(default=0.75, ge=0)
    """the authors' released inference script uses 0.75; 0 is greedy"""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """nucleus sampling"""
    max_new_tokens: int = Field(default=256, gt=0)
    """budget of the rationale"""
    guided: bool = True
    """write the verdict's tags for the model and sample among the labels only"""
    close_on_budget: bool = False
    """close a rationale that used up its budget and read the verdict; otherwise the vote counts as truncated"""

    @model_validator(mode="after")
    def _votes_differ(self) -> SamplingConfig:
        if self.votes > 1 and self.temperature == 0:
            raise ValueError(
                f"{self.votes} votes at temperature 0 would be copies: set votes: 1 or a temperature above 0"
            )
        if self.close_on_budget and not self.guided:
            raise ValueError("close_on_budget needs guided: true")
        return self


class EvaluationSampling(SamplingConfig):
    """How the gold set is judged: one greedy judgment in each order unless told otherwise."""

    votes: int = Field(default=1, ge=1)
    """samples in each order"""
    temperature: float = Field(default=0.0, ge=0)
    """greedy, so that two judges differ by their weights alone"""


class JudgeConfig(Section):
    """The judge's prompt and how it is sampled on the pool and on gold."""

    mode: Literal["reason", "label"] = "reason"
    """a rationale and then the verdict, or the verdict alone (the label-only baseline)"""
    principles: list[str] = Field(default_factory=list)
    """criteria, a sentence each, that go into the prompt"""
    pool: SamplingConfig = Field(default_factory=SamplingConfig)
    """sampling on unlabelled comparisons"""
    gold: EvaluationSampling = Field(default_factory=EvaluationSampling)
    """sampling on the gold set"""


class LoraConfig(Section):
    """Low-rank adaptation; the adapter is merged into the saved judge."""

    rank: int = Field(default=16, gt=0)
    """rank of the update"""
    alpha: int = Field(default=32, gt=0)
    """scale; the update is multiplied by alpha / rank"""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """dropout on the adapter's input"""


class TrainingConfig(Section):
    """Supervised fine-tuning on rationale + verdict, through TRL's SFTTrainer."""

    method: Literal["full", "lora"] = "full"
    """train all weights, or low-rank adapters on every linear layer"""
    lora: LoraConfig = Field(default_factory=LoraConfig)
    """settings for method: lora"""
    epochs: float = Field(default=3, gt=0)
    """passes over the data (3 in the same group's follow-up, MSRL)"""
    learning_rate: float = Field(default=1e-5, gt=0)
    """1e-5 in MSRL; small models and LoRA want more"""
    batch_size: int = Field(default=8, gt=0)
    """examples per optimiser step"""
    micro_batch_size: int | None = Field(default=None, gt=0)
    """examples per forward pass; the default is batch_size"""
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    """share of the steps with rising learning rate (0.05 in MSRL)"""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW weight decay"""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """of the matrix products; auto is bf16 on a GPU that has it, fp32 on a CPU, where bf16 is faster on some and slower on
    others (the log of any command that loads a model says what this one measured)"""
    orders: Literal["both", "hashed"] = "both"
    """show each example in both orders, or in one drawn by hash (half the cost)"""
    report_to: list[str] = Field(default_factory=list)
    """trackers of the trainer, such as tensorboard or wandb"""

    @model_validator(mode="after")
    def _micro_divides(self) -> TrainingConfig:
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of micro_batch_size {self.micro_batch_size}"
            )
        return self


class RunConfig(Section):
    """A whole run."""

    seed: int = 0
    """every order, sample and split is derived from it"""
    model: ModelConfig
    """the backbone"""
    data: DataConfig
    """seed, pool and gold"""
    judge: JudgeConfig = Field(default_factory=JudgeConfig)
    """prompt and sampling"""
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    """fine-tuning"""
    rounds: int = Field(default=1, ge=0)
    """self-training rounds; 0 trains on the seed alone"""
    init: Literal["backbone", "previous"] = "backbone"
    """where each round's training starts"""
    filters: tuple[FilterConfig, ...] = Field(
        default_factory=lambda: (ConfidenceFilter(), ConsistencyFilter(), RationaleFilter())
    )
    """applied in this order; the first that objects drops the comparison"""
    out: str | None = None
    """run folder; the default is runs/<name of the YAML file>"""

    @model_validator(mode="before")
    @classmethod
    def _model_name(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("model"), str):
            return {**value, "model": {"name": value["model"]}}
        return value

    @model_validator(mode="after")
    def _possible(self) -> RunConfig:
        if self.rounds and not self.data.pool:
            raise ValueError("rounds of self-training need data.pool: name unlabelled data or set rounds: 0")
        if self.judge.mode == "label" and any(f.kind == "rationale" for f in self.filters):
            raise ValueError("judge.mode: label writes no rationales, so remove the rationale filter")
        kinds = [f.kind for f in self.filters]
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"filters: each kind may stand once, got {', '.join(kinds)}")
        return self
