"""How much memory there is, on a machine and within a container."""

from __future__ import annotations

from pathlib import Path

import pytest

from gramr2.backends import memory


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Eight thousand KiB of memory, of which 3,000 are free."""
    (tmp_path / "meminfo").write_text("MemTotal: 8000 kB\nMemAvailable:    3000 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "_physical", lambda: 8000 * 1024)
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "used", "free", "total"),
    [
        (None, None, 3000, 8000),
        ("max", 500, 3000, 8000),
        (2000, 500, 1500, 2000),
        (6000, 500, 3000, 6000),
        (2000, 2100, 0, 2000),
    ],
)
def test_a_container_has_what_its_limit_leaves(
    machine: Path, limit: int | str | None, used: int | None, free: int, total: int
) -> None:
    if limit is not None:
        (machine / "memory.max").write_text(str(limit if limit == "max" else int(limit) * 1024) + "\n")
        (machine / "memory.current").write_text(f"{(used or 0) * 1024}\n")
    assert (memory.free_memory(), memory.total_memory()) == (free * 1024, total * 1024)


def test_a_machine_that_does_not_say_counts_half(machine: Path) -> None:
    (machine / "meminfo").unlink()
    assert memory.free_memory() == 4000 * 1024
