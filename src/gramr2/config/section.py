"""The base of every section of a run file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


def would_be_copies(count: int, temperature: float, of: str = "votes", at: str = "temperature") -> str | None:
    """The error message for several samples at temperature 0, which would all be the same; None if there is no error."""
    if count < 2 or temperature > 0:
        return None
    return f"{count} {of} at {at} 0 would be identical: set {of}: 1 or a temperature above 0"


class Section(BaseModel):
    """A section of a run file: unknown keys are errors, values are immutable, and the text below a field documents it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
