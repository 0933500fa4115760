"""What the playground shows of votes that are still being written: their rationales, in the numbers of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gramr2.comparison import Order
from gramr2.judging.template import JudgeTemplate
from gramr2.mentions import rename_mentions

_OPEN = re.compile(r"(?:<[^<>]{0,10}|(?<![0-9A-Za-z_])[0-9A-Za-z_]++)\Z")
"""the beginning of what may become a tag, or another word: “Response A” is not renamed where “Response After” follows"""


@dataclass
class Written:
    """The rationales of a comparison's votes as they grow.

    Args:
        template: the judge's, which knows what of a text is the rationale.
        numbers: those that the page calls the two responses by.
    """

    template: JudgeTemplate
    numbers: tuple[int, int]
    _sent: dict[tuple[Order, int], str] = field(default_factory=dict)

    def grown(self, order: Order, sample: int, text: str) -> Iterator[dict[str, Any]]:
        """What is new in a vote's rationale; nothing if the text so far adds nothing to it.

        Args:
            order: that the vote is shown.
            sample: its number in that order.
            text: all that it has written so far.
        """
        found = self.template.read(text, truncated=True)
        said = found.rationale or ""
        said = in_numbers(said if found.outcome.label else _OPEN.sub("", said).rstrip(), order, self.numbers)
        sent = self._sent.get((order, sample), "")
        if len(said) > len(sent) and said.startswith(sent):
            self._sent[order, sample] = said
            yield {"order": order.value, "sample": sample, "text": said[len(sent) :]}


def in_numbers(text: str, order: Order, numbers: tuple[int, int]) -> str:
    """A rationale that calls the responses by their numbers, whichever was shown first.

    Only mentions with a noun are renamed, “Response A” but not a lone “A”.
    """
    first, second = map(str, numbers if order is Order.AB else numbers[::-1])
    return rename_mentions(text, {"A": first, "B": second})


def row_in_numbers(row: dict[str, Any], numbers: tuple[int, int]) -> dict[str, Any]:
    """A row of ``gramr2 judge`` with its rationales in numbers."""

    def told(text: str | None, order: str | None) -> str | None:
        return text and in_numbers(text, Order(order or Order.AB), numbers)

    votes = [vote | {"rationale": told(vote["rationale"], vote["order"])} for vote in row["votes"]]
    return row | {"rationale": told(row["rationale"], row["rationale_order"]), "votes": votes}
