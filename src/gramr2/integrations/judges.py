"""A judge that is loaded once for all who name it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import Any

from gramr2.errors import ConfigError, DataError, NoVerdictError
from gramr2.loading import LoadedJudge, load_judge
from gramr2.rewards.groups import Group, Rewards, WinRateReward

JUDGE = "GRAMR2_JUDGE"
"""environment variable with a judge's name"""
UNDECIDED = "GRAMR2_UNDECIDED"
"""environment variable with the reward of a completion that the judge does not decide"""
_LOADING = Lock()


class NoSiblingsError(DataError):
    """A completion's siblings failed or did not come. The judge was not asked, so no number for the undecided is used."""


def shared(judge: str, options: Mapping[str, Any]) -> LoadedJudge:
    """``gramr2.load_judge``, once for each name and options.

    Raises:
        ConfigError: an option is not known, or does not apply to this kind of model.
        ModelError: there is no such model, or it cannot be loaded.
    """
    with _LOADING:
        return _cached(judge, tuple(sorted(options.items())))


def named_in_environment(what: str) -> LoadedJudge:
    """The judge that ``$GRAMR2_JUDGE`` names, for trainers that pass no settings to a reward.

    Args:
        what: needs it, to be named in the error.

    Raises:
        ConfigError: the variable is not set.
        ModelError: there is no such model, or it cannot be loaded.
    """
    name = os.environ.get(JUDGE)
    if not name:
        raise ConfigError(f"{what} needs a judge: set {JUDGE}, such as to http://judge:8000")
    return shared(name, {})


def chances(judge: LoadedJudge, group: Group) -> Rewards:
    """The chance of each completion of a group to beat another one; None for what the judge does not decide."""
    [rewards] = WinRateReward(judge)([group])
    return rewards


def decided(reward: float | None, why: str) -> float:
    """The reward, for trainers that have no missing one; what the judge did not decide gets the number in ``$GRAMR2_UNDECIDED``.

    Args:
        reward: from 0 to 1, or None.
        why: a number has to be there, or what happens without one; ends the sentence.

    Raises:
        NoVerdictError: the judge did not decide, and the variable is not set.
        ConfigError: the variable is set to what is no number.
    """
    if reward is not None and math.isfinite(reward):
        return reward
    instead = os.environ.get(UNDECIDED)
    if not instead:
        raise NoVerdictError(f"the judge did not decide a sample, and {why}: set {UNDECIDED} to a number for this case")
    try:
        number = float(instead)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{UNDECIDED} is {instead!r}, which is no number")
    return number


def texts(value: object) -> list[str]:
    """The texts in a value that is a text or a list of them, without empty ones."""
    found = [value] if isinstance(value, str) else value
    return [each for each in found if isinstance(each, str) and each.strip()] if isinstance(found, list | tuple) else []


@cache
def _cached(judge: str, options: tuple[tuple[str, Any], ...]) -> LoadedJudge:
    return load_judge(judge, **dict(options))
