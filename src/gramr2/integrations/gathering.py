"""Completions that come one by one, in one event loop, and are rewarded together when all of their group have come."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from gramr2.comparison import Message
from gramr2.integrations.judges import NoSiblingsError
from gramr2.rewards.groups import Group, Rewards

log = logging.getLogger("gramr2")

REMEMBERED = 4096
"""completions whose rewards are kept for a request that comes again"""
FORGOTTEN = 180.0
"""seconds after which they are not; it may take a client 90 to find that its connection is dead, before it asks again"""

Place = tuple[Hashable, Hashable]
"""the number of a completion in its group, and what only the same request has again"""


@dataclass(eq=False)
class _Waiting:
    prompt: tuple[Message, ...]
    size: int
    wait: float | None
    rewards: asyncio.Future[dict[Place, float | None]]
    texts: dict[Place, str] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None
    until: float = math.inf
    """when its rewards are forgotten, on the clock of ``time.monotonic``"""

    @property
    def came(self) -> int:
        """Numbers that have come: a completion that was made once more has the number of the first."""
        return len({number for number, _ in self.texts})


class Gathering:
    """The groups that are not complete yet.

    Args:
        reward: rewards a group, in a thread; may raise, and then each of the group does.
    """

    def __init__(self, reward: Callable[[Group], Rewards]) -> None:
        self._reward = reward
        self._open: dict[Hashable, _Waiting] = {}
        self._closed: OrderedDict[tuple[Hashable, Place], _Waiting] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def join(
        self,
        key: Hashable,
        size: int,
        prompt: tuple[Message, ...],
        text: str,
        wait: float | None = None,
        place: Place | None = None,
    ) -> float | None:
        """The reward of one completion, when its siblings have come; None if the judge did not decide.

        Args:
            key: the same for all of a group; when the group is complete, it may be used for another.
            size: completions of the group.
            prompt: that of the group.
            text: the completion. Who came first does not matter, and copies share a reward.
            wait: seconds after the first completion at which the group is rewarded as it is; default: it waits for all.
            place: that of the completion; who comes again with it gets the same reward, also a while after the group was
                complete. Default: one of its own.

        Raises:
            NoSiblingsError: no other has come in time.
        """
        place = place or (object(), None)
        group = self._remembered(key, place) or self._joined(key, size, prompt, text, wait, place)
        # Shielded: one that is cancelled must not take the rewards of the others along.
        return (await asyncio.shield(group.rewards))[place]

    def fail(self, key: Hashable, error: Exception) -> None:
        """Give up a group that waits, since one of it will not come: each that waits raises the error.

        A group that is complete gets its rewards all the same.
        """
        if key in self._open:
            self._end(key).rewards.set_exception(error)

    def _joined(
        self, key: Hashable, size: int, prompt: tuple[Message, ...], text: str, wait: float | None, place: Place
    ) -> _Waiting:
        loop = asyncio.get_running_loop()
        group = self._open.get(key)
        if group is None:
            group = self._open[key] = _Waiting(prompt, size, wait, loop.create_future())
            if wait is not None:
                group.timer = loop.call_later(wait, self._close, key)
        group.texts[place] = text
        if group.came >= size:
            self._close(key)
        return group

    def _end(self, key: Hashable) -> _Waiting:
        group = self._open.pop(key)
        if group.timer is not None:
            group.timer.cancel()
        return group

    def _close(self, key: Hashable) -> None:
        group = self._end(key)
        if group.came < group.size:
            came = (group.came, group.size, group.wait)
            log.warning("%d of a group's %d completions came within %g s: it is rewarded without the others", *came)
        self._keep(key, group)
        task = asyncio.get_running_loop().create_task(self._give(key, group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _give(self, key: Hashable, group: _Waiting) -> None:
        texts = tuple(sorted(group.texts.values()))
        try:
            if len(texts) < 2:
                within = "" if group.wait is None else f" within {group.wait:g} s"
                raise NoSiblingsError(
                    f"no other of the group's {group.size} completions came{within}: there is nothing to compare it with"
                )
            rewards = await asyncio.to_thread(self._reward, Group(group.prompt, texts))
            found = dict(zip(texts, rewards, strict=True))
            group.rewards.set_result({place: found[text] for place, text in group.texts.items()})
        except Exception as error:  # noqa: BLE001  # whatever it is, each that waits must get it
            group.rewards.set_exception(error)
        group.until = time.monotonic() + FORGOTTEN
        self._keep(key, group)
        group.texts.clear()

    def _remembered(self, key: Hashable, place: Place) -> _Waiting | None:
        now = time.monotonic()
        while self._closed and next(iter(self._closed.values())).until < now:
            self._closed.popitem(last=False)
        group = self._closed.get((key, place))
        return group if group is not None and group.until >= now else None

    def _keep(self, key: Hashable, group: _Waiting) -> None:
        """Remember the rewards, as the newest, of those who can come again."""
        for place in (each for each in group.texts if each[1] is not None):
            self._closed[key, place] = group
            self._closed.move_to_end((key, place))
        while len(self._closed) > REMEMBERED:
            self._closed.popitem(last=False)
