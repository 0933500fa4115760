"""Prompts of the field by name: one file each, which defines it as a constant in gramr2's words; published ones are files."""

from __future__ import annotations

from gramr2 import registry
from gramr2.errors import ConfigError
from gramr2.judging.prompts.base import FieldPrompt, FieldTemplate
from gramr2.judging.prompts.files import is_file, read_prompt

__all__ = ["FieldPrompt", "FieldTemplate", "prompt", "prompts"]


def prompts() -> dict[str, FieldPrompt]:
    """Every prompt by its name, sorted."""
    found = registry.instances("prompts", FieldPrompt)
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def prompt(name: str) -> FieldPrompt:
    """A prompt by its name, or from a file: ``FILE``, or ``FILE#ENTRY`` if the file has several.

    Raises:
        ConfigError: there is none of that name, or the file is not a prompt.
    """
    known = prompts()
    if name in known:
        return known[name]
    if is_file(name):
        return read_prompt(name)
    raise ConfigError(
        f"there is no prompt {name!r}: take one of {', '.join(known)}, or a file (.yaml, .json, .jsonl, .txt, .py)"
    )
