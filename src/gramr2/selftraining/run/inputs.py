"""What a run was started with: digests of its data, row by row, and of its models, file by file.

A resumed run with other inputs would mix two runs: a paired test would compare judges on different gold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gramr2.backends.registry import digests_of
from gramr2.comparison import Comparison, LabeledComparison
from gramr2.config import RunConfig
from gramr2.config.training import ModelConfig
from gramr2.errors import RunError
from gramr2.files import read_jsonl, write_text
from gramr2.hashing import digest_of
from gramr2.judging.records import comparison_row, labeled_row
from gramr2.selftraining.run.data import RunData
from gramr2.selftraining.run.records import VERSION, Record

FILE = "inputs.json"
_PLACES = {"seed": "data.seed", "pool": "data.pool", "gold": "data.gold", "proving": "rationale.proving.data"}


class Inputs(Record):
    """``RUN/inputs.json``."""

    data: dict[str, dict[str, str]]
    """a digest of each comparison by its id, by the place that names the data in the run file"""
    models: dict[str, dict[str, str]]
    """the SHA-256 of each file that decides a model's answers, by the place that names the model"""
    version: int = VERSION

    @classmethod
    def present(cls, config: RunConfig, data: RunData, backbone: Callable[[ModelConfig], Path]) -> Inputs:
        """The inputs as they are now.

        Args:
            data: all data as loaded, before the token budget is applied.
            backbone: the folder of a model.
        """
        parts: dict[str, Sequence[Comparison | LabeledComparison]] = {
            "data.seed": (*data.seed, *data.held_out),
            "data.pool": data.pool,
            "data.gold": data.gold,
            "rationale.proving.data": data.proving,
            "final.data": data.final,
        }
        models = {"model": config.model}
        if config.rationale.source == "proving" and config.rationale.proving.model:
            models["rationale.proving.model"] = config.rationale.proving.model
        return cls(
            data={place: dict(map(_digested, items)) for place, items in parts.items() if items},
            models={place: digests_of(backbone(model)) for place, model in models.items()},
            version=VERSION,
        )

    def changes(self, now: Inputs) -> list[str]:
        """A phrase for every place whose content is another one now."""
        found = [
            *_changes(self.data, now.data, "comparison", "comparisons"),
            *_changes(self.models, now.models, "file", "files"),
        ]
        return [f"{place}: {what}" for place, what in found]


def agree_on_inputs(folder: Path, now: Inputs, data: RunData) -> bool:
    """Check that the inputs are those that a run was started with; they are recorded first, if it has no record of them.

    The record of a run of an older version is what its finished stages wrote down.

    Returns:
        Whether an older version started the run, so that not everything could be checked.

    Raises:
        RunError: they are not, and what differs is named; or the record cannot be read.
    """
    file = folder / FILE
    if file.exists():
        older, changes = False, Inputs.read(file).changes(now)
    else:
        older = (folder / "data.json").exists() or (folder / "rounds").exists()
        changes = list(_contradicted(folder, data)) if older else []
    if changes:
        raise RunError(
            f"{folder} was started with other inputs ({'; '.join(changes)}): restore them or give a new folder with --out"
        )
    if not file.exists():
        write_text(file, json.dumps(now.row(), ensure_ascii=False, indent=1) + "\n")
    return older


def _digested(item: Comparison | LabeledComparison) -> tuple[str, str]:
    if isinstance(item, Comparison):
        return item.id, digest_of(comparison_row(item))[:16]
    return item.comparison.id, digest_of(labeled_row(item))[:16]


def _changes(
    before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]], one: str, many: str
) -> Iterator[tuple[str, str]]:
    for place in dict.fromkeys((*before, *now)):
        old, new = before.get(place, {}), now.get(place, {})
        kinds = {
            "changed": [name for name in old if name in new and old[name] != new[name]],
            "gone": [name for name in old if name not in new],
            "new": [name for name in new if name not in old],
        }
        said = [
            f"{len(names)} {one if len(names) == 1 else many} {kind} ({names[0]!r}{', …' if len(names) > 1 else ''})"
            for kind, names in kinds.items()
            if names
        ]
        if said:
            yield place, ", ".join(said)
        elif list(old) != list(new):
            yield place, f"the same {many} in another order"


def _contradicted(folder: Path, data: RunData) -> Iterator[str]:
    """What the files of an older version's run say about its data, and is no longer so."""
    try:
        summary = _object(folder / "data.json")
        gold = _rows(folder / "rounds" / "0" / "gold.jsonl")
        dropped = [row for file in sorted(folder.glob("rounds/*/dropped.jsonl")) for row in _rows(file)]
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{folder}: a file of this run cannot be read ({error}): restore it from a copy") from error
    for part in ("seed", "pool", "gold"):
        told, present = summary.get(part, {}), data.summary.get(part, {})
        for key in ("n", "labels"):
            if key in told and told[key] != present.get(key):
                yield f"{_PLACES[part]}: {key} was {told[key]} and is {present.get(key)}"
    truths = {item.comparison.id: (_shown(comparison_row(item.comparison)), item.label.value) for item in data.gold}
    other = [row["id"] for row in gold if truths.get(row["id"]) != (_shown(row), row.get("truth"))]
    if other:
        yield f"data.gold: {len(other)} of {len(gold)} comparisons that were judged are others now ({other[0]!r})"
    pool = {item.id: _shown(comparison_row(item)) for item in data.pool}
    other = [row["id"] for row in dropped if pool.get(row["id"]) != _shown(row)]
    if other:
        yield f"data.pool: {len(other)} of {len(dropped)} comparisons that were judged are others now ({other[0]!r})"


def _object(file: Path) -> dict[str, Any]:
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if not isinstance(found, dict):
        raise ValueError(f"{file} holds no JSON object")
    return found


def _rows(file: Path) -> list[dict[str, Any]]:
    rows = read_jsonl(file) if file.exists() else []
    if not all(isinstance(row, dict) and "id" in row for row in rows):
        raise ValueError(f"{file} holds a row without an id")
    return rows


def _shown(row: dict[str, Any]) -> tuple[str, str]:
    return json.dumps(row.get("prompt")), json.dumps(row.get("responses"))
