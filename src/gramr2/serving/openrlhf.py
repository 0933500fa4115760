"""OpenRLHF's request for remote rewards: its samples, and what each completion is compared with.

OpenRLHF (0.11) sends one completion at a time, so its siblings are not there to compare it with. But it also sends the row's
label, which here gives the reference (``gramr2.rewards.adapters.openrlhf``).
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gramr2.comparison import Comparison, Message, SingleResponse
from gramr2.data.turns import BadRowError
from gramr2.errors import DataError
from gramr2.judging.preference import PreferenceModel
from gramr2.judging.records import UNDECIDED
from gramr2.rewards.adapters.openrlhf import read_label
from gramr2.rewards.groups import Group, WinRateReward
from gramr2.rewards.pointwise import against_references, comparisons_against
from gramr2.wire import RewardRequest

log = logging.getLogger(__name__)

ALONE = "its label has no reference, and no other such completion of the prompt is in the request"
_LIKE_AN_END = re.compile(r"(?:<[^<>\s]{1,40}>|\[[^\[\]\s]{1,40}\])(?=\s*\Z)")
_MOST_TOLD = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """A completion, the prompt that the judge is shown, and the references, if its label has any.

    ``group`` is the prompt as it was shown to the policy.
    """

    group: str
    prompt: tuple[Message, ...]
    completion: str
    references: tuple[str, ...]

    @property
    def item(self) -> SingleResponse:
        """The item to score; its id is a digest of its content, so that its votes do not depend on the rest of the request."""
        name = Group(self.prompt, (self.completion, *self.references)).id
        return SingleResponse(name, self.prompt, self.completion, self.references)


class EndTokens:
    """Texts that end a policy's completions; they are removed, or they would tell the judge which text is the policy's.

    Only the given texts are removed, because a response may end in such a text of its own. Other texts that look like end
    tokens are logged, each once, up to eight of them.
    """

    def __init__(self, tokens: Sequence[str] = ()) -> None:
        self._tokens = sorted(filter(None, tokens), key=len, reverse=True)
        self._told: set[str] = set()

    def cut(self, completion: str) -> str:
        """The completion without its end token."""
        for token in self._tokens:
            if completion.endswith(token):
                return completion.removesuffix(token)
        found = _LIKE_AN_END.search(completion)
        if found and found[0] not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(found[0])
            log.warning(
                "a completion ends in %s: if that is the policy's end token, give --end-token '%s', otherwise the judge sees "
                "whose text it is",
                found[0],
                found[0],
            )
        return completion


def samples(body: RewardRequest, ends: EndTokens) -> list[Sample]:
    """The samples of a request, in its order.

    Raises:
        DataError: queries, prompts and labels do not match, or a label cannot be used.
    """
    n = len(body.query)
    for name, values in (("prompts", body.prompts), ("labels", body.labels)):
        if values is not None and len(values) != n:
            raise DataError(f"there are {n} queries and {len(values)} {name}: there must be one for each query")
    labels = body.labels or [None] * n
    return [
        _sample(place, ends, *each) for place, each in enumerate(zip(body.query, body.prompts, labels, strict=True))
    ]


@dataclass(frozen=True, slots=True)
class RewardPlan:
    """How the samples of a request are rewarded.

    ``against`` are the items that are scored against references, by the position of their sample; ``groups`` are the positions
    of siblings without references, two or more per prompt, and their group.
    """

    size: int
    against: dict[int, SingleResponse]
    groups: list[tuple[list[int], Group]]

    @classmethod
    def of(cls, asked: Sequence[Sample]) -> RewardPlan:
        """The plan for a request's samples."""
        against = {place: each.item for place, each in enumerate(asked) if each.references}
        members: dict[tuple[str, tuple[Message, ...]], list[int]] = {}
        for place, each in enumerate(asked):
            if place not in against:
                members.setdefault((each.group, each.prompt), []).append(place)
        groups = [
            (places, Group(prompt, tuple(asked[place].completion for place in places)))
            for (_, prompt), places in members.items()
            if len(places) > 1
        ]
        return cls(len(asked), against, groups)

    @property
    def items(self) -> list[SingleResponse]:
        """What is scored against references, each once."""
        return list({item.id: item for item in self.against.values()}.values())

    @property
    def comparisons(self) -> int:
        """Number of comparisons: one for each reference, and one for each pair of siblings with different texts."""
        distinct = (len(set(group.completions)) for _, group in self.groups)
        return sum(len(item.references) for item in self.items) + sum(n * (n - 1) // 2 for n in distinct)

    def longest(self) -> list[Comparison]:
        """Comparisons that must all fit the judge's context: every one with a reference, and the longest of each group."""
        pairs = [pair for item in self.items for pair in comparisons_against(item, item.references)]
        for _, group in self.groups:
            texts = sorted(set(group.completions), key=lambda text: (len(text), text))[-2:]
            pairs += [Comparison(group.id, group.prompt, (texts[0], texts[-1]))]
        return pairs

    def rewards(self, judge: PreferenceModel) -> tuple[list[float | None], list[str | None]]:
        """The chance that each completion beats its references, or without any its siblings; if there is none, the reason."""
        values: list[float | None] = [None] * self.size
        reasons: list[str | None] = [ALONE] * self.size
        scored = {each.id: each for each in against_references(judge, self.items)}
        for place, item in self.against.items():
            values[place], reasons[place] = scored[item.id].score, scored[item.id].reason
        won = WinRateReward(judge)([group for _, group in self.groups])
        for (places, _), shares in zip(self.groups, won, strict=True):
            for place, value in zip(places, shares, strict=True):
                values[place], reasons[place] = value, UNDECIDED if value is None else None
        return values, reasons


def _sample(place: int, ends: EndTokens, query: str, prompt: str, label: Any) -> Sample:
    completion = _after(query, prompt)
    if completion is None:
        raise DataError(f"query {place} does not begin with its prompt, so its completion cannot be separated from it")
    try:
        shown, references = read_label(label, prompt)
    except BadRowError as error:
        raise DataError(f"label {place}: {error}") from error
    return Sample(prompt, shown, ends.cut(completion), references)


def _after(query: str, prompt: str) -> str | None:
    """The query without the prompt, which some tokenizers return with other white space, or with its accents composed."""
    if query.startswith(prompt):
        return query[len(prompt) :]
    for form in (prompt, unicodedata.normalize("NFC", prompt)):
        place = 0
        for letter in "".join(form.split()):
            while place < len(query) and query[place].isspace():
                place += 1
            if not query.startswith(letter, place):
                break
            place += 1
        else:
            return query[place:].removeprefix(form[len(form.rstrip()) :])
    return None
