"""What figures say they were measured with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from gramr2.backends.hardware import versions


def test_a_checkout_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("gramr2.backends.hardware.version", missing)
    assert versions().startswith("gramr2 (not installed), torch (not installed)")
