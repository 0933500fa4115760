"""How much memory is available to a process, without torch."""

from __future__ import annotations

import os
from pathlib import Path

MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Bytes available to new processes: what the kernel reports, else half of the machine's memory; in a container, no more
    than its limit leaves."""
    lines = MEMINFO.read_text(encoding="utf-8").splitlines() if MEMINFO.exists() else []
    found = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    free = int(found) * 1024 if found else _physical() // 2
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    return free if limit is None or used is None else max(0, min(free, limit - used))


def total_memory() -> int:
    """Bytes of memory that the machine, or the container, has."""
    return min(_physical(), _cgroup("memory.max") or _physical())


def _physical() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cgroup(name: str) -> int | None:
    """A number of bytes from cgroup v2; None if there is none, or it is “max”."""
    try:
        return int((CGROUP / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
