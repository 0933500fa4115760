"""In which order comparisons are labelled: the most useful first, among them a random sample that measures without bias.

Each comparison belongs to the random part with the same chance, whatever the judge thinks of it. Labels of that part say how
often person and judge agree on the whole file; labels of the rest, which were chosen because the judge was unsure, do not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gramr2.comparison import Comparison, Order
from gramr2.randomness import fraction
from gramr2.web.labelling.opinions import Opinion

SHARE = 0.2
"""of the random part"""


class Pick(StrEnum):
    """Why a comparison is shown."""

    USEFUL = "useful"
    """the judge's orders contradict each other, or its margin is small"""
    RANDOM = "random"
    """by chance alone"""


@dataclass(frozen=True, slots=True)
class Item:
    """A comparison that is to be labelled."""

    comparison: Comparison
    pick: Pick
    opinion: Opinion | None = None


def sequence(
    comparisons: Sequence[Comparison], opinions: Mapping[str, Opinion], seed: int, share: float = SHARE
) -> list[Item]:
    """All comparisons in the order in which they are shown.

    Args:
        comparisons: their ids are unique.
        opinions: by id; if there are none, the order is random.
        seed: of the order and of the random part.
        share: chance of each comparison to belong to the random part.
    """

    def by_chance(part: Sequence[Comparison]) -> list[Comparison]:
        return sorted(part, key=lambda each: fraction(seed, "label", each.id))

    if not opinions:
        return [Item(each, Pick.RANDOM) for each in by_chance(comparisons)]
    drawn = {each.id for each in comparisons if fraction(seed, "drawn", each.id) < share}
    random = deque(by_chance([each for each in comparisons if each.id in drawn]))
    useful = deque(_useful(by_chance([each for each in comparisons if each.id not in drawn]), opinions))
    found: list[Item] = []
    while random or useful:
        # In no regular turn, so that nobody can tell which ones are random.
        turn = not useful or (random and fraction(seed, "turn", len(found)) < share)
        each = (random if turn else useful).popleft()
        found.append(Item(each, Pick.RANDOM if turn else Pick.USEFUL, opinions.get(each.id)))
    return found


def side(seed: int, annotator: str | None, name: str) -> Order:
    """The order in which an annotator sees the comparison of this id; ``AB`` has its first response on the left."""
    return Order.AB if fraction(seed, "side", annotator or "", name) < 0.5 else Order.BA


def _useful(comparisons: Sequence[Comparison], opinions: Mapping[str, Opinion]) -> list[Comparison]:
    """Contradictions first, then the smallest margins; a prompt occurs again only after all others have."""

    def doubt(each: Comparison) -> tuple[bool, float]:
        opinion = opinions.get(each.id)
        if opinion is None:
            return True, 1.0
        return not (opinion.order_flip or opinion.label is None), opinion.margin

    times: dict[str, int] = {}
    ranked = []
    for place, each in enumerate(sorted(comparisons, key=doubt)):
        times[each.prompt_text] = times.get(each.prompt_text, 0) + 1
        ranked.append((times[each.prompt_text], place, each))
    return [each for *_, each in sorted(ranked, key=lambda item: item[:2])]
