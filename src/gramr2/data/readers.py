"""Raw rows of a source with their places: files, saved and hub data sets, the starter set, and sources of other packages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from gramr2 import registry
from gramr2.config.data import FILES, beside
from gramr2.data.textfiles import RawRow, json_lines, numbered, text_rows
from gramr2.errors import DataError, reason_of
from gramr2.files import exists
from gramr2.text import hint

STARTER = ("labeled", "unlabeled", "gold")
HUB = "hub:"
_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)


def read_rows(
    source: str,
    split: str | None = None,
    base: Path | None = None,
    name: str | None = None,
    revision: str | None = None,
) -> Iterator[RawRow]:
    """(place, default id, raw row) of every row; a relative path starts at ``base`` (default: the working folder).

    A default id is ``name``, or the file's name, and the number of the row. ``revision`` is a commit or branch of a hub data set.

    Raises:
        DataError: the source as a whole cannot be read; for a single bad line the error is yielded instead.
    """
    for place, default_id, row in _rows(source, split, base, revision):
        yield place, default_id if name is None else f"{name}:{default_id.rpartition(':')[2]}", row


def _rows(source: str, split: str | None, base: Path | None, revision: str | None) -> Iterator[RawRow]:
    if source.startswith("starter:"):
        _refuse_split(source, split)
        yield from _starter(source)
        return
    prefix, colon, _ = source.partition(":")
    if colon and prefix in registry.plugins("sources"):
        _refuse_split(source, split)
        yield from _registered(prefix, source)
        return
    path = Path(source) if base is None else base / source
    known = source.lower().endswith(FILES)
    there = exists(path)
    if source.startswith(HUB) or not (there or known):
        yield from numbered(_hub(source, split, revision), source)
    elif not there:
        raise DataError(f"{str(path)[:300]}: no such file{beside(path)}")
    elif path.is_dir():
        yield from numbered(_saved(path, split), path.resolve().name)
    elif not known:
        raise DataError(f"{source[:300]}: the file extension is not one of {', '.join(FILES)}")
    elif not path.is_file():
        raise DataError(f"{path}: no such file")
    else:
        _refuse_split(source, split)
        if path.suffix.lower() == ".parquet":
            yield from numbered(_parquet(path), path.name)
        else:
            yield from text_rows(path)


def _refuse_split(source: str, split: str | None) -> None:
    if split not in (None, "train"):
        raise DataError(f"{source}: a file has no splits: leave out the split {split!r}")


def _starter(source: str) -> Iterator[RawRow]:
    name = source.removeprefix("starter:")
    if name not in STARTER:
        raise DataError(f"{source}: the starter set has the parts {', '.join(STARTER)}{hint(name, STARTER)}")
    try:
        data = files("gramr2.starter").joinpath(f"{name}.jsonl").read_bytes()
    except OSError as error:
        raise DataError(f"{source}: the installed package lacks this part: install gramr2 again") from error
    yield from json_lines(data.decode("utf-8"), source, source)


def _registered(prefix: str, source: str) -> Iterator[RawRow]:
    """Rows of a source that a package has registered (entry point ``gramr2.sources``) as a function of the source's name."""
    rows: Callable[[str], Iterable[object]] = registry.plugins("sources")[prefix].load()
    for number, row in enumerate(rows(source)):
        yield f"{source}:{number + 1}", f"{source}:{number}", row


def _parquet(path: Path) -> Iterable[Any]:
    import pyarrow.parquet

    try:
        rows: list[Any] = pyarrow.parquet.read_table(path).to_pylist()
    except OverflowError as error:
        raise DataError(
            f"{path}: a date or time in it is out of Python's range ({reason_of(error)}): leave its column out"
        ) from error
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: not a Parquet file: {reason_of(error)}") from error
    return rows


def _saved(path: Path, split: str | None) -> Iterable[Any]:
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:  # whatever datasets meets in a folder that it did not write
        raise DataError(f"{path}: not a folder that datasets saved: {reason_of(error)}") from error
    return _split_of(loaded, str(path), split)


def _split_of(loaded: Any, source: str, split: str | None) -> Iterable[Any]:
    """The rows of the split; without a name, those of the only one."""
    rows: Iterable[Any]
    if not isinstance(loaded, dict):
        rows = loaded
        own = getattr(loaded, "split", None)
        if split is not None and own is not None and str(own) != split and not str(own).startswith(split):
            raise DataError(f"{source}: is the split {str(own)!r}, not {split!r}")
        return rows
    names = list(map(str, loaded))
    if split is None and len(names) != 1:
        raise DataError(f"{source}: has the splits {', '.join(names)}: say which one with split (--split)")
    if split is not None and split not in loaded:
        raise DataError(f"{source}: has no split {split!r}, it has {', '.join(names)}")
    rows = loaded[split or names[0]]
    return rows


def _hub(source: str, split: str | None, revision: str | None) -> Iterable[Any]:
    name, _, config = source.removeprefix(HUB).partition("@")
    told = source[:300]
    tried = "" if source.startswith(HUB) else "no such file or folder here, and "
    if not _HUB_ID.fullmatch(name):
        prefix, colon, _ = source.partition(":")
        unknown = colon and prefix.isidentifier()
        registered = f", and no installed package registers {prefix}: sources" if unknown else ""
        raise DataError(f"{told}: {tried}not a hub id (owner/name or owner/name@config){registered}")
    import datasets

    pinned = {} if revision is None else {"revision": revision}
    try:
        loaded: Any = datasets.load_dataset(name, config or None, split=split, **pinned)
    except Exception as error:  # the hub's client and the data set's own files fail in many ways
        kind = "it cannot be loaded from the hub"
        kind = "the hub has no such data set" if isinstance(error, FileNotFoundError) else kind
        kind = "the hub cannot be reached" if isinstance(error, ConnectionError) else kind
        raise DataError(f"{told}: {tried}{kind}: {reason_of(error)}") from error
    return _split_of(loaded, source, None) if split is None else loaded
