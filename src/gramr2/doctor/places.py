"""Folders: room on their disks, models that are there, and what an interrupted command left."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from gramr2.doctor.finding import Finding, note, ok, problem

RUNS = Path("runs")
LITTLE, COMFORTABLE = 1e9, 5e9
"""bytes: a run of SmolLM2-135M writes 1.1 GB (docs/scaling.md)"""
MOST = 200
"""runs that are looked at"""


def disks() -> Iterator[Finding]:
    """Room and permission where models and runs are written."""
    from gramr2.backends.registry import cache_dir

    for part, folder in (("cache", cache_dir()), ("runs", RUNS.absolute())):
        there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        free = shutil.disk_usage(there).free
        told = f"{folder}: {free / 1e9:.1f} GB free"
        if not os.access(there, os.W_OK):
            other = "set GRAMR2_CACHE to another folder" if part == "cache" else "work in another folder, or give --out"
            yield problem(part, f"{folder} cannot be written", other)
        elif free < LITTLE:
            yield problem(part, told, "a run writes 1 GB and more: make room")
        elif free < COMFORTABLE:
            yield note(part, told, "gramr2 check RUN.yaml --cost says how much a run writes")
        else:
            yield ok(part, told)


def models() -> Iterator[Finding]:
    """The named models that are here."""
    from gramr2.backends.registry import named

    every = named()
    here = [each.name for each in every if each.path]
    absent = [each.name for each in every if not each.path]
    remedy = "gramr2 models pull NAME, or the first use, downloads or builds it" if absent else ""
    told = f"here: {', '.join(here)}" + (f"; not yet: {', '.join(absent)}" if absent else "")
    yield Finding("models", ok("", "").state, told, remedy)


def leftovers() -> Iterator[Finding]:
    """Runs that are not finished, journals of commands that were stopped, and downloads that were."""
    from gramr2.backends.registry import cache_dir

    found = False
    folders = sorted(each for each in RUNS.iterdir() if each.is_dir())[:MOST] if RUNS.is_dir() else []
    for each in folders:
        if not (each / "run.yaml").is_file() or (each / "judge").exists():
            continue
        found = True
        if _locked(each / ".lock"):
            yield note("run", f"{each} is being worked on by another process")
        else:
            yield note("run", f"{each} is not finished", "the gramr2 train that began it goes on with it")
    for file in sorted(Path().glob("*.journal")):
        found = True
        if _locked(file):
            yield note("journal", f"{file} is being written by another process")
        else:
            told = f"{file} has the answers of a command that did not finish"
            yield note("journal", told, "the same command uses them; remove it if you will not repeat it")
    scratch = sorted(each for each in (cache_dir() / "models").glob(".*-*") if each.is_dir())
    if scratch:
        found = True
        told = f"{len(scratch)} folders of interrupted downloads, such as {scratch[0]}"
        yield note("cache", told, "remove them if no other gramr2 is running")
    if not found:
        yield ok("leftovers", "no unfinished run or journal here")


def _locked(file: Path) -> bool:
    """Whether another process holds a lock; nothing is created or changed."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
