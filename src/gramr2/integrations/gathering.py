"""Completions that come one by one, in one event loop, and are rewarded together when all of their group have come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from gramr2.comparison import Message
from gramr2.rewards.groups import Group, Rewards


@dataclass(eq=False)
class _Waiting:
    prompt: tuple[Message, ...]
    rewards: asyncio.Future[dict[str, float | None]]
    texts: list[str] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None


class Gathering:
    """The groups that are not complete yet.

    Args:
        reward: rewards a group, in a thread; may raise, and then each of the group does.
    """

    def __init__(self, reward: Callable[[Group], Rewards]) -> None:
        self._reward = reward
        self._open: dict[Hashable, _Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def join(
        self, key: Hashable, size: int, prompt: tuple[Message, ...], text: str, wait: float | None = None
    ) -> float | None:
        """The reward of one completion, when its siblings have come; None if the judge did not decide, or none has come.

        Args:
            key: the same for all of a group; when the group is complete, it may be used for another.
            size: completions of the group.
            prompt: that of the group.
            text: the completion. Who came first does not matter, and copies share a reward.
            wait: seconds after the first completion at which the group is rewarded as it is; default: it waits for all.
        """
        loop = asyncio.get_running_loop()
        group = self._open.get(key)
        if group is None:
            group = self._open[key] = _Waiting(prompt, loop.create_future())
            if wait is not None:
                group.timer = loop.call_later(wait, self._close, key)
        group.texts.append(text)
        if len(group.texts) >= size:
            self._close(key)
        # Shielded: one that is cancelled must not take the rewards of the others along.
        return (await asyncio.shield(group.rewards))[text]

    def _close(self, key: Hashable) -> None:
        group = self._open.pop(key)
        if group.timer is not None:
            group.timer.cancel()
        task = asyncio.get_running_loop().create_task(self._give(group))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _give(self, group: _Waiting) -> None:
        texts = tuple(sorted(group.texts))
        if len(texts) < 2:
            group.rewards.set_result(dict.fromkeys(texts))
            return
        try:
            rewards = await asyncio.to_thread(self._reward, Group(group.prompt, texts))
        except Exception as error:  # noqa: BLE001  # whatever it is, each that waits must get it
            group.rewards.set_exception(error)
            return
        group.rewards.set_result(dict(zip(texts, rewards, strict=True)))
