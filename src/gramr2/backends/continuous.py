"""Samples are decoded in a fixed number of slots: one that has ended makes room for the next at once.

A prompt's cache is kept until it has all its samples, so that votes that are asked for later need no second prefill, and all its
samples read it where it is: a slot holds only what a sample has written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from gramr2.backends.aloud import Heard
from gramr2.backends.base import Completion, Enough, GenerationRequest, stages
from gramr2.backends.label_logits import LabelLogits
from gramr2.backends.prefill import Prefilled
from gramr2.backends.recorded import Recording, Refined, Repeated
from gramr2.backends.sampling import Row, Stepper
from gramr2.backends.shared_attention import OwnLayer, Part, advance, part_of

BATCHES = 8
"""caches of prompts that may be in memory together; a batch of prompts has one or two"""
REFILL = 0.25
"""share of the slots that must be free before prompts are computed for them, since prompts are computed faster together"""
SHRINK = 0.75
"""share of the slots in use below which they become fewer, if nothing waits for one"""
TOGETHER = 0.125
"""share of the samples being written that must be known up to their verdicts before the rest of their texts is fed, together"""


@dataclass(eq=False)
class _Prompt:
    """A prefilled prompt, and the samples of it that are done."""

    index: int
    cache: Prefilled
    place: int
    done: dict[int, Completion] = field(default_factory=dict)


@dataclass(eq=False)
class _Group:
    """Requests that are decided together, and how many samples each has been asked for."""

    number: int
    members: Sequence[int]
    asked: int


class Slots:
    """The samples that are decoded together.

    Args:
        model: prepared by ``let_share``.
        count: of the slots.
        room: tokens that an answer may add.
        refined: makes of logits those that are read; ``LabelLogits.refined`` for the labels.
        recording: of steps, on a device where that is faster than to compute each.
    """

    def __init__(self, model: Any, count: int, room: int, refined: Refined, recording: Recording | None) -> None:
        self._model, self._refined = model, refined
        layers = model.config.get_text_config(decoder=True).num_hidden_layers
        self._own = [OwnLayer(count, room) for _ in range(layers)]
        self._repeated = Repeated(model, self._own, refined, recording) if recording else None
        self._left = False
        self._prompts: list[_Prompt | None] = [None] * count
        self._parts: list[Part] | None = None
        self.rows: list[Row | None] = [None] * count

    @property
    def free(self) -> int:
        """Number of empty slots."""
        return self.rows.count(None)

    @property
    def live(self) -> list[int]:
        """The slots in use."""
        return [i for i, row in enumerate(self.rows) if row is not None]

    def place(self, prompt: _Prompt, rows: Sequence[Row]) -> None:
        """Give a slot to each of a prompt's rows, which have a first token."""
        slots = [i for i, row in enumerate(self.rows) if row is None][: len(rows)]
        where = torch.tensor(slots, device=self._model.device)
        for layer in self._own:
            layer.clear(where)
        for slot, row in zip(slots, rows, strict=True):
            self.rows[slot], self._prompts[slot] = row, prompt
        self._parts = None

    def leave(self, slot: int) -> None:
        """Empty a slot."""
        self.rows[slot] = self._prompts[slot] = None
        self._left = True
        if not (self._repeated and self._repeated.repeats):
            self.let_go()

    def let_go(self) -> None:
        """Let go of the prompts of samples that have left. A recording goes on with them, which costs less than another one."""
        if self._left:
            self._parts, self._left = None, False

    @property
    def feeds_queued(self) -> bool:
        """Whether what is written on the model's behalf is fed at once. A recording has one token of every sample."""
        return self._repeated is None

    def feed_queued(self, slots: Sequence[int]) -> torch.Tensor:
        """Feed the last token of these rows and all that is queued behind it, as long in each; returns the logits behind it
        (rows, vocabulary)."""
        begins, first, fed = [], [], []
        for slot in slots:
            row, prompt = self.rows[slot], self._prompts[slot]
            assert row is not None and prompt is not None
            begins.append(prompt.cache.lengths[prompt.place])
            first.append(len(row.ids) - 1)
            row.ids.extend(row.queue)
            row.queue.clear()
            fed.append(row.ids[first[-1] :])
        device = self._model.device
        writing, tokens = torch.tensor(slots, device=device), torch.tensor(fed, device=device)
        columns = torch.tensor(first, device=device)[:, None] + torch.arange(tokens.shape[1], device=device)
        positions = columns + torch.tensor(begins, device=device)[:, None]
        for layer in self._own:
            layer.writing, layer.columns, layer.width = writing, columns, max(first) + tokens.shape[1]
        try:
            parts = self._grids(slots, range(len(slots)))
            return self._refined(advance(self._model, tokens, positions, self._own, parts))
        finally:
            for layer in self._own:
                layer.writing = None

    def advance(self, slots: Sequence[int]) -> torch.Tensor:
        """One token further: feeds the last token of every row; returns the logits of these slots (slots, vocabulary). The others
        may be fed the same token again later."""
        device = self._model.device
        if self._parts is None:
            self._parts, self._left = self._grids(self.live, self.live), False
            if self._repeated:
                self._repeated.forget()
        # What is in an empty slot is computed too, which costs less than to move the others.
        own = [0 if row is None else len(row.ids) - 1 for row in self.rows]
        begins = [0 if prompt is None else prompt.cache.lengths[prompt.place] for prompt in self._prompts]
        tokens = [0 if row is None else row.ids[-1] for row in self.rows]
        state = (tokens, [begin + column for begin, column in zip(begins, own, strict=True)], own)
        if self._repeated:
            logits = self._repeated.advance(state, self._parts)
        else:
            fed, positions, columns = torch.tensor(state, device=device)[..., None]
            for layer in self._own:
                layer.columns, layer.width = columns, max(own) + 1
            logits = self._refined(advance(self._model, fed, positions, self._own, self._parts))
        return logits if len(slots) == len(self.rows) else logits[torch.tensor(slots, device=device)]

    def shrink(self) -> None:
        """Keep only the slots in use."""
        kept = self.live
        where = torch.tensor(kept, device=self._model.device)
        for layer in self._own:
            layer.batch_select_indices(where)
        self.rows, self._prompts = [self.rows[i] for i in kept], [self._prompts[i] for i in kept]
        self._parts = None

    def _grids(self, slots: Sequence[int], samples: Sequence[int]) -> list[Part]:
        """One part for each cache of prompts, for slots that stand in these places."""
        parts: dict[int, tuple[Prefilled, list[int], list[int]]] = {}
        for slot, sample in zip(slots, samples, strict=True):
            prompt = self._prompts[slot]
            assert prompt is not None
            _, places, among = parts.setdefault(id(prompt.cache), (prompt.cache, [], []))
            places.append(prompt.place)
            among.append(sample)
        return [part_of(*each) for each in parts.values()]


