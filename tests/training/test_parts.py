"""What trainings share, and what is told of their end."""

from __future__ import annotations

import pytest

from gramr2.training import parts
from gramr2.training.sft import _last_parts

GIB = 1 << 30


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """GiB of 12 that are free, at each look."""
    found: list[int] = []
    monkeypatch.setattr(parts, "total_memory", lambda: 12 * GIB)
    monkeypatch.setattr(parts, "free_memory", lambda: found.pop(0) * GIB)
    return found


@pytest.fixture
def returned(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    found: list[bool] = []
    monkeypatch.setattr(parts, "release_freed_memory", lambda: found.append(True))
    return found


@pytest.mark.parametrize(("before", "trimmed"), [(2, True), (3, False)])
def test_memory_is_returned_only_where_it_is_scarce(
    free: list[int], returned: list[bool], before: int, trimmed: bool
) -> None:
    free.extend([before, 9])
    parts.Trims().on_step_end(None, None, None)
    assert bool(returned) is trimmed


def test_what_does_not_help_is_not_tried_at_every_step(free: list[int], returned: list[bool]) -> None:
    trims = parts.Trims()
    free.extend([2, 2])
    for _ in range(parts.PAUSE):
        trims.on_step_end(None, None, None)
    assert (returned, free) == ([True], [])
    free.extend([2, 9, 2, 9])
    for _ in range(2):
        trims.on_step_end(None, None, None)
    assert returned == [True] * 3


def test_the_losses_told_are_those_of_the_last_tenth_of_the_steps() -> None:
    steps = [{"loss": 1.0, "learning_rate": 0.1, "direct_answer_loss": float(i)} for i in range(40)]
    history = [*steps, {"eval_loss": 9.0}, {"train_loss": 9.0}]
    # The last step has no reasoned form; one before it has.
    history[37]["reasoned_answer_loss"] = 5.0
    assert _last_parts(history) == {"direct_answer_loss": 37.5, "reasoned_answer_loss": 5.0}
    assert _last_parts(steps[:3]) == {"direct_answer_loss": 2.0}
