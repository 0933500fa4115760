"""A few seconds of the attack on a real server: good requests are answered, and memory and log stay small. Nothing is timed."""

from __future__ import annotations

import pytest
import server_attack


@pytest.mark.slow
def test_good_requests_are_answered_under_attack() -> None:
    found = server_attack.measure("scripted:longer", 8, 30, 1, ["--orders", "first"], settle=0)
    assert set(found["attacks"]) == {kind.__name__ for kind in server_attack.KINDS}
    assert (found["alive"], found["failed"], found["tracebacks_in_log"]) == (True, [], 0)
    assert found["quiet"]["answered"] > 0
    assert found["attacked"]["answered"] > 0
    assert found["log_bytes"] < 20_000
    assert found["memory_mib"]["largest"] - found["memory_mib"]["before"] < 200