class Slotted:
    """Requests on their way through the slots.

    Args:
        model: prepared by ``let_share``.
        stepper: chooses tokens.
        requests: all of them.
        groups: requests that are decided together, by their indices; each request is in one.
        enough: whether a group's samples so far suffice, so that the others need not be drawn; None to draw all.
        label_ids: of the labels of every request.
        label_logits: of the model.
        rows: most slots.
        waiting: prefills the next prompts that fit into so many slots at least; gives their caches with the indices of the
            requests in each, or None if there are no more.
        room: tokens that an answer may add.
        heard: told what each sample has written, after every token that it chose at least.
        recording: of steps; see ``gramr2.backends.recorded``.
    """

    def __init__(
        self,
        model: Any,
        stepper: Stepper,
        requests: Sequence[GenerationRequest],
        groups: Sequence[Sequence[int]],
        enough: Enough | None,
        label_ids: Callable[[GenerationRequest], dict[str, int]],
        label_logits: LabelLogits,
        rows: int,
        waiting: Iterator[list[tuple[Prefilled, list[int]]]],
        room: int,
        heard: Heard | None = None,
        recording: Recording | None = None,
    ) -> None:
        self._stepper, self._requests, self._enough, self._heard = stepper, requests, enough, heard
        self._label_ids, self._waiting = label_ids, waiting
        first = [len(each.seeds) if enough is None else stages(len(each.seeds))[0] for each in requests]
        self._groups = {
            i: group
            for group in (_Group(n, members, first[members[0]]) for n, members in enumerate(groups))
            for i in group.members
        }
        self._prompts: dict[int, _Prompt] = {}
        self._asks: deque[tuple[_Prompt, range]] = deque()
        self._ready: deque[tuple[int, list[Completion]]] = deque()
        self._more = True
        refined = partial(label_logits.refined, ids=tuple(label_ids(requests[0]).values()))
        self._slots = Slots(model, min(rows, sum(len(each.seeds) for each in requests)), room, refined, recording)

    def run(self) -> Iterator[tuple[int, list[Completion]]]:
        """Yields (index of a request, its completions) as soon as its group has all that it needs."""
        while True:
            self._refill()
            while self._ready:
                yield self._ready.popleft()
            live = self._slots.live
            if not live:
                if self._asks or self._more:
                    continue
                return
            if not (self._asks or self._more) and len(live) <= SHRINK * len(self._slots.rows):
                self._slots.shrink()
                live = self._slots.live
            waiting = [i for i in live if self._waits(i)]
            if len(waiting) >= TOGETHER * len(live):
                for slots in self._by_length(waiting):
                    self._step_in(slots, self._slots.feed_queued(slots))
            else:
                slots = [i for i in live if not self._waits(i)]
                self._step_in(slots, self._slots.advance(slots))

    def _waits(self, slot: int) -> bool:
        """Whether a sample is known up to its verdict and waits until the rest of its text is fed."""
        row = self._slots.rows[slot]
        return self._slots.feeds_queued and row is not None and bool(row.queue)

    def _by_length(self, slots: Sequence[int]) -> list[list[int]]:
        """The slots, by the length of what is queued in each."""
        groups: dict[int, list[int]] = {}
        for i in slots:
            row = self._slots.rows[i]
            assert row is not None
            groups.setdefault(len(row.queue), []).append(i)
        return [*groups.values()]

    def _step_in(self, slots: Sequence[int], logits: torch.Tensor) -> None:
        """Choose the next tokens of the samples in these slots, and empty those that have ended."""
        self._step([row for row in (self._slots.rows[i] for i in slots) if row is not None], logits)
        for i in slots:
            row = self._slots.rows[i]
            if row is not None and row.finish:
                self._slots.leave(i)
                self._finished(row)

    def _refill(self) -> None:
        live = len(self._slots.live)
        while self._asks or self._more:
            if self._ready or (live and self._slots.free < max(1, REFILL * len(self._slots.rows))):
                return
            if self._asks:
                live += self._start()
            elif live and len({id(prompt.cache) for prompt in self._prompts.values()}) >= BATCHES:
                return
            else:
                self._prefill()

    def _prefill(self) -> None:
        self._slots.let_go()
        found = next(self._waiting, None)
        self._more = found is not None
        for cache, members in found or ():
            for place, index in enumerate(members):
                self._prompts[index] = prompt = _Prompt(index, cache, place)
                self._asks.append((prompt, range(self._groups[index].asked)))

    def _start(self) -> int:
        """Begin as many of the samples asked for as there are slots; returns how many got one."""
        taken: list[tuple[_Prompt, list[Row]]] = []
        free = self._slots.free
        while self._asks and free:
            prompt, samples = self._asks.popleft()
            request = self._requests[prompt.index]
            if len(samples) > free:
                self._asks.appendleft((prompt, samples[free:]))
                samples = samples[:free]
            length = prompt.cache.lengths[prompt.place]
            taken.append((prompt, [self._stepper.start(request, prompt.index, s, length) for s in samples]))
            # One that reads its verdict here needs no slot.
            free -= len(samples) if not taken[-1][1][0].at_verdict else 0
        logits = torch.cat([prompt.cache.logits[prompt.place].expand(len(rows), -1) for prompt, rows in taken])
        everything = [row for _, rows in taken for row in rows]
        self._step(everything, logits)
        placed = 0
        for prompt, rows in taken:
            if left := [row for row in rows if not row.finish]:
                self._slots.place(prompt, left)
                placed += len(left)
        for row in everything:
            if row.finish:
                self._finished(row)
        return placed

    def _step(self, rows: list[Row], logits: torch.Tensor) -> None:
        self._stepper.step(rows, logits, self._label_ids(rows[0].request))
        if self._heard is not None:
            for row in rows:
                self._heard(row.index, row.sample, partial(self._stepper.text, row))

    def _finished(self, row: Row) -> None:
        """Keep a sample; if its group has all that was asked for, end the group or ask for more."""
        self._prompts[row.index].done[row.sample] = self._stepper.completion(row)
        group = self._groups[row.index]
        prompts = [self._prompts.get(i) for i in group.members]
        if any(prompt is None or len(prompt.done) < group.asked for prompt in prompts):
            return
        found = [[prompt.done[s] for s in range(group.asked)] for prompt in prompts if prompt is not None]
        seeds = len(self._requests[row.index].seeds)
        if group.asked == seeds or (self._enough is not None and self._enough(group.number, found)):
            for i, completions in zip(group.members, found, strict=True):
                self._ready.append((i, completions))
                del self._prompts[i]
            return
        before, group.asked = group.asked, next(each for each in stages(seeds) if each > group.asked)
        self._asks.extend((prompt, range(before, group.asked)) for prompt in prompts if prompt is not None)
