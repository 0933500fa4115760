"""The table of judges on public benchmarks: what a judge is called there."""

from __future__ import annotations

import sys
from pathlib import Path

import public_benchmarks
import pytest


@pytest.mark.parametrize(
    ("judge", "name", "call"),
    [
        ("scripted:longer", "scripted:longer", "scripted:longer"),
        ("seed judge=runs/a=b/rounds/0/model --votes 3", "seed judge", "runs/a=b/rounds/0/model --votes 3"),
        ("smollm2-135m --verdict=direct", "smollm2-135m --verdict=direct", "smollm2-135m --verdict=direct"),
        ("openai:m@http://host/v1?a=b", "openai:m@http://host/v1?a=b", "openai:m@http://host/v1?a=b"),
    ],
)
def test_a_judge_may_have_a_name(judge: str, name: str, call: str) -> None:
    assert public_benchmarks.parted(judge) == (name, call)


def test_two_judges_of_one_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--from", str(tmp_path), "--out", str(tmp_path), "--judge", "a=longer", "--judge", "a=scripted:longer"]
    monkeypatch.setattr(sys, "argv", ["public_benchmarks.py", *words])
    with pytest.raises(SystemExit):
        public_benchmarks.main()
    assert "two judges have the same name" in capsys.readouterr().err
