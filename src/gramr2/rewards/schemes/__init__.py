"""Which pairs of responses are compared, and in which order: one small file per scheme, chosen by its name."""

from __future__ import annotations

from gramr2.errors import ConfigError
from gramr2.rewards.schemes.base import Pair, Play, Scheme
from gramr2.rewards.schemes.budget import Budget
from gramr2.rewards.schemes.champion import Champion
from gramr2.rewards.schemes.knockout import Knockout
from gramr2.rewards.schemes.round_robin import RoundRobin
from gramr2.rewards.schemes.swiss import Swiss

SCHEMES: dict[str, type[Scheme]] = {scheme.name: scheme for scheme in (RoundRobin, Knockout, Champion, Swiss, Budget)}

__all__ = ["SCHEMES", "Budget", "Champion", "Knockout", "Pair", "Play", "RoundRobin", "Scheme", "Swiss", "scheme"]


def scheme(name: str, budget: int | None = None) -> Scheme:
    """A scheme by its name; ``budget`` is the most comparisons per set of responses, and belongs to the scheme ``budget``.

    Raises:
        ConfigError: there is none of that name, or the budget is missing or has no use.
    """
    if name not in SCHEMES:
        raise ConfigError(f"there is no scheme {name!r}: take one of {', '.join(SCHEMES)}")
    if name == Budget.name:
        if budget is None:
            raise ConfigError("the scheme budget needs to know how many comparisons: give --budget N")
        return Budget(budget)
    if budget is not None:
        raise ConfigError(
            f"the scheme {name} plays as many comparisons as it needs: leave --budget out or take --scheme budget"
        )
    return SCHEMES[name]()
