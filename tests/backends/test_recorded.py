"""A recorded step gives what a computed one gives; only a GPU records, so that a recording is acted here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from test_continuous import LONG, asked, texts

from gramr2.backends.recorded import NARROWEST, Recording, Step
from gramr2.backends.transformers import Batching, TransformersBackend


class Recorder:
    """Repeats a step on the memory that it had when it was recorded."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, step: Step) -> Step:
        self.recorded += 1

        def replay() -> torch.Tensor:
            self.replayed += 1
            return step()

        return replay


@pytest.fixture(scope="module")
def usual(tiny_model: Path) -> TransformersBackend:
    return TransformersBackend(tiny_model, batching=Batching(rows=4, prefill_tokens=150))


@pytest.fixture
def recording(tiny_model: Path) -> Iterator[tuple[TransformersBackend, Recorder]]:
    backend, recorder = TransformersBackend(tiny_model, batching=Batching(rows=4, prefill_tokens=150)), Recorder()
    backend._recording = Recording(recorder)
    yield backend, recorder
    with backend._recording.lent() as lent:
        assert lent is recorder, "a call has kept it"


def test_samples_are_the_same(usual: TransformersBackend, recording: tuple[TransformersBackend, Recorder]) -> None:
    backend, recorder = recording
    requests = asked(7, 3, [LONG, 5, 40])
    assert texts(dict(backend.generate(requests))) == texts(dict(usual.generate(requests)))
    assert recorder.replayed > 10 * recorder.recorded > 0


def test_a_step_is_recorded_again_when_its_columns_are_full(
    usual: TransformersBackend, recording: tuple[TransformersBackend, Recorder]
) -> None:
    backend, recorder = recording
    requests = asked(1, 2, [NARROWEST + 20])
    assert texts(dict(backend.generate(requests))) == texts(dict(usual.generate(requests)))
    assert recorder.recorded == 2


def test_few_steps_are_not_recorded(recording: tuple[TransformersBackend, Recorder]) -> None:
    backend, recorder = recording
    dict(backend.generate(asked(2, 1, [3])))
    assert recorder.recorded == 0


def test_a_step_that_cannot_be_recorded_is_computed(usual: TransformersBackend, tiny_model: Path) -> None:
    tried = []

    def record(step: Step) -> Step:
        tried.append(step)
        raise RuntimeError("operation not permitted when stream is capturing")

    backend = TransformersBackend(tiny_model, batching=Batching(rows=4, prefill_tokens=150))
    backend._recording = Recording(record)
    requests = asked(5, 2, [20, 9])
    assert texts(dict(backend.generate(requests))) == texts(dict(usual.generate(requests)))
    assert len(tried) == 1


def test_one_call_at_a_time_records() -> None:
    recording = Recording(Recorder())
    with recording.lent() as first, recording.lent() as second:
        assert first is recording.record and second is None
    with recording.lent() as again:
        assert again is recording.record


def test_a_call_that_is_given_up_gives_it_back(recording: tuple[TransformersBackend, Recorder]) -> None:
    backend, _ = recording
    answers = backend.generate(asked(6, 2, [30, 2]))
    next(answers)
    answers.close()  # type: ignore[attr-defined]


def test_a_cpu_records_nothing() -> None:
    assert Recording.on(torch.device("cpu")).record is None
