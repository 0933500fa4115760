"""What figures were measured with: versions, and the processor. Works without torch."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def processor() -> str:
    """Name of the machine's processor and, if torch sees one, its GPU, to go with figures measured on it."""
    name = platform.processor() or platform.machine()
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
            name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    cores = f"{name}, {os.cpu_count()} cores"
    try:
        import torch
    except ImportError:  # gramr2-light
        return cores
    return f"{cores}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else cores


def versions() -> str:
    """What figures were measured with: the versions of gramr2, its libraries and Python, and the processor."""
    return f"{versions_of('gramr2', 'torch', 'transformers', 'trl')}, Python {platform.python_version()}, {processor()}"


def commit() -> str | None:
    """The commit of the checkout that gramr2 runs from, 12 hex digits; None for an installed package."""
    git = Path(__file__).parents[3] / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="ascii").strip()
        name = head.removeprefix("ref: ")
        if name == head:
            return head[:12]
        if (git / name).is_file():
            return (git / name).read_text(encoding="ascii").strip()[:12]
        packed = (git / "packed-refs").read_text(encoding="ascii").splitlines()
        return next((line[:12] for line in packed if line.endswith(f" {name}")), None)
    except (OSError, UnicodeDecodeError):
        return None


def versions_of(*packages: str) -> str:
    """The installed version of each package."""
    return ", ".join(f"{name} {_version(name)}" for name in packages)


def _version(package: str) -> str:
    """The installed version of a package; a checkout on the path has none, and that is not an error."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
