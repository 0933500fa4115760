"""What one look at an installation found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How grave it is."""

    OK = "ok"
    NOTE = "note"
    """something works less well, or is missing that not everybody needs"""
    PROBLEM = "problem"
    """a command will fail, or be far slower than it should"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``gramr2 doctor``; ``remedy`` says what to do, where there is something."""

    part: str
    state: State
    told: str
    remedy: str = ""


def ok(part: str, told: str) -> Finding:
    """Nothing to do."""
    return Finding(part, State.OK, told)


def note(part: str, told: str, remedy: str = "") -> Finding:
    """Worth knowing."""
    return Finding(part, State.NOTE, told, remedy)


def problem(part: str, told: str, remedy: str) -> Finding:
    """Has to be mended."""
    return Finding(part, State.PROBLEM, told, remedy)
