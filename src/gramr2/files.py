"""Files and folders that are either complete or absent."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gramr2.errors import writing


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


def write_text(path: Path, text: str) -> None:
    """Write a small file atomically: it is either the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".tmp")
    with writing(path):
        scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write all rows or nothing: a temporary file is renamed when it is complete and on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".tmp")
    with writing(path), scratch.open("w", encoding="utf-8", errors="surrogatepass") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All rows of a file that ``write_jsonl`` wrote."""
    with path.open(encoding="utf-8", errors="surrogatepass") as file:
        return [json.loads(line) for line in file]
