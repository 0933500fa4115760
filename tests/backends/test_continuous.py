"""Slots are refilled, prompts wait for further votes: and every sample is what it is alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gramr2.backends.base import (
    Completion,
    Decoding,
    GenerationRequest,
    VerdictReading,
    generate_in_stages,
    generate_until,
    stages,
)
from gramr2.backends.continuous import Slots, Slotted
from gramr2.backends.transformers import Batching, TransformersBackend
from gramr2.comparison import Message

LONG = 94
"""tokens of an answer, so that slots are refilled beside it several times"""


@pytest.fixture(scope="module")
def alone(tiny_model: Path) -> TransformersBackend:
    return TransformersBackend(tiny_model, batching=Batching(rows=1))


@pytest.fixture(scope="module")
def slots(tiny_model: Path) -> TransformersBackend:
    return TransformersBackend(tiny_model, batching=Batching(rows=4, prefill_tokens=150))


def asked(count: int, seeds: int, tokens: Sequence[int], **options: object) -> list[GenerationRequest]:
    return [
        GenerationRequest(
            (Message("user", "The same beginning of all. " + "word " * (i % 3) + str(i)),),
            tuple(range(10 * i, 10 * i + seeds)),
            Decoding(1.0, 1.0, tokens[i % len(tokens)]),
            **options,  # type: ignore[arg-type]
        )
        for i in range(count)
    ]


def texts(found: dict[int, list[Completion]]) -> dict[int, list[str]]:
    return {i: [each.text for each in found[i]] for i in sorted(found)}


def passes(backend: TransformersBackend, requests: list[GenerationRequest]) -> list[tuple[int, ...]]:
    """The shapes (rows, tokens) of the forward passes."""
    shapes: list[tuple[int, ...]] = []
    hook = backend.model.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape)))
    [*backend.generate(requests)]
    hook.remove()
    return shapes


def test_samples_are_what_they_are_alone(alone: TransformersBackend, slots: TransformersBackend) -> None:
    requests = asked(7, 3, [LONG, 5, 40])
    assert texts(dict(slots.generate(requests))) == texts(dict(alone.generate(requests)))


def test_a_slot_is_refilled_at_once(slots: TransformersBackend) -> None:
    requests = asked(8, 1, [32, 2, 2, 2])
    steps = sum(tokens == 1 for _, tokens in passes(slots, requests))
    # In step, four at a time, the two long ones would take 31 steps each, one after the other.
    assert 31 <= steps < 45


def test_few_rows_are_not_decoded_in_all_slots(slots: TransformersBackend) -> None:
    widths = [rows for rows, tokens in passes(slots, asked(4, 1, [40, 2, 2, 2])) if tokens == 1]
    assert widths[0] == 4 and widths[-1] == 1


def test_a_verdict_alone_takes_no_step(slots: TransformersBackend) -> None:
    requests = asked(9, 1, [1], prefill="<answer>", verdict=VerdictReading())
    found = dict(slots.generate(requests))
    assert all(each[0].label_logprobs for each in found.values()) and len(found) == 9
    assert all(tokens > 1 for _, tokens in passes(slots, requests))


def test_texts_up_to_verdicts_are_fed_at_once_and_samples_are_what_they_are_alone(
    alone: TransformersBackend, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Budgets differ, so that samples wait beside others that go on; texts end in a newline or not, so that what is left of
    them differs in length."""
    wide = TransformersBackend(tiny_model, batching=Batching(rows=24, prefill_tokens=150))
    lengths: list[set[int]] = []
    grouped = Slotted._by_length

    def by_length(self: Slotted, slots: Sequence[int]) -> list[list[int]]:
        groups = grouped(self, slots)
        lengths.append({len(row.queue) for group in groups for row in (self._slots.rows[group[0]],) if row})
        return groups

    monkeypatch.setattr(Slotted, "_by_length", by_length)
    verdict = VerdictReading(close="o", bridge=" a\n<answer>", close_on_budget=True)
    requests = asked(12, 6, [3, 4, 9, 40], verdict=verdict)
    found = dict(wide.generate(requests))
    assert max(map(len, lengths)) > 1, "what is left differs in length"
    expected = dict(alone.generate(requests))
    assert texts(found) == texts(expected)
    for i, completions in found.items():
        for got, own in zip(completions, expected[i], strict=True):
            assert (got.finish_reason, got.completion_tokens) == (own.finish_reason, own.completion_tokens)
            assert got.label_logprobs == pytest.approx(own.label_logprobs, abs=1e-4)
    lonely = sum(tokens == 1 for _, tokens in passes(wide, requests))
    monkeypatch.setattr(Slots, "feeds_queued", False)
    one_by_one = sum(tokens == 1 for _, tokens in passes(wide, requests))
    assert texts(dict(wide.generate(requests))) == texts(expected)
    assert lonely < one_by_one


def test_stages() -> None:
    assert [stages(n) for n in (1, 2, 3, 5, 8)] == [[1], [2], [2, 3], [2, 4, 5], [2, 4, 8]]


@pytest.mark.parametrize("native", [True, False])
def test_votes_stop_where_they_are_enough(slots: TransformersBackend, native: bool) -> None:
    requests = asked(6, 5, [6])
    groups = [[0, 1], [2, 3], [4, 5]]
    calls: list[tuple[int, tuple[int, ...]]] = []

    def enough(number: int, found: Sequence[Sequence[Completion]]) -> bool:
        calls.append((number, tuple(map(len, found))))
        return number == 0 or (number == 1 and len(found[0]) == 4)

    ask = generate_until if native else generate_in_stages
    found = texts(dict(ask(slots, requests, groups, enough)))
    everything = texts(dict(slots.generate(requests)))
    assert {i: len(each) for i, each in found.items()} == {0: 2, 1: 2, 2: 4, 3: 4, 4: 5, 5: 5}
    assert all(each == everything[i][: len(each)] for i, each in found.items())
    assert sorted(calls) == [(0, (2, 2)), (1, (2, 2)), (1, (4, 4)), (2, (2, 2)), (2, (4, 4))]


def test_later_votes_compute_no_prompt_again(slots: TransformersBackend) -> None:
    requests = asked(4, 8, [4])
    shapes: list[tuple[int, ...]] = []
    hook = slots.model.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape)))
    [*slots.generate_until(requests, [[0, 1], [2, 3]], lambda number, found: False)]
    hook.remove()
    lengths = [len(slots.encoder.prompt(each.messages)) for each in requests]
    computed = sum(rows * tokens for rows, tokens in shapes if tokens > 1)
    assert computed < sum(lengths)
