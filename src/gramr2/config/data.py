"""Where comparisons come from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gramr2.config.section import Section


class SourceConfig(Section):
    """One file or dataset. A plain string in YAML is its ``path``."""

    path: str
    """.jsonl, .json, .jsonl.gz, .parquet, a folder saved by datasets, a hub id, or starter:labeled|unlabeled|gold"""
    split: str = "train"
    """split of a hub or saved dataset"""
    part: tuple[float, float] | None = None
    """only comparisons whose prompt, by a hash of its text, falls into this interval of 0 to 1; parts that do not overlap share
    no prompt, so [0, 0.8] and [0.8, 1] of one file can be a seed and a gold set"""
    limit: int | None = Field(default=None, gt=0)
    """use only this many of the comparisons, drawn with the run's seed"""

    @field_validator("part")
    @classmethod
    def _stretch(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not 0 <= value[0] < value[1] <= 1:
            raise ValueError(f"needs two numbers from 0 to 1, the smaller one first, like [0, 0.8]; got {list(value)}")
        return value

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


def as_lists(value: Any, *keys: str) -> Any:
    """A raw section in which a single source under any of the keys is wrapped in a list."""
    if not isinstance(value, dict):
        return value
    return {k: [v] if k in keys and isinstance(v, str | dict) else v for k, v in value.items()}


class DataConfig(Section):
    """What the run learns from and is measured on."""

    seed: list[SourceConfig] = Field(min_length=1)
    """labelled comparisons that initialise the judge"""
    pool: list[SourceConfig] = Field(default_factory=list)
    """unlabelled comparisons; labels in them are ignored"""
    gold: list[SourceConfig] = Field(min_length=1)
    """labelled comparisons to measure every judge on; never trained on"""
    held_out_share: float = Field(default=0.15, ge=0, lt=1)
    """share of the seed that is not trained on but used to calibrate the judge's confidence; fewer than 16 comparisons are too
    few for that and are not held out"""
    hold_out: Literal["calibrated", "always"] = "calibrated"
    """hold that part out only if a confidence filter calibrates, or always, so that runs with and without one learn from the
    same comparisons"""
    on_bad_row: Literal["fail", "skip"] = "fail"
    """what to do with a row that is not a comparison: stop the run, or skip and count it"""
    aggregate: Literal["none", "majority", "soft"] = "none"
    """several labels of one comparison: every row by itself, one row with the label that most have, or that row with the shares
    of the labels as its target (``training.verdict.soft``)"""
    on_conflict: Literal["accept", "drop", "refuse"] = "accept"
    """what to do with labelled rows of one comparison whose labels differ, where they are not aggregated"""
    max_prompt_tokens: int | None = Field(default=None, gt=0)
    """budget of a rendered prompt; the default is what the model's context leaves"""
    on_overlong: Literal["refuse", "drop"] = "refuse"
    """what to do with a comparison over the budget; text is never cut"""

    @model_validator(mode="before")
    @classmethod
    def _single_source(cls, value: Any) -> Any:
        return as_lists(value, "seed", "pool", "gold")
