"""What a benchmark is: where its rows are, what is asked in them, and its official score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from gramr2.data.textfiles import RawRow
from gramr2.errors import ConfigError
from gramr2.evaluation.benchmarks.columns import Place, Row, own_form
from gramr2.evaluation.benchmarks.failures import LINEAR, OnFailure, mean, means, pair_credit, top_credit
from gramr2.evaluation.benchmarks.items import Answer, Choice, Item, Pair, Placing, Verdict

Values = dict[str, float | None]
"""a score for each subset or section and for ``overall``, each from 0 to 1 unless the metric says otherwise; None where nothing
was scored"""


@dataclass(frozen=True, slots=True)
class Hub:
    """A part of a benchmark on the hub: ``owner/name``, a split and a configuration, and what the part is called if not by its
    split."""

    id: str
    split: str
    config: str | None = None
    part: str | None = None

    @property
    def label(self) -> str:
        """What the part is called."""
        return self.part or self.split


@dataclass(frozen=True, slots=True)
class Score:
    """An official score under one policy.

    Args:
        policy: what an answer without a verdict counts.
        values: see ``Values``.
        n: items that were asked.
        coverage: the share of answers that are verdicts: of a pair in each order, of a set of responses as a whole.
        ties: the share of verdicts that are ties, or of sets whose first place is shared.
        untold: pairs whose verdict in each order the judge does not tell, so that its common verdict stands for both.
    """

    policy: OnFailure
    values: Values
    n: int
    coverage: float
    ties: float
    untold: int


class Benchmark:
    """A public benchmark. The documentation's table is made of these lines.

    Args:
        name: how it is asked for.
        measures: what it measures.
        asks: how many items of what kind.
        metric: its official metric, and where that is written.
        layout: the columns that are read.
        verified: what the metric and the layout were checked against, and what could not be.
        licence: of the data.
        home: where to find it.
        hub: its parts on the hub; none where it must be opened from a local copy.
        policy: what the public score makes of an answer without a verdict.
        policies: all that the score can be given under.
        sections: the subsets that a complete copy has.
        skips: what the name of a file below an opened folder contains if it is something else, such as published results.
    """

    name: ClassVar[str]
    measures: ClassVar[str]
    asks: ClassVar[str]
    metric: ClassVar[str]
    layout: ClassVar[str]
    verified: ClassVar[str]
    licence: ClassVar[str]
    home: ClassVar[str]
    hub: ClassVar[tuple[Hub, ...]] = ()
    policy: ClassVar[OnFailure] = OnFailure.WRONG
    policies: ClassVar[tuple[OnFailure, ...]] = LINEAR
    sections: ClassVar[tuple[str, ...]] = ()
    skips: ClassVar[tuple[str, ...]] = ()

    def read(self, row: Row, place: Place) -> Iterable[Item]:
        """The items in a row of the published layout.

        Raises:
            BadRowError: it is not of that layout; the message says why.
        """
        raise NotImplementedError

    def own(self, row: Row, place: Place) -> Iterable[Item]:
        """The items in a row of gramr2's own form. Raises as ``read`` does."""
        return [own_form(row, place, self.name)]

    def is_own(self, row: Row) -> bool:
        """Whether a row is of gramr2's own form."""
        return isinstance(row.get("responses"), list) and row.get("prompt") is not None

    def joined(self, rows: Iterable[tuple[str, RawRow]]) -> Iterable[tuple[str, RawRow]]:
        """The rows of the whole source, each with its part, for a benchmark of which one row needs another."""
        return rows

    def gather(self, items: Sequence[Item]) -> Sequence[Item]:
        """The items of the whole source, for a benchmark whose items are spread over rows."""
        return items

    def section(self, item: Item) -> str:
        """Which of its sections an item belongs to."""
        return item.category or "none"

    def credits(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> list[float | None]:
        """What each item counts by itself, None if it is left out; the official score may be made of more than these."""
        return credits_of(items, answers, policy)

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        """The official score.

        Args:
            items: all or some of the benchmark's items.
            answers: one for each, ``Verdict`` for a pair and ``Placing`` for a choice.
            policy: one of ``policies``.
        """
        raise NotImplementedError

    def scores(self, items: Sequence[Item], answers: Sequence[Answer]) -> dict[OnFailure, Score]:
        """The official score under every policy that applies; that of ``policy`` is the public one.

        Raises:
            ConfigError: there is not an answer of the right kind for every item.
        """
        if len(items) != len(answers) or any(
            not isinstance(answer, Verdict if isinstance(item, Pair) else Placing)
            for item, answer in zip(items, answers, strict=False)
        ):
            raise ConfigError(
                f"{self.name}: {len(items)} items need as many answers, verdicts of pairs and placings of sets"
            )
        verdicts = [answer for answer in answers if isinstance(answer, Verdict)]
        said = [label for verdict in verdicts for label in verdict.orders]
        tops = [answer.tops for answer in answers if isinstance(answer, Placing)]
        asked = len(said) + len(tops)
        decided = sum(label is not None for label in said) + sum(top is not None for top in tops)
        tied = sum(label == "tie" for label in said) + sum(top is not None and len(top) > 1 for top in tops)
        untold = sum(not verdict.told for verdict in verdicts)
        return {
            policy: Score(
                policy,
                self.official(items, answers, policy),
                len(items),
                decided / asked if asked else 0.0,
                tied / decided if decided else 0.0,
                untold,
            )
            for policy in self.policies
        }


class Accuracies(Benchmark):
    """A benchmark whose score is a mean of credits: by section, and over all items or, with ``macro``, over sections."""

    macro: ClassVar[bool] = False

    def official(self, items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> Values:
        credits = self.credits(items, answers, policy)
        values = means(credits, [self.section(item) for item in items])
        overall = mean(values.values()) if self.macro else mean(credits)
        return {**values, "overall": overall}


def credits_of(items: Sequence[Item], answers: Sequence[Answer], policy: OnFailure) -> list[float | None]:
    """What each answer counts; see ``pair_credit`` and ``top_credit``."""
    found: list[float | None] = []
    for item, answer in zip(items, answers, strict=True):
        if isinstance(item, Pair) and isinstance(answer, Verdict):
            found.append(pair_credit(item, answer, policy))
        elif isinstance(item, Choice) and isinstance(answer, Placing):
            found.append(top_credit(item, answer, policy))
    return found
