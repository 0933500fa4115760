"""How much memory is free, without torch."""

from __future__ import annotations

import os
from pathlib import Path


def free_memory() -> int:
    """Bytes that new processes can have: what the kernel says is available, else half of what the machine has."""
    file = Path("/proc/meminfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return int(found) * 1024 if found else total_memory() // 2


def total_memory() -> int:
    """Bytes of memory that the machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
