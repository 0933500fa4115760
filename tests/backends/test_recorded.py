"""A recorded step gives what a computed one gives; only a GPU records, so that a recording is acted here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from test_continuous import LONG, asked, texts
from transformers import LlamaConfig, MixtralConfig, Qwen2Config

from gramr2.backends.continuous import Slotted
from gramr2.backends.recorded import NARROWEST, Recording, Repeated, Step, can_be_recorded
from gramr2.backends.shared_attention import Part
from gramr2.backends.transformers import Batching, TransformersBackend


class Recorder:
    """Repeats a step, and fails if it would read or write other memory than when it was recorded."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, step: Step) -> Step:
        self.recorded += 1
        repeated, parts = _closure(step)
        before = memory(repeated, parts)

        def replay() -> torch.Tensor:
            self.replayed += 1
            assert memory(repeated, parts) == before
            return step()

        return replay


def _closure(step: Step) -> tuple[Repeated, Sequence[Part]]:
    found = {name: cell.cell_contents for name, cell in zip(step.__code__.co_freevars, step.__closure__, strict=True)}  # type: ignore[attr-defined]
    return found["self"], found["parts"]


def memory(repeated: Repeated, parts: Sequence[Part]) -> list[int]:
    """Where a step reads and writes, and how many columns."""
    own = [each for layer in repeated._own for each in (layer.keys, layer.values)]
    read = [
        each for part in parts for each in (*part.keys, *part.values, part.mask, part.source, part.cells, part.samples)
    ]
    return [repeated._width, *(each.data_ptr() for each in (repeated._state, *own, *read))]


@pytest.fixture(scope="module")
def usual(tiny_model: Path) -> TransformersBackend:
    return TransformersBackend(tiny_model, batching=Batching(rows=4, prefill_tokens=150))


@pytest.fixture
def recording(tiny_model: Path) -> Iterator[tuple[TransformersBackend, Recorder]]:
    backend, recorder = TransformersBackend(tiny_model, batching=Batching(rows=4, prefill_tokens=150)), Recorder()
    backend._recording = Recording(recorder)
    yield backend, recorder
    with backend._recording.lent() as lent:
        assert lent is backend._recording, "a call has kept it"


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
    assert texts(dict(backend.generate(requests))) == texts(dict(usual.generate(requests)))
    assert len(tried) == 1


def test_memory_for_a_recording_is_looked_for_once(
    recording: tuple[TransformersBackend, Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, recorder = recording
    looked: list[int] = []

    def full(repeated: Repeated) -> bool:
        looked.append(repeated._width)
        return False

    monkeypatch.setattr(Repeated, "_has_room", full)
    dict(backend.generate(asked(1, 2, [NARROWEST - 10])))
    assert len(looked) == 1 and recorder.recorded == 0


def test_one_call_at_a_time_records() -> None:
    recording = Recording(Recorder())
    with recording.lent() as first, recording.lent() as second:
        assert first is recording and second is None
    with recording.lent() as again:
        assert again is recording


def test_a_call_that_is_given_up_gives_it_back(recording: tuple[TransformersBackend, Recorder]) -> None:
    backend, _ = recording
    answers = backend.generate(asked(6, 2, [30, 2]))
    next(answers)
    answers.close()  # type: ignore[attr-defined]


def test_a_cpu_records_nothing(usual: TransformersBackend) -> None:
    assert usual._recording.record is None


@pytest.mark.parametrize(
    ("config", "can"),
    [
        (LlamaConfig(), True),
        (LlamaConfig(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}), True),
        (LlamaConfig(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}), False),
        (MixtralConfig(), False),
        (Qwen2Config(), True),
    ],
    ids=["llama", "linear", "dynamic", "experts", "qwen2"],
)
def test_which_models_are_recorded(config: Any, can: bool) -> None:
    assert can_be_recorded(config) is can


def test_prompts_of_samples_that_have_left_are_let_go_before_others_are_computed(
    recording: tuple[TransformersBackend, Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, recorder = recording
    held: list[bool] = []
    prefill = Slotted._prefill

    def watched(slotted: Slotted) -> None:
        prefill(slotted)
        held.append(slotted._slots._left)

    monkeypatch.setattr(Slotted, "_prefill", watched)
    dict(backend.generate(asked(9, 2, [30, 4, 9])))
    assert len(held) > 2 and not any(held) and recorder.recorded


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_writes_the_same_recorded_and_computed(tiny_model: Path) -> None:
    backend = TransformersBackend(tiny_model, dtype="float32", batching=Batching(rows=4, prefill_tokens=150))
    requests = asked(7, 3, [LONG, 5, 40])
    recorded = texts(dict(backend.generate(requests)))
    assert backend._recording.record is not None
    backend._recording = Recording(None)
    assert texts(dict(backend.generate(requests))) == recorded
