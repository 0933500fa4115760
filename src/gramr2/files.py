"""Files and folders that are either complete or absent."""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from gramr2.errors import writing


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; under a name that is too long for one, there is none.

    Raises:
        OSError: it cannot be known.
    """
    try:
        return path.exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise


def link_tree(source: Path, target: Path) -> None:
    """Copy a tree by hard links, or byte for byte if the file system does not support them."""
    if target.exists():
        raise FileExistsError(errno.EEXIST, "already exists", str(target))
    try:
        shutil.copytree(source, target, copy_function=_link)
    except (OSError, shutil.Error):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)


def _link(source: str, target: str) -> None:
    # The hub's cache consists of relative symbolic links, and a hard link to one of those is broken in another folder.
    os.link(os.path.realpath(source), target)


def strict_json(value: Any, *, ensure_ascii: bool = False, indent: int | None = None) -> str:
    """A value as strict JSON: it has no NaN and no infinity, so such a number is null.

    Args:
        value: what ``json`` can write.
        ensure_ascii, indent: see ``json.dumps``.
    """
    write = functools.partial(json.dumps, ensure_ascii=ensure_ascii, allow_nan=False, indent=indent)
    try:
        return write(value)
    except ValueError:
        return write(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def write_text(path: Path, text: str) -> None:
    """Write a small file atomically: it is either the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".tmp")
    with writing(path):
        scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file atomically, and only return when its content is on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".tmp")
    with writing(path), scratch.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def json_text(value: Any) -> str:
    """A value as indented JSON."""
    return strict_json(value, indent=2) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically (see ``strict_json``)."""
    write_text(path, json_text(value))


def lock_file(path: Path) -> IO[bytes]:
    """Open a file to lock it: nothing in it changes, and a symbolic link is not followed.

    Raises:
        OSError: it cannot be opened, or is a symbolic link (``ELOOP``).
    """
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "rb+")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write all rows or nothing (see ``strict_json``): a temporary file is renamed when it is complete and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".tmp")
    with writing(path), scratch.open("w", encoding="utf-8", errors="surrogatepass") as file:
        file.writelines(strict_json(row) + "\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All rows of a file that ``write_jsonl`` wrote."""
    with path.open(encoding="utf-8", errors="surrogatepass") as file:
        return [json.loads(line) for line in file]
