"""A judge that is loaded once for all who name it, and asked by any number of threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from threading import Lock
from typing import Any

from gramr2.comparison import SingleResponse
from gramr2.loading import LoadedJudge, load_judge
from gramr2.rewards.pointwise import Scored, against_references
from gramr2.rewards.shared import SharedModel

_LOADING = Lock()


class SharedJudge:
    """A loaded judge that several threads may ask; what waits at the same time is judged together."""

    def __init__(self, judge: LoadedJudge) -> None:
        self._judge, self._model = judge, SharedModel(judge.model)

    @property
    def id(self) -> str:
        """The judge's."""
        return self._model.id

    def chances(self, items: Sequence[SingleResponse], seed: int = 0) -> list[Scored]:
        """The chance that each response beats its own references: ``gramr2.rewards.pointwise.against_references``."""
        return against_references(self._model, items, seed=seed)

    def grade(self, item: SingleResponse, seed: int = 0) -> Scored:
        """A grade from 1 to 10.

        Raises:
            ConfigError: the judge only compares.
        """
        return self._model.alone(lambda: self._judge.score(item.prompt, item.response, seed=seed))


def shared(judge: str, options: Mapping[str, Any]) -> SharedJudge:
    """``gramr2.load_judge``, once for each name and options.

    Raises:
        ConfigError: an option is not known, or does not apply to this kind of model.
        ModelError: there is no such model, or it cannot be loaded.
    """
    with _LOADING:
        return _cached(judge, tuple(sorted(options.items())))


def texts(value: object) -> list[str]:
    """The texts in a value that is a text or a list of them, without empty ones."""
    found = [value] if isinstance(value, str) else value
    return [each for each in found if isinstance(each, str) and each.strip()] if isinstance(found, list | tuple) else []


@cache
def _cached(judge: str, options: tuple[tuple[str, Any], ...]) -> SharedJudge:
    return SharedJudge(load_judge(judge, **dict(options)))
