"""The base of every section of a run file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


def would_be_copies(count: int, temperature: float, of: str = "votes", at: str = "temperature") -> str | None:
    """What is wrong with so many samples at this temperature: greedy ones are all the same. None if nothing is."""
    if count < 2 or temperature > 0:
        return None
    return f"{count} {of} at {at} 0 would be copies: set {of}: 1 or a temperature above 0"


class Section(BaseModel):
    """Unknown keys are errors, values do not change after the check, and the text below a field documents it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
