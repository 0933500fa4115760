"""Lists of objects within a row, whose fields are watched like columns."""

from __future__ import annotations

from gramr2.data.fields import Fields
from gramr2.messages import BadRowError


def items_of(value: object, name: str) -> list[tuple[str, Fields]]:
    """Two or more objects, each with its place for messages.

    Raises:
        BadRowError: it is not a list of two or more objects.
    """
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(each, dict) for each in value):
        raise BadRowError(f"{name} must be a list of two or more objects")
    return [(f"{name}[{i}]", Fields(each)) for i, each in enumerate(value)]
