"""Which pairs of responses are compared, and in which order: one small file per scheme, found by its name."""

from __future__ import annotations

from gramr2 import registry
from gramr2.errors import ConfigError
from gramr2.rewards.tournaments.base import Pair, Play, Tournament
from gramr2.rewards.tournaments.budget import Budget
from gramr2.rewards.tournaments.champion import Champion
from gramr2.rewards.tournaments.knockout import Knockout
from gramr2.rewards.tournaments.round_robin import RoundRobin
from gramr2.rewards.tournaments.swiss import Swiss
from gramr2.text import hint

TOURNAMENTS: dict[str, type[Tournament]] = {each.name: each for each in registry.subclasses("tournaments", Tournament)}

__all__ = [
    "TOURNAMENTS",
    "Budget",
    "Champion",
    "Knockout",
    "Pair",
    "Play",
    "RoundRobin",
    "Swiss",
    "Tournament",
    "tournament",
]


def tournament(name: str, budget: int | None = None) -> Tournament:
    """A scheme by its name; ``budget`` is the most comparisons per set of responses, for a scheme that takes one. A
    round-robin with a budget is the scheme ``budget``.

    Raises:
        ConfigError: there is none of that name, or the budget is missing or does not apply.
    """
    if name not in TOURNAMENTS:
        raise ConfigError(f"there is no scheme {name!r}{hint(name, TOURNAMENTS)}: take one of {', '.join(TOURNAMENTS)}")
    kind = Budget if name == RoundRobin.name and budget else TOURNAMENTS[name]
    if kind.takes_budget:
        if budget is None:
            raise ConfigError(f"the scheme {name} needs a number of comparisons: give --budget N")
        return kind.with_budget(budget)
    if budget is not None:
        raise ConfigError(
            f"the scheme {name} plays as many comparisons as it needs: leave --budget out or take --scheme budget"
        )
    return kind()
