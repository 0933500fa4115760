"""Edits that should not win a comparison, to see whether a judge falls for them: one file each, with attacks as constants."""

from __future__ import annotations

from collections.abc import Sequence

from gramr2 import registry
from gramr2.errors import ConfigError
from gramr2.evaluation.attacks.base import Attack
from gramr2.text import hint


def attacks() -> dict[str, Attack]:
    """Every attack by its name, in the order of the tables."""
    found = registry.instances("attacks", Attack)
    return {each.name: each for each in sorted(found, key=lambda each: (each.place, each.name))}


def chosen(names: Sequence[str] | None) -> list[Attack]:
    """The attacks of these names in the order of the tables; all of them without names.

    Raises:
        ConfigError: a name is not one of an attack, or there is none among ``names``.
    """
    known = attacks()
    if names is None:
        return list(known.values())
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        asked = f"{unknown[0]!r}{hint(unknown[0], known)}" if unknown else "''"
        raise ConfigError(f"there is no attack {asked}: take some of {', '.join(known)}")
    return [each for name, each in known.items() if name in names]
