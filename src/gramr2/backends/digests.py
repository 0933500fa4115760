"""Digests of files, and of the files of a model folder that decide what the model answers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

from gramr2.files import write_text
from gramr2.hashing import text_hash

LARGE = 16 << 20
"""bytes from which on a digest is kept; below it, reading the file costs less than looking the digest up is worth"""
SETTLED_NS = 2_000_000_000
"""a file that changed less than this ago may change again without a change of its times"""
_SUFFIXES = (".json", ".jinja", ".model", ".txt", ".py", ".safetensors")
_TEMPLATES = "additional_chat_templates"
_NOT_DECISIVE = ("gramr2_", "trainer_state", "license", "notice", "readme")


def file_digest(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def kept_digest(file: Path, cache: Path) -> str:
    """The SHA-256 of a file; that of a large file is read once, and again when its size, inode or times differ.

    A content changed by a program changes the time of the last status change, which no program can set. Damage by the disk itself
    does not: ``file_digest`` finds it.

    Args:
        cache: folder of the digests; nothing is kept if it cannot be written.
    """
    before = file.stat()
    if before.st_size < LARGE:
        return file_digest(file)
    state = [before.st_ino, before.st_size, before.st_mtime_ns, before.st_ctime_ns]
    place = cache / f"{text_hash(str(file.resolve()), 12)}.json"
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(place.read_text(encoding="utf-8"))
        if isinstance(known, dict) and known.get("state") == state:
            return str(known["sha256"])
    digest = file_digest(file)
    if time.time_ns() - before.st_ctime_ns > SETTLED_NS:
        with contextlib.suppress(OSError):
            write_text(place, json.dumps({"file": str(file), "state": state, "sha256": digest}) + "\n")
    return digest


def decisive_files(folder: Path) -> Iterator[Path]:
    """The files of a model or adapter folder that decide what it answers, in a fixed order: weights, config, generation
    config, tokenizer, chat templates and code.

    The prompt that gramr2 saves with a judge is not among them: it is part of every request, and the variables of the chat
    template are part of a backend's id.
    """
    for place in (folder, folder / _TEMPLATES):
        for file in sorted(place.iterdir()) if place.is_dir() else ():
            if (
                file.suffix in _SUFFIXES
                and not file.name.lower().startswith(_NOT_DECISIVE)
                and not file.name.startswith(".")
                and file.is_file()
            ):
                yield file
