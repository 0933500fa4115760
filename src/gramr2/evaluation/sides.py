"""What judges are compared on: the items, or the sets of responses, that all of them have, and what each judge says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gramr2.errors import ConfigError
from gramr2.evaluation.log import Item, Log, group_of, prompt_text
from gramr2.evaluation.ranked import RankedSet, numbered
from gramr2.hashing import text_hash

T = TypeVar("T", Item, RankedSet)


@dataclass(frozen=True, slots=True)
class Side:
    """A judge on one thing. ``score`` counts a failure as the benchmark does, ``own`` is None for a failure; ``said`` is a label,
    or the responses in first place."""

    score: float
    own: float | None
    said: str | None
    order_flip: bool | None = None


@dataclass(frozen=True, slots=True)
class Common(Generic[T]):
    """The things that all judges have, in the order of the first one, and each judge's sides of them.

    ``left_out``: things that some do not have.
    """

    things: tuple[T, ...]
    sides: tuple[tuple[Side, ...], ...]
    left_out: int

    @property
    def groups(self) -> list[str]:
        """What things share that are alike."""
        return [group_of(each) for each in self.things]

    @property
    def categories(self) -> list[str]:
        """Of each thing."""
        return [each.category or "none" for each in self.things]


def common_items(logs: Sequence[Log]) -> Common[Item]:
    """The items of which all have the same text and label."""
    return _common([log.items for log in logs], _item, lambda item: [str(item.responses), item.expected])


def common_sets(logs: Sequence[Log]) -> Common[RankedSet]:
    """The sets of which all have the same texts and chosen responses.

    Raises:
        ConfigError: an evaluation is of a version that did not write the score of a set.
    """
    if old := next((log for log in logs if not all(each.scored for each in log.sets)), None):
        raise ConfigError(f"{old.path} does not have the scores of its sets: remove the folder and evaluate again")
    return _common([log.sets for log in logs], _ranked, lambda each: [str(each.responses), str(each.chosen)])


def _common(logs: Sequence[Sequence[T]], side: Callable[[T], Side], content: Callable[[T], list[str]]) -> Common[T]:
    def key(each: T) -> tuple[str, str]:
        return each.id, text_hash("\x00".join([prompt_text(each.prompt), *content(each)]), 12)

    tables = [{key(each): each for each in log} for log in logs]
    keys = [name for name in tables[0] if all(name in table for table in tables)]
    every = {name for table in tables for name in table}
    sides = tuple(tuple(side(table[name]) for name in keys) for table in tables)
    return Common(tuple(tables[0][name] for name in keys), sides, len(every) - len(keys))


def _item(item: Item) -> Side:
    own = None if item.right is None else float(item.right)
    return Side(own or 0.0, own, item.label, item.order_flip)


def _ranked(each: RankedSet) -> Side:
    said = None if each.tops is None else numbered(each.tops)
    return Side(each.score or 0.0, None if said is None else each.score, said)


def expected_of(thing: Item | RankedSet) -> str:
    """The right answer as a reader is told it."""
    return thing.expected if isinstance(thing, Item) else numbered(thing.chosen)
