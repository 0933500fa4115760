"""Opening a benchmark: from the hub or a local copy, with the version and a digest of what was read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gramr2.comparison import Label, LabeledComparison
from gramr2.config.data import FILES
from gramr2.data.readers import read_rows
from gramr2.data.textfiles import RawRow
from gramr2.errors import DataError, reason_of
from gramr2.evaluation.benchmarks.base import Benchmark
from gramr2.evaluation.benchmarks.columns import Place
from gramr2.evaluation.benchmarks.items import Item, Pair
from gramr2.hashing import text_hash
from gramr2.messages import BadRowError
from gramr2.randomness import fraction

_SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}")
"""a file of a split in a repository on the hub"""
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""whole names of files and folders, and the split that they say"""


@dataclass(frozen=True, slots=True)
class LoadedBenchmark:
    """The items of a benchmark.

    Args:
        benchmark: which.
        items: pairs and choices, in the order of the source.
        version: where they are from: hub ids with the commit, or the name of the local copy.
        digest: 32 hex digits over the content of all items that were read. Neither the order of items nor which response is A
            changes it, so every copy of the same content has the same one.
        total: items before the limit.
        missing: sections that a complete copy has and this one does not.
    """

    benchmark: Benchmark
    items: tuple[Item, ...]
    version: str
    digest: str
    total: int
    missing: tuple[str, ...]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The items that are pairs."""
        return tuple(item for item in self.items if isinstance(item, Pair))

    @property
    def labeled(self) -> tuple[LabeledComparison, ...]:
        """The pairs that have a label, for ``gramr2.evaluation.metrics``."""
        return tuple(item.labeled for item in self.items if isinstance(item, Pair) and item.labeled)


def open_benchmark(
    benchmark: Benchmark,
    source: str | Path | None = None,
    *,
    seed: int = 0,
    limit: int | None = None,
    revision: str | None = None,
) -> LoadedBenchmark:
    """Read a benchmark.

    Args:
        benchmark: see ``gramr2.evaluation.benchmarks.benchmark``.
        source: a file, a folder of files or one that ``datasets`` saved, in the published layout or gramr2's own form;
            default: the hub.
        seed: decides which response is A where the source says only which is better, and what ``limit`` draws.
        limit: so many rows' items at most, drawn; items that are scored together stay together.
        revision: of the hub's data set: a commit or a branch; default: the newest.

    Raises:
        DataError: it cannot be read, or a row is not of a known layout.
    """
    if source is None:
        rows, version = _from_hub(benchmark, revision)
    else:
        path = Path(source)
        rows, version = _from_path(benchmark, path), f"local copy {path.name or path.resolve().name}"
    items: dict[str, Item] = {}
    for part, (where, default_id, row) in benchmark.joined(rows):
        for item in _items(benchmark, row, where, Place(default_id, part, seed)):
            fresh = _unique(item, items)
            items[fresh.id] = fresh
    found = tuple(benchmark.gather(tuple(items.values())))
    if not found:
        raise DataError(f"{source or benchmark.home}: there is not one item of {benchmark.name} in it")
    present = {benchmark.section(item) for item in found}
    missing = tuple(name for name in benchmark.sections if name not in present)
    kept = found if limit is None else _drawn(found, limit, seed)
    return LoadedBenchmark(benchmark, kept, version, digest_of_items(found), len(found), missing)


def _items(benchmark: Benchmark, row: object, where: str, place: Place) -> Sequence[Item]:
    if isinstance(row, DataError):
        raise row
    if not isinstance(row, dict):
        raise DataError(f"{where}: is not a JSON object")
    try:
        return tuple(benchmark.own(row, place) if benchmark.is_own(row) else benchmark.read(row, place))
    except (BadRowError, DataError) as error:
        raise DataError(f"{where}: not a row of {benchmark.name} ({benchmark.layout}): {error}") from None


def _unique(item: Item, known: dict[str, Item]) -> Item:
    """The item under an id of its own: some sources use one twice, for other responses to the same prompt."""
    name, count = item.id, 2
    while name in known:
        name, count = f"{item.id}#{count}", count + 1
    if name == item.id:
        return item
    if isinstance(item, Pair):
        return replace(item, comparison=replace(item.comparison, id=name))
    return replace(item, responses=replace(item.responses, id=name))


def _drawn(items: Sequence[Item], limit: int, seed: int) -> tuple[Item, ...]:
    """The items of ``limit`` groups; one without a group is a group of its own."""
    names = sorted(
        {item.group or item.id for item in items}, key=lambda name: (fraction(seed, "benchmark", name), name)
    )
    drawn = set(names[:limit])
    return tuple(item for item in items if (item.group or item.id) in drawn)


def _from_hub(benchmark: Benchmark, revision: str | None) -> tuple[Iterator[tuple[str, RawRow]], str]:
    if not benchmark.hub:
        raise DataError(
            f"{benchmark.name} is not on the hub as one data set: get it from {benchmark.home} and give its path"
        )
    commits = {each: _commit(each, revision) for each in dict.fromkeys(part.id for part in benchmark.hub)}

    def rows() -> Iterator[tuple[str, RawRow]]:
        for part in benchmark.hub:
            name = f"hub:{part.id}" + (f"@{part.config}" if part.config else "")
            for row in read_rows(name, part.split, revision=commits[part.id]):
                yield part.label, row

    splits = {each: [part.label for part in benchmark.hub if part.id == each] for each in commits}
    return rows(), ", ".join(f"{name}@{commits[name]} ({', '.join(splits[name])})" for name in commits)


def _commit(name: str, revision: str | None) -> str:
    """The commit that a branch stands for now, so that the printed version is what was read."""
    from huggingface_hub import HfApi, errors

    client_error = errors.HTTPError  # type: ignore[attr-defined]  # of httpx or httpx2, whichever the hub uses
    try:
        return HfApi().dataset_info(name, revision=revision).sha or revision or "main"
    except errors.RepositoryNotFoundError as error:
        raise DataError(
            f"{name}: the hub has no such data set, or not for you: log in, or give a local copy"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise DataError(f"{name}: the hub has no revision {revision!r} of it") from error
    except (client_error, OSError) as error:
        if revision is None:
            raise DataError(
                f"{name}: the hub does not say which commit is the newest ({reason_of(error)}): give a revision, or a local copy"
            ) from error
        return revision


def _from_path(benchmark: Benchmark, path: Path) -> Iterator[tuple[str, RawRow]]:
    """The rows of a file, of a folder that ``datasets`` saved, or of all files below a folder in the order of their names.

    Of files that are named after splits, or are in folders that are, as in a copy of a repository on the hub, those of other
    splits are left out, and of a clone from GitHub the files that are not items.
    """
    splits = [part.split for part in benchmark.hub]
    if (path / "dataset_dict.json").exists():
        for split in dict.fromkeys(splits) or [None]:
            yield from ((split or path.name, row) for row in read_rows(str(path), split))
        return
    if not path.is_dir() or (path / "dataset_info.json").exists():
        yield from ((_stem(path.name), row) for row in read_rows(str(path)))
        return
    files = sorted(each for each in path.rglob("*") if each.name.lower().endswith(FILES) and each.is_file())
    if not files:
        raise DataError(f"{path}: there is no file with one of the endings {', '.join(FILES)} in this folder")
    for file in files:
        below = file.relative_to(path)
        name = _stem(below.name)
        shard = _SHARD.fullmatch(name)
        names = [*below.parts[:-1], shard[1] if shard else name]
        if (shard and splits and shard[1] not in splits) or _of_another(names, splits):
            continue
        part = "/".join(names)
        if any(each in part for each in benchmark.skips):
            continue
        for where, default_id, row in read_rows(str(file)):
            yield part, (where, f"{'/'.join(below.parts)}:{default_id.rpartition(':')[2]}", row)


def _of_another(names: Sequence[str], splits: Sequence[str]) -> bool:
    """Whether one of the names says a split that is none of these; where these have names of their own, no other is a split."""
    own = {_SPLITS[split] for split in splits if split in _SPLITS}
    said = {_SPLITS[name.lower()] for name in names if name.lower() in _SPLITS}
    return bool(own and said - own)


def _stem(name: str) -> str:
    ending = next((each for each in sorted(FILES, key=len, reverse=True) if name.lower().endswith(each)), "")
    return name[: len(name) - len(ending)]


def digest_of_items(items: Sequence[Item]) -> str:
    """BLAKE2b over the items' prompts, responses, right answers and sections; see ``LoadedBenchmark.digest``."""
    return text_hash(json.dumps(sorted(map(_canonical, items))), 16)


def _canonical(item: Item) -> str:
    """The content of an item whichever response is A."""
    right: list[float]
    if isinstance(item, Pair):
        kind, turns, texts = "pair", item.comparison.prompt, list(item.comparison.responses)
        right = [float(item.label is each) for each in (Label.A, Label.B)]
    else:
        kind, turns, texts = "choice", item.responses.prompt, list(item.responses.responses)
        right = [float(i in item.chosen) for i in range(item.size)]
    prompt = [[turn.role, turn.content] for turn in turns]
    return json.dumps([kind, item.category, prompt, sorted(zip(texts, right, strict=True))])
