"""A backend that is listened to says the same as one that is not, a token at a time."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from gramr2.backends.aloud import generate_aloud
from gramr2.backends.base import Decoding, GenerationRequest, VerdictReading
from gramr2.backends.scripted import ScriptedBackend
from gramr2.backends.transformers import Batching, TransformersBackend
from gramr2.comparison import Message

CLOSED = VerdictReading(close_on_budget=True)


@pytest.fixture(scope="module")
def backend(tiny_model: Path) -> TransformersBackend:
    return TransformersBackend(tiny_model, batching=Batching(rows=3))


def asked(count: int, temperature: float = 1.0) -> list[GenerationRequest]:
    return [
        GenerationRequest(
            (Message("user", f"Question {i}?"),),
            (10 * i, 10 * i + 1),
            Decoding(temperature, 1.0, 12 + i),
            prefill="<think>\nFeedback:",
            verdict=CLOSED,
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("shares", [True, False])
def test_what_is_heard_grows_to_what_is_written(
    backend: TransformersBackend, shares: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "_shares", shares)
    heard: dict[tuple[int, int], list[str]] = defaultdict(list)
    found = dict(generate_aloud(backend, asked(4), lambda i, sample, text: heard[i, sample].append(text())))
    assert found == dict(backend.generate(asked(4))), "listening changes nothing"
    assert set(heard) == {(i, sample) for i in range(4) for sample in range(2)}
    for (i, sample), told in heard.items():
        whole = found[i][sample].text
        assert all(whole.startswith(text) for text in told)
        assert all(later.startswith(earlier) for earlier, later in pairwise(told))
        assert len(set(told)) > 6, "token by token"
        assert told[-1] in (whole, whole.rpartition("<answer>")[0] + "<answer>")


def test_a_listener_can_end_it(backend: TransformersBackend) -> None:
    class GoneError(Exception):
        pass

    times = 0

    def heard(index: int, sample: int, text: object) -> None:
        nonlocal times
        times += 1
        raise GoneError

    with pytest.raises(GoneError):
        list(generate_aloud(backend, asked(1), heard))
    assert times == 1


def test_a_backend_that_cannot_be_listened_to_is_heard_at_the_end() -> None:
    heard: list[tuple[int, int, str]] = []
    mute = ScriptedBackend(lambda request, seed: f"text {seed}")
    found = dict(generate_aloud(mute, asked(2), lambda i, sample, text: heard.append((i, sample, text()))))
    assert heard == [(i, sample, found[i][sample].text) for i in range(2) for sample in range(2)]
