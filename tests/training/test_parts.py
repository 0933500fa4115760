"""What every training shares."""

from __future__ import annotations

import pytest

from gramr2.training import parts


@pytest.mark.parametrize(("free", "trimmed"), [(2, True), (3, False)])
def test_memory_is_returned_only_where_it_is_scarce(monkeypatch: pytest.MonkeyPatch, free: int, trimmed: bool) -> None:
    returned: list[bool] = []
    monkeypatch.setattr(parts, "total_memory", lambda: 12 << 30)
    monkeypatch.setattr(parts, "free_memory", lambda: free << 30)
    monkeypatch.setattr(parts, "release_freed_memory", lambda: returned.append(True))
    parts.Trims().on_step_end(None, None, None)
    assert bool(returned) is trimmed
