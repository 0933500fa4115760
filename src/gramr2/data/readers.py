"""Raw rows of a source with their places: files, saved and hub data sets, the starter set, and sources of other packages."""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from gramr2 import registry
from gramr2.errors import DataError

STARTER = ("labeled", "unlabeled", "gold")
SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".parquet")
HUB = "hub:"
_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)

# (place, default id, raw row); in place of a row that cannot be read there is a DataError.
RawRow = tuple[str, str, object]


def read_rows(source: str, split: str, base: Path | None = None) -> Iterator[RawRow]:
    """(place, default id, raw row) of every row; a relative path starts at ``base`` (default: the working folder).

    Raises:
        DataError: the source as a whole cannot be read; for a single bad line the error is yielded instead.
    """
    if source.startswith("starter:"):
        yield from _starter(source)
        return
    prefix, colon, _ = source.partition(":")
    if colon and prefix in registry.plugins("sources"):
        yield from _registered(prefix, source)
        return
    path = Path(source) if base is None else base / source
    if source.startswith(HUB) or not (path.exists() or source.endswith(SUFFIXES)):
        yield from _numbered(_hub(source, split), source)
    elif path.is_dir():
        yield from _numbered(_saved(path, split), path.resolve().name)
    elif not source.endswith(SUFFIXES):
        raise DataError(f"{source}: the file extension is not one of {', '.join(SUFFIXES)}")
    elif not path.is_file():
        raise DataError(f"{path}: no such file")
    elif path.suffix == ".parquet":
        yield from _numbered(_parquet(path), path.name)
    else:
        yield from _json(path)


def _starter(source: str) -> Iterator[RawRow]:
    name = source.removeprefix("starter:")
    if name not in STARTER:
        raise DataError(f"{source}: the starter set has the parts {', '.join(STARTER)}")
    try:
        data = files("gramr2.starter").joinpath(f"{name}.jsonl").read_bytes()
    except OSError as error:
        raise DataError(f"{source}: the installed package lacks this part: install gramr2 again") from error
    yield from _lines(data, source, source)


def _registered(prefix: str, source: str) -> Iterator[RawRow]:
    """Rows of a source that a package has registered (entry point ``gramr2.sources``) as a function of the source's name."""
    rows: Callable[[str], Iterable[object]] = registry.plugins("sources")[prefix].load()
    for number, row in enumerate(rows(source)):
        yield f"{source}:{number + 1}", f"{source}:{number}", row


def _parquet(path: Path) -> Iterable[Any]:
    import pyarrow.parquet

    try:
        rows: list[Any] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: not a Parquet file: {_first_line(error)}") from error
    return rows


def _json(path: Path) -> Iterator[RawRow]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    data = data.removeprefix(codecs.BOM_UTF8)
    if path.suffix != ".json" or not data.lstrip().startswith(b"["):
        yield from _lines(data, str(path), path.name)
        return
    try:
        rows = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: is not valid JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not valid JSON: {error}") from error
    yield from _numbered(rows, path.name)


def _lines(data: bytes, place: str, name: str) -> Iterator[RawRow]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        where = f"{place}:{number}"
        row: object
        try:
            row = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            row = DataError(f"{where}: is not UTF-8")
        except (ValueError, RecursionError) as error:
            row = DataError(f"{where}: is not JSON: {error}")
        yield where, f"{name}:{number}", row


def _numbered(rows: Iterable[Any], name: str) -> Iterator[RawRow]:
    for number, row in enumerate(rows, 1):
        yield f"{name}:{number}", f"{name}:{number}", row


def _saved(path: Path, split: str) -> Iterable[Any]:
    import datasets

    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:
        raise DataError(f"{path}: not a folder that datasets saved: {_first_line(error)}") from error
    if isinstance(loaded, datasets.DatasetDict):
        if split not in loaded:
            raise DataError(f"{path}: has no split {split!r}, it has {', '.join(map(str, loaded))}")
        loaded = loaded[split]
    rows: Iterable[Any] = loaded
    return rows


def _hub(source: str, split: str) -> Iterable[Any]:
    name, _, config = source.removeprefix(HUB).partition("@")
    tried = "" if source.startswith(HUB) else "no such file or folder here, and "
    if not _HUB_ID.fullmatch(name):
        prefix, colon, _ = source.partition(":")
        registered = (
            f", and no installed package registers {prefix}: sources" if colon and prefix.isidentifier() else ""
        )
        raise DataError(f"{source}: {tried}not a hub id (owner/name or owner/name@config){registered}")
    import datasets

    try:
        rows: Iterable[Any] = datasets.load_dataset(name, config or None, split=split)
    except Exception as error:
        kind = (
            "the hub has no such data set"
            if isinstance(error, FileNotFoundError)
            else "it cannot be loaded from the hub"
        )
        kind = "the hub cannot be reached" if isinstance(error, ConnectionError) else kind
        raise DataError(f"{source}: {tried}{kind}: {_first_line(error)}") from error
    return rows


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
