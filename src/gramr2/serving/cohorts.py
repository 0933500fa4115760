"""Groups whose members come in requests of their own: each waits until all have come or its time is up, and then the group is
rewarded at once. Everything here happens in the event loop, so there is nothing to lock.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from gramr2.comparison import Message
from gramr2.errors import ConfigError, DataError, GramrError
from gramr2.judging.records import UNDECIDED
from gramr2.rewards.groups import Group, Rewards
from gramr2.serving.errors import BusyError, ClosedGroupError, GoneError, LateError
from gramr2.serving.visit import Visit

REMEMBERED = 4096
"""names of groups that are closed"""
FORGOTTEN = 600.0
"""seconds after which such a name may be used again"""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the members of a group must agree on."""

    size: int
    prompt: tuple[Message, ...]
    budget: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """What a member gets: its reward, or the reason why there is none, and how many were rewarded together."""

    reward: float | None
    reason: str | None
    arrived: int


@dataclass(eq=False)
class _Member:
    text: str
    deadline: float
    share: asyncio.Future[Share]


@dataclass(eq=False)
class _Cohort:
    name: str
    terms: Terms
    closes: float
    members: list[_Member] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    visit: Visit = field(default_factory=Visit)
    """leaves when all members have"""


Judging = Callable[[Group, Terms, float, Visit], Awaitable[Rewards]]
"""Rewards a group by a deadline, for a visit."""


class Cohorts:
    """The groups of a server.

    Args:
        judging: rewards a group.
        most: members that may wait at the same time; a group that is open has a place for each of its members.
    """

    def __init__(self, judging: Judging, most: int) -> None:
        self._judging, self._most = judging, most
        self._open: dict[str, _Cohort] = {}
        self._closed: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Members that wait for others."""
        return sum(len(each.members) for each in self._open.values())

    async def join(self, name: str, terms: Terms, text: str, wait: float, deadline: float, visit: Visit) -> Share:
        """Be one of a group, and wait for its rewards.

        Args:
            name: of the group.
            terms: those of all its members.
            text: the completion.
            wait: seconds from now after which the group is closed.
            deadline: on the clock of ``time.monotonic``.
            visit: the request; when its client hangs up, the group waits for another in its place.

        Raises:
            ClosedGroupError: the group is closed.
            DataError: the terms are not those of the group.
            ConfigError: no such group can wait here.
            BusyError: too many wait already, or there is no room in the queue.
            LateError: there is no reward by the deadline.
            GoneError: the client has hung up.
        """
        now = time.monotonic()
        cohort = self._cohort(name, terms, now + wait)
        loop = asyncio.get_running_loop()
        member = _Member(text, deadline, loop.create_future())
        cohort.members.append(member)

        def gone() -> None:
            loop.call_soon_threadsafe(self._leave, cohort, member, GoneError())

        visit.on_leave(gone)
        if len(cohort.members) >= terms.size:
            self._close(cohort)
        elif cohort.timer is None or now + wait < cohort.closes:
            if cohort.timer is not None:
                cohort.timer.cancel()
            cohort.closes = now + wait
            cohort.timer = loop.call_later(wait, self._close, cohort)
        late = loop.call_later(max(0.0, deadline - now), self._leave, cohort, member, LateError())
        try:
            return await member.share
        finally:
            late.cancel()
            self._leave(cohort, member, GoneError())  # where this task was cancelled

    def _cohort(self, name: str, terms: Terms, closes: float) -> _Cohort:
        self._forget()
        if name in self._closed:
            _, arrived = self._closed[name]
            raise ClosedGroupError(
                f"the group {name!r} is closed: it was rewarded when {arrived} of its completions had come: give each group a "
                "name of its own, or a longer wait"
            )
        found = self._open.get(name)
        if found is None:
            if terms.size > self._most:
                raise ConfigError(
                    f"a group of {terms.size} cannot wait here, since {self._most} requests may wait at the same time: raise "
                    "gramr2 serve --requests to twice the completions of a rollout"
                )
            if sum(each.terms.size for each in self._open.values()) + terms.size > self._most:
                raise BusyError(1.0)
            found = self._open[name] = _Cohort(name, terms, closes)
        elif found.terms != terms:
            different = [each for each in Terms.__slots__ if getattr(found.terms, each) != getattr(terms, each)]
            raise DataError(f"the group {name!r} was opened with another {different[0]}: its members must agree on it")
        return found

    def _leave(self, cohort: _Cohort, member: _Member, error: GramrError) -> None:
        """One goes without a reward; nothing happens to one that has it."""
        if member in cohort.members:
            cohort.members.remove(member)
        if not member.share.done():
            member.share.set_exception(error)
        if not cohort.members:
            cohort.visit.leave()
            if self._open.get(cohort.name) is cohort:
                self._end(cohort)

    def _end(self, cohort: _Cohort) -> None:
        del self._open[cohort.name]
        if cohort.timer is not None:
            cohort.timer.cancel()

    def _close(self, cohort: _Cohort) -> None:
        """Take no more members, and have the group rewarded."""
        self._end(cohort)
        self._closed[cohort.name] = (time.monotonic(), len(cohort.members))
        task = asyncio.get_running_loop().create_task(self._reward(cohort))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget(self) -> None:
        past = time.monotonic() - FORGOTTEN
        while self._closed and (len(self._closed) > REMEMBERED or next(iter(self._closed.values()))[0] < past):
            self._closed.popitem(last=False)

    async def _reward(self, cohort: _Cohort) -> None:
        # Who came first must not matter.
        members = sorted(cohort.members, key=lambda each: each.text)
        arrived, size = len(members), cohort.terms.size
        if arrived < 2:
            alone = f"no other of the group's {size} completions came in time"
            self._give(cohort, members, [Share(None, alone, arrived)] * arrived)
            return
        group = Group(cohort.terms.prompt, tuple(each.text for each in members))
        try:
            rewards = await self._judging(group, cohort.terms, max(each.deadline for each in members), cohort.visit)
        except Exception as error:  # noqa: BLE001  # whatever it is, each member's own request must answer for it
            # The same group may be sent again.
            self._closed.pop(cohort.name, None)
            for each in members:
                if not each.share.done():
                    each.share.set_exception(error)
            return
        self._give(cohort, members, [Share(each, UNDECIDED if each is None else None, arrived) for each in rewards])

    def _give(self, cohort: _Cohort, members: Sequence[_Member], shares: Sequence[Share]) -> None:
        for member, share in zip(members, shares, strict=True):
            with suppress(asyncio.InvalidStateError):
                member.share.set_result(share)
