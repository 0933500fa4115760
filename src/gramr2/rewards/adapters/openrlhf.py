"""The labels of OpenRLHF's rows (``--data.label_key``): what a completion is compared with, and the prompt for the judge.

A label is a reference, a list of them, or an object with ``reference`` or ``references``, and optionally the ``prompt`` as it was
before the policy's chat template.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gramr2.comparison import Message, as_messages
from gramr2.data.formats.base import shown_names
from gramr2.data.turns import BadRowError, read_prompt, read_references, read_text

_KEYS = {"prompt", "reference", "references"}


def read_label(label: Any, prompt: str) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """The prompt for the judge and the references that a label gives; a row without a label has an empty text or null.

    Args:
        label: of the row.
        prompt: as the policy was shown it; taken where the label has none.

    Raises:
        BadRowError: the label is something else.
    """
    if not isinstance(label, Mapping):
        label = {"references" if isinstance(label, list) else "reference": None if label == "" else label}
    if unknown := label.keys() - _KEYS:
        raise BadRowError(f"an object may have {', '.join(sorted(_KEYS))}, and not {shown_names(sorted(unknown))}")
    shown = label.get("prompt")
    references = read_references(label.get("reference"), label.get("references"), read_text)
    return as_messages(prompt) if shown is None else read_prompt(shown), references
