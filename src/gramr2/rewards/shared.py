"""One judge for many threads: while it judges for one, the others' comparisons gather, and are its next batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from gramr2.comparison import Comparison
from gramr2.errors import ModelError
from gramr2.judging.preference import PreferenceModel
from gramr2.judgment import Decision

T = TypeVar("T")


@dataclass(eq=False)
class _Waiting:
    comparisons: Sequence[Comparison]
    seed: int
    decisions: Future[list[Decision]] = field(default_factory=Future)


class SharedModel:
    """A ``PreferenceModel`` that any number of threads may ask at once; ``model`` is only used by one of them at a time.

    No thread is kept for it: whoever finds the model free judges all that waits, its own comparisons among them.
    """

    def __init__(self, model: PreferenceModel) -> None:
        self.model = model
        self._free, self._changing = Lock(), Lock()
        self._queue: list[_Waiting] = []

    @property
    def id(self) -> str:
        """The model's."""
        return self.model.id

    def compare(self, comparisons: Sequence[Comparison], seed: int = 0) -> list[Decision]:
        """See ``PreferenceModel``. Raises what the model raises for these comparisons, and not for those of others."""
        mine = _Waiting(comparisons, seed)
        with self._changing:
            self._queue.append(mine)
        with self._free:
            if not mine.decisions.done():
                with self._changing:
                    batch = [each for each in self._queue if each.seed == seed]
                    self._queue = [each for each in self._queue if each.seed != seed]
                self._judge(batch, seed)
        return mine.decisions.result()

    def alone(self, work: Callable[[], T]) -> T:
        """What ``work`` returns, which uses the model in a way of its own, while no other thread does."""
        with self._free:
            return work()

    def _judge(self, batch: Sequence[_Waiting], seed: int) -> None:
        asked = [one for each in batch for one in each.comparisons]
        try:
            decisions = list(self.model.compare(asked, seed))
            if len(decisions) != len(asked):
                raise ModelError(f"{self.model.id} gave {len(decisions)} decisions for {len(asked)} comparisons")
        except Exception as error:  # noqa: BLE001  # whatever it is, the threads that wait must get it
            if len(batch) == 1:
                batch[0].decisions.set_exception(error)
                return
            for each in batch:
                self._judge([each], seed)
            return
        except BaseException:
            # Ctrl-C in the thread that judged: the others would wait for ever.
            for each in batch:
                if not each.decisions.done():
                    each.decisions.set_exception(ModelError("the thread that judged these comparisons was stopped"))
            raise
        given = iter(decisions)
        for each in batch:
            each.decisions.set_result([next(given) for _ in each.comparisons])
