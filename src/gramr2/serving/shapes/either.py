"""Fields that take a text, an object or a list of them: chosen by what they look like, so that one error is told and not all."""

from __future__ import annotations

from typing import Any

from pydantic import Discriminator, Tag

_TEXT, _OBJECT, _LIST = "\0text", "\0object", "\0list"
OURS, THEIRS = "\0items", "\0texts"
"""for bodies of ``/v1/score``"""
KINDS = frozenset((_TEXT, _OBJECT, _LIST, OURS, THEIRS))
"""what pydantic puts into the place of an error; it is nothing that the client has sent"""
AS_TEXT, AS_OBJECT, AS_LIST = Tag(_TEXT), Tag(_OBJECT), Tag(_LIST)


def _kind(value: Any) -> str:
    return _LIST if isinstance(value, list) else _TEXT if isinstance(value, str | int | float | None) else _OBJECT


BY_KIND = Discriminator(_kind)
