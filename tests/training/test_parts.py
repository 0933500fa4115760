"""What every training shares."""

from __future__ import annotations

import pytest

from gramr2.training import parts
from gramr2.training.sft import _last_parts


@pytest.mark.parametrize(("free", "trimmed"), [(2, True), (3, False)])
def test_memory_is_returned_only_where_it_is_scarce(monkeypatch: pytest.MonkeyPatch, free: int, trimmed: bool) -> None:
    returned: list[bool] = []
    monkeypatch.setattr(parts, "total_memory", lambda: 12 << 30)
    monkeypatch.setattr(parts, "free_memory", lambda: free << 30)
    monkeypatch.setattr(parts, "release_freed_memory", lambda: returned.append(True))
    parts.Trims().on_step_end(None, None, None)
    assert bool(returned) is trimmed


def test_the_losses_told_are_those_of_the_last_tenth_of_the_steps() -> None:
    steps = [{"loss": 1.0, "direct": float(i)} for i in range(40)]
    history = [*steps, {"eval_loss": 9.0}, {"train_loss": 9.0}]
    history[37]["seldom"] = 5.0
    assert _last_parts(history, ["direct", "seldom", "never"]) == {"direct": 37.5, "seldom": 5.0}
    assert _last_parts(steps[:3], ["direct"]) == {"direct": 2.0}
