"""Numbers as people read them, in tables and reports alike."""

from __future__ import annotations

from typing import Any


def percent(value: float | None) -> str:
    """«61.3 %», or a dash for what was not measured."""
    return "–" if value is None else f"{100 * value:.1f} %"


def number(value: Any) -> str:
    """Three significant digits of a float, anything else as it is, or a dash for what was not measured."""
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
