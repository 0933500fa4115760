"""What figures say they were measured with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest
import torch

from gramr2.backends import hardware
from gramr2.backends.versions import versions


def test_a_checkout_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("gramr2.backends.versions.version", missing)
    assert versions().startswith("gramr2 (not installed), torch (not installed)")


@pytest.mark.parametrize(("tiles", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_fast_is_bf16_where_the_processor_has_tiles(
    monkeypatch: pytest.MonkeyPatch, tiles: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(hardware, "has_tiles", lambda: tiles)
    hardware.choose_dtype.cache_clear()
    try:
        assert hardware.choose_dtype("fast", torch.device("cpu")) is expected
    finally:
        hardware.choose_dtype.cache_clear()


def test_a_product_takes_a_time() -> None:
    assert 1e7 < hardware.product_speed(64, 0.01) < 1e15


@pytest.mark.parametrize(("own", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_bf16_that_a_gpu_emulates_is_not_taken(
    own: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a T4 or a V100 does, at the speed of fp32 or less."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or own)
    hardware.choose_dtype.cache_clear()
    try:
        assert hardware.choose_dtype("auto", torch.device("cuda")) is expected
    finally:
        hardware.choose_dtype.cache_clear()


def test_a_gpu_is_used_without_the_attention_that_plans_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    before = torch.backends.cuda.cudnn_sdp_enabled()
    hardware.choose_device.cache_clear()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        assert hardware.choose_device("auto") == torch.device("cuda")
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
        hardware.choose_device.cache_clear()
