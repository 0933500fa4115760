"""Where comparisons come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gramr2.config.section import Section
from gramr2.text import hint

_TARGETS = """prompt system responses response label chosen rejected id rationale target category source group scores ranking
reference references annotator"""
TARGETS = frozenset(_TARGETS.split())
"""what a column can be mapped to: the columns of gramr2's own format"""

_TEXTS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
FILES = (*_TEXTS, *(f"{each}.gz" for each in _TEXTS), ".parquet")
"""endings of data files, in small letters"""


class Layout(Section):
    """How the rows of a source are to be read, where its columns do not say it by their names."""

    split: str | None = None
    """split of a hub or saved data set; needed if there are several"""
    columns: dict[str, str | list[str]] = Field(default_factory=dict)
    """which column is what: {prompt: q, responses: [a, b], label: pref}; several texts for prompt are joined"""
    label_map: dict[str, Literal["A", "B", "tie"]] = Field(default_factory=dict)
    """what the values of the label column mean: {left: A, right: B, same: tie}; yes and no need quotes, since YAML reads them as
    true and false"""
    ignore: list[str] = Field(default_factory=list)
    """columns, and fields of messages, that hold text the judge is not to see"""
    margin: float = Field(default=0, ge=0, allow_inf_nan=False)
    """scores or ranks that differ by at most this much are a tie"""
    only_unlabeled: bool = False
    """leave out the comparisons that have a label: the pool of a file whose labelled rows are the seed"""

    @field_validator("columns")
    @classmethod
    def _known_targets(cls, value: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        for target, names in value.items():
            if target not in TARGETS:
                raise ValueError(
                    f"{target!r} is no column of gramr2{hint(target, TARGETS)}; known are {', '.join(sorted(TARGETS))}"
                )
            if isinstance(names, list) and (not names or target not in ("prompt", "responses", "scores", "ranking")):
                raise ValueError(f"{target} takes one column, not a list")
            if target == "responses" and isinstance(names, list) and len(names) < 2:
                raise ValueError("responses takes two or more columns, or one that holds a list")
        return value

    @field_validator("label_map", mode="before")
    @classmethod
    def _as_texts(cls, value: Any) -> Any:
        return {label_key(key): each for key, each in value.items()} if isinstance(value, Mapping) else value

    @field_validator("ignore", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


def label_key(value: object) -> str:
    """How a label is looked up in a ``label_map``: YAML, CSV and JSON write 1, 1.0 and “1” for the same answer."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # Python refuses to write numbers of more than 4300 digits in decimals.
    return hex(value) if isinstance(value, int) and value.bit_length() > 14_000 else str(value).strip()


def beside(path: Path) -> str:
    """“ (did you mean …?)” for a file that there is not, from the data files of its folder; see ``gramr2.text.hint``."""
    try:
        names = [each.name for each in path.parent.iterdir() if each.name.lower().endswith(FILES)]
    except OSError:
        return ""
    return hint(path.name, names)


class SourceConfig(Layout):
    """One file or dataset. A plain string in YAML is its ``path``."""

    path: str
    """a file (.jsonl, .json, .csv, .tsv, also .gz; .parquet), a folder saved by datasets, a hub id (owner/name or
    owner/name@config), or starter:labeled|unlabeled|gold"""
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
        if isinstance(value, str):
            return {"path": value}
        if isinstance(value, dict) and value.get("split") == "train":
            path = str(value.get("path"))
            # Older run folders write this beside every source; a file has no splits.
            if path.lower().endswith(FILES) or (":" in path and not path.startswith("hub:")):
                return {**value, "split": None}
        return value


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
    aggregate: Literal["none", "majority", "soft", "dawid_skene"] = "none"
    """several labels of one comparison: every row by itself, one row with the label that most have, that row with the shares of
    the labels as its target (``training.verdict.soft``), or one row with the label that is most probable when every annotator's
    mistakes are estimated too (Dawid and Skene, 1979; needs a column ``annotator``)"""
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
