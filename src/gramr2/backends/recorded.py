"""Decoding steps that a GPU repeats by itself.

A step of one token per sample is dozens of small kernels a layer, and a processor needs longer to launch them than a GPU to
compute them: 31 ms a step for 512 samples of a model of 1.2 billion parameters on an H200, whose matrix products take 5
(docs/performance.md). So a step is recorded as a CUDA graph and replayed with new numbers in the same places, until other
prompts or more columns are needed. What is written does not change beyond rounding.
"""

from __future__ import annotations

import functools
import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gramr2.backends.shared_attention import OwnLayer, Part, advance

log = logging.getLogger("gramr2")

NARROWEST = 64
"""columns of the samples' own tokens that a first recording attends to; twice as many whenever these are full"""
ROPES = {None, "default", "linear", "llama3", "yarn"}
"""rotary embeddings that do not look at the positions before they compute"""
COMPUTED = 2
"""steps that are computed before one is recorded: few may be all that come"""
SCRATCH = 4
"""times as much memory as a step's logits take in fp32 that must be free for a recording"""

Step = Callable[[], Tensor]
Refined = Callable[[Tensor], Tensor]
Record = Callable[[Step], Step]
"""makes of a step one that repeats it, reading and writing the same memory; its result is valid until the next call"""


class Recording:
    """A device's way to record steps, which one call at a time may use; others compute each step meanwhile.

    Args:
        record: None where steps are not recorded, or after one could not be.
    """

    def __init__(self, record: Record | None) -> None:
        self.record = record
        self._free = threading.Lock()

    @classmethod
    def of(cls, model: Any) -> Recording:
        """What suits a model on its device."""
        known = model.device.type == "cuda" and can_be_recorded(model.config.get_text_config(decoder=True))
        return _on(model.device) if known else cls(None)

    @contextmanager
    def lent(self) -> Iterator[Recording | None]:
        """This, or None if nothing can be recorded or another call has it."""
        lent = self.record is not None and self._free.acquire(blocking=False)
        try:
            yield self if lent else None
        finally:
            if lent:
                self._free.release()

    def recorded(self, step: Step) -> Step | None:
        """The step recorded; None if that fails, and then never again: a failed recording may leave torch's allocator believing
        that one is under way."""
        if self.record is None:
            return None
        try:
            return self.record(step)
        except RuntimeError as error:
            self.record = None
            log.warning("decoding steps are no longer recorded, and slower: %s", str(error).partition("\n")[0][:200])
            return None


@functools.cache
def _on(device: torch.device) -> Recording:
    """One for all models on a GPU: what a recording needs besides the model stays allocated."""
    return Recording(cuda_graphs(device))


def can_be_recorded(config: Any) -> bool:
    """Whether a model's steps never wait for a number that they computed: routing to experts does, and some rotary embeddings."""
    values = config.to_dict()
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    experts = any(re.search("expert|moe", name) and value for name, value in values.items())
    return not experts and rope.get("rope_type") in ROPES


def cuda_graphs(device: torch.device) -> Record:
    """Records steps as CUDA graphs. They share their scratch memory: only the last one may be replayed."""
    pool, stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    last: list[torch.cuda.CUDAGraph] = []

    def record(step: Step) -> Step:
        graph, here = torch.cuda.CUDAGraph(), torch.cuda.current_stream(device)
        stream.wait_stream(here)
        # Not torch.cuda.graph: that returns all free memory to the driver first, every time.
        with torch.cuda.stream(stream):
            # Other threads may use the GPU meanwhile; up to torch 2.11 they cannot draw random numbers there.
            graph.capture_begin(pool=pool, capture_error_mode="thread_local")
            try:
                result = step()
            finally:
                graph.capture_end()
        here.wait_stream(stream)
        # torch refuses a pool whose graphs are all gone.
        last[:] = [graph]

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay

    return record


class Repeated:
    """Steps of the same samples of the same prompts, by a recording from the third on.

    Args:
        model: prepared by ``let_share``.
        own: one for each layer.
        refined: makes of a step's logits those that are read; a part of the recording.
        recording: lent for this.
    """

    def __init__(self, model: Any, own: Sequence[OwnLayer], refined: Refined, recording: Recording) -> None:
        self._model, self._own, self._refined, self._recording = model, own, refined, recording
        self._state = torch.zeros((3, 0), dtype=torch.long, device=model.device)
        self._width = 0
        self._eager = 0
        self._scratch = 0
        self._step: Step | None = None

    @property
    def repeats(self) -> bool:
        """Whether the next step is a recorded one, if nothing is forgotten before."""
        return self._step is not None

    def forget(self) -> None:
        """The prompts, the samples or their memory are others now."""
        self._step, self._eager = None, 0

    def advance(self, state: Sequence[Sequence[int]], parts: Sequence[Part]) -> Tensor:
        """As ``shared_attention.advance``, refined; the result (samples, vocabulary) is valid until the next call.

        Args:
            state: of all samples, their tokens, the tokens' positions, and the columns that these go to.
            parts: the same until ``forget``.
        """
        host = torch.tensor(state)
        if host.shape != self._state.shape:
            self._state = host.to(self._state.device)
            self.forget()
        else:
            self._state.copy_(host)
        needed = max(state[2]) + 1
        if needed > self._width or self._eager == 0:
            self._width = _width(needed, self._own[0].capacity)
            self.forget()
        # Tried once: to look for memory in every step would cost more than the steps.
        if self._eager == COMPUTED and self._step is None and self._has_room():
            self._step = self._recording.recorded(lambda: self._once(parts))
        if self._step is not None:
            return self._step()
        self._eager += 1
        logits = self._once(parts)
        self._scratch = SCRATCH * 4 * logits.numel()
        return logits

    def _once(self, parts: Sequence[Part]) -> Tensor:
        tokens, positions, columns = self._state
        for layer in self._own:
            layer.columns, layer.width = columns[:, None], self._width
        return self._refined(advance(self._model, tokens[:, None], positions[:, None], self._own, parts))

    def _has_room(self) -> bool:
        """Whether a GPU has the memory that a recording needs: it can use none that torch keeps from earlier steps."""
        if self._state.device.type != "cuda":
            return True
        if torch.cuda.mem_get_info(self._state.device)[0] < self._scratch:
            torch.cuda.empty_cache()
        return bool(torch.cuda.mem_get_info(self._state.device)[0] >= self._scratch)


def _width(needed: int, capacity: int) -> int:
    width = NARROWEST
    while width < needed:
        width *= 2
    return min(width, capacity)
