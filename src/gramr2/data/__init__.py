"""Loading comparisons: formats, bad rows, parts, overlap. No torch in here."""

from gramr2.data.rows import read_row
from gramr2.data.sets import load_responses, load_sets
from gramr2.data.sources import Loaded, LoadReport, OnBadRow, load, load_labeled, load_unlabeled, placed, watching
from gramr2.data.split import (
    in_part,
    near_duplicates,
    overlap,
    refuse_leaks,
    similarity,
    split_by_prompt,
    subset,
    whole_prompts,
)

__all__ = [
    "LoadReport",
    "Loaded",
    "OnBadRow",
    "in_part",
    "load",
    "load_labeled",
    "load_responses",
    "load_sets",
    "load_unlabeled",
    "near_duplicates",
    "overlap",
    "placed",
    "read_row",
    "refuse_leaks",
    "similarity",
    "split_by_prompt",
    "subset",
    "watching",
    "whole_prompts",
]
