"""Tokens chosen inside vLLM: by the seed and the place alone, and only where a request asks for it."""

from __future__ import annotations

import json
import random
import sys
from enum import Enum
from types import ModuleType, SimpleNamespace

import pytest
import torch

from gramr2.backends.base import Decoding
from gramr2.backends.sampling import drawn
from gramr2.backends.vllm_choice import Chooser, Wish

WARM = Decoding(1.0, 1.0)
SPREAD = (1, 2, 4)
"""seeds whose first random numbers are far apart"""


def logits(rows: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, 50, generator=torch.Generator().manual_seed(seed))


def chosen(chooser: Chooser, values: torch.Tensor) -> list[int]:
    tokens: list[int] = chooser.apply(values.clone()).argmax(-1).tolist()
    return tokens


def test_the_token_belongs_to_the_seed_and_the_place() -> None:
    values = logits(1)
    rng = random.Random(5)
    expected = [drawn(values, [WARM], [rng.random()])[0] for _ in range(6)]
    chooser, written = Chooser(), []
    chooser.put(0, Wish(5, WARM), written)
    for token in expected:
        assert chosen(chooser, values) == [token]
        assert chosen(chooser, values) == [token], "a token that is computed again is the same"
        written.append(token)
    later = Chooser()
    later.put(0, Wish(5, WARM, skipped=4), [])
    assert chosen(later, values) == [expected[4]]
    assert len(set(expected)) > 1


def test_rows_do_not_affect_each_other() -> None:
    values = logits(3)
    together = Chooser()
    for row in range(3):
        together.put(row, Wish(row, WARM), [])
    alone = []
    for row in range(3):
        chooser = Chooser()
        chooser.put(0, Wish(row, WARM), [])
        alone += chosen(chooser, values[row : row + 1])
    assert chosen(together, values) == alone


def test_requests_keep_their_numbers_when_they_move() -> None:
    values = logits(1).repeat(3, 1)
    chooser = Chooser()
    for row in range(3):
        chooser.put(row, Wish(SPREAD[row], Decoding(3.0, 1.0)), [])
    first = chosen(chooser, values)
    assert len(set(first)) == 3
    chooser.move(0, 2, swap=True)
    assert chosen(chooser, values) == [first[2], first[1], first[0]]
    chooser.drop(1)
    chooser.move(2, 1, swap=False)
    assert chosen(chooser, values)[:2] == [first[2], first[0]]
    assert torch.equal(chooser.apply(values.clone())[2], values[2]), "the row it left is free"


def test_greedy_rows_are_left_but_for_forbidden_tokens() -> None:
    values = logits(2)
    best = int(values[0].argmax())
    chooser = Chooser()
    chooser.put(0, Wish(1, Decoding(0.0), forbidden=(best,)), [])
    left = chooser.apply(values.clone())
    assert left[0, best] == -torch.inf
    assert (left[0] != values[0]).sum() == 1
    assert torch.equal(left[1], values[1])


def test_a_forbidden_token_is_never_drawn() -> None:
    values = torch.zeros(1, 4)
    values[0, 2] = 50.0
    chooser, written = Chooser(), []
    chooser.put(0, Wish(1, WARM, forbidden=(2,)), written)
    found = set()
    for _ in range(40):
        found.add(chosen(chooser, values)[0])
        written.append(0)
    assert found == {0, 1, 3}


def test_a_broken_row_stays_broken_and_alone() -> None:
    values = logits(2)
    values[0, 7] = torch.nan
    chooser = Chooser()
    chooser.put(0, Wish(1, WARM), [])
    chooser.put(1, Wish(2, WARM), [])
    left = chooser.apply(values)
    assert left[0].isnan().any()
    assert left[1].isfinite().sum() == 1


def test_a_wish_survives_the_way_to_the_engine() -> None:
    wish = Wish(2**80 + 3, Decoding(0.7, 0.9), 12, (4, 5))
    back = Wish.unpacked(json.loads(json.dumps(wish.packed())))
    assert (back.seed, back.skipped, back.forbidden) == (wish.seed, 12, (4, 5))
    assert (back.decoding.temperature, back.decoding.top_p) == (0.7, 0.9)


def test_the_processor_follows_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    class Way(Enum):
        SWAP = 1
        UNIDIRECTIONAL = 2

    stand_in = ModuleType("vllm.v1.sample.logits_processor")
    stand_in.BatchUpdate, stand_in.LogitsProcessor, stand_in.MoveDirectionality = object, object, Way  # type: ignore[attr-defined]
    for name in ("vllm", "vllm.v1", "vllm.v1.sample"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    monkeypatch.delitem(sys.modules, "gramr2.backends.vllm_processor", raising=False)
    from gramr2.backends.vllm_processor import NAME, Choice

    values = logits(1).repeat(2, 1)
    wishes = [Wish(seed, Decoding(3.0, 1.0)) for seed in SPREAD[:2]]
    expected = []
    for wish in wishes:
        chooser = Chooser()
        chooser.put(0, wish, [])
        expected += chosen(chooser, values[:1])
    processor = Choice(None, torch.device("cpu"), False)
    added = [(row, SimpleNamespace(extra_args={NAME: wish.packed()}), None, []) for row, wish in enumerate(wishes)]
    processor.update_state(SimpleNamespace(removed=[], added=added, moved=[]))
    assert processor.apply(values.clone()).argmax(-1).tolist() == expected
    processor.update_state(SimpleNamespace(removed=[], added=[], moved=[(0, 1, Way.SWAP)]))
    assert processor.apply(values.clone()).argmax(-1).tolist() == expected[::-1]
    # Another program's request takes the row.
    other = [(0, SimpleNamespace(extra_args=None), None, [])]
    processor.update_state(SimpleNamespace(removed=[0], added=other, moved=[]))
    processor.update_state(None)
    assert torch.equal(processor.apply(values.clone())[0], values[0])
    monkeypatch.delitem(sys.modules, "gramr2.backends.vllm_processor")
