"""The simulation of how many labels settle a question."""

from __future__ import annotations

import sys

import labels_needed
import pytest


def test_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["labels_needed.py", "--draws", "1000", "--grouped", "60"])
    labels_needed.main()
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()[2:]]
    powers = [float(row[5].removesuffix(" % ")) for row in rows]
    assert [int(row[4]) for row in rows] == [85, 153, 305, 363, 213, 85]
    # The standard errors are 1.3 points, and 5 with prompts of four.
    assert all(75 < power < 86 for power in powers[:4])
    assert 62 < powers[4] < 95 and powers[5] < 60


def test_nothing_is_excluded_where_the_accuracy_is_the_bar() -> None:
    # The test's own level: 5 %.
    assert labels_needed.independent(0.5, 0.5, 200, 2000, 1) == pytest.approx(0.05, abs=0.02)
