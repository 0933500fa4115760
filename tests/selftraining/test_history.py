"""What a run records about its own work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gramr2.selftraining.run.history import FILE, read_history, recorded


def test_work_has_a_beginning_and_an_end_also_after_an_error(tmp_path: Path) -> None:
    with recorded(tmp_path):
        pass
    with pytest.raises(KeyError), recorded(tmp_path):
        raise KeyError
    first, second = read_history(tmp_path)
    for each in (first, second):
        assert each.ended is not None and each.started <= each.ended
        assert each.seconds is not None and each.seconds >= 0
        assert "gramr2" in each.versions


def test_a_killed_process_leaves_no_end_and_damaged_lines_are_left_out(tmp_path: Path) -> None:
    lines = [
        {"work": "a", "started": "2026-01-01T10:00:00+00:00", "versions": "gramr2 1", "commit": None},
        {"work": "b", "started": "2026-01-01T12:00:00+00:00", "versions": "gramr2 2", "commit": "0123456789ab"},
        {"work": "b", "ended": "2026-01-01T12:30:00+00:00"},
    ]
    (tmp_path / FILE).parent.mkdir()
    text = "".join("\n" + json.dumps(line) for line in lines)
    lost = '{"work": "lost", "started": "2026-01-01T09'
    (tmp_path / FILE).write_text(
        lost + text + '\n{"work": "lost", "ended": "2026-01-01T09:30:00+00:00"}\n{"work": "b", "ended": 7}'
    )
    killed, whole = read_history(tmp_path)
    assert (killed.ended, killed.seconds, killed.commit) == (None, None, None)
    assert (whole.seconds, whole.commit, whole.versions) == (1800, "0123456789ab", "gramr2 2")


def test_a_run_of_an_older_version_has_none(tmp_path: Path) -> None:
    assert read_history(tmp_path) == ()
