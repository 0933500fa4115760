"""Packed weights give the same products, and a model keeps its own where there are none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from gramr2.backends import packing
from gramr2.backends.packing import pack


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(24, 40), nn.ReLU(), nn.Linear(40, 8, bias=False)).eval()


def packed(model: nn.Module) -> list[bool]:
    return ["forward" in each.__dict__ for each in model if isinstance(each, nn.Linear)]


@pytest.mark.parametrize("shape", [(24,), (1, 24), (70, 24), (3, 5, 24), (0, 24)])
def test_products_are_the_same(model: nn.Module, shape: tuple[int, ...]) -> None:
    inputs = torch.randn(shape)
    with torch.inference_mode():
        expected = model(inputs)
        assert pack(model)
        assert packed(model) == [True, True]
        found = model(inputs)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-5)


def test_weights_are_kept_for_whoever_reads_them(model: nn.Module) -> None:
    names = {name: each.clone() for name, each in model.state_dict().items()}
    assert pack(model)
    assert {name: each.equal(names[name]) for name, each in model.state_dict().items()} == dict.fromkeys(names, True)


def test_nothing_is_packed_without_memory(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "free_memory", lambda: 1000)
    assert not pack(model)
    assert packed(model) == [False, False]


def failing(after: int) -> Callable[..., torch.Tensor]:
    calls: list[int] = []

    def reorder(weight: torch.Tensor, rows: int) -> torch.Tensor:
        calls.append(rows)
        if len(calls) > after:
            raise RuntimeError("no such layout")
        return weight

    return reorder


def test_a_model_is_packed_whole_or_not_at_all(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_reorder", failing(after=1))
    assert not pack(model)
    assert packed(model) == [False, False]
