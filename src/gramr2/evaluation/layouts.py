"""An evaluation in the layouts that other tools read: Parquet for ``datasets``, and RewardBench's result files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gramr2.comparison import as_messages
from gramr2.errors import ConfigError, writing
from gramr2.evaluation.evaluating import short
from gramr2.evaluation.log import Item, Log
from gramr2.files import write_json

GENERATIVE, CLASSIFIER = "Generative RM", "Custom Classifier"
"""what RewardBench calls the kinds of models"""


def write_parquet(log: Log, file: Path) -> None:
    """The items as a Parquet file, one row each, with the same columns and types whatever the evaluation.

    Prompts are chat messages there, also those of one turn, since a column has one type.

    Raises:
        RunError: the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    table = pa.Table.from_pylist([_row(item) for item in log.items], schema=_schema())
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table, file)


def write_rewardbench(log: Log, folder: Path) -> tuple[Path, Path]:
    """``eval-set/MODEL.json`` with the score of each subset, and ``eval-set-scores/MODEL.json`` with the items.

    Of a benchmark with a name an item's result is what it counts in the official score; else a right answer counts 1, a wrong
    one 0, and no answer 0.5. The layout is that of ``scripts/run_generative.py`` in the package rewardbench 0.1.4.

    Raises:
        ConfigError: the evaluation has no pairs.
        RunError: a file cannot be written.
    """
    if not log.items:
        raise ConfigError(f"{log.path} has no pairs: RewardBench's layout is of chosen and rejected responses")
    name = log.summary.model
    head = {
        "model": name,
        "model_type": GENERATIVE if log.summary.prompt or any(map(_was_read, log.items)) else CLASSIFIER,
        "chat_template": log.summary.prompt,
    }
    results = [_result(item) for item in log.items]
    subsets: dict[str, list[float]] = {}
    for item, result in zip(log.items, results, strict=True):
        subsets.setdefault(_subset(item), []).append(result)
    texts = [_texts(item) for item in log.items]
    chances = [_chances(item) for item in log.items]
    items = {
        "id": [item.id for item in log.items],
        "subset": [_subset(item) for item in log.items],
        "text_chosen": [chosen for chosen, _ in texts],
        "text_rejected": [rejected for _, rejected in texts],
        "results": results,
        "scores_chosen": [chosen for chosen, _ in chances],
        "scores_rejected": [rejected for _, rejected in chances],
    }
    scores = {subset: sum(found) / len(found) for subset, found in subsets.items()}
    file = f"{short(name)}.json"
    grouped, single = folder / "eval-set" / file, folder / "eval-set-scores" / file
    write_json(grouped, head | scores)
    write_json(single, head | items)
    return grouped, single


def _was_read(item: Item) -> bool:
    """Whether a verdict was read from a model's words: a judge behind an address keeps its prompt to itself."""
    return bool(item.readings or item.rationale)


def _subset(item: Item) -> str:
    return item.category or "none"


def _result(item: Item) -> float:
    if item.credit is not None:
        return item.credit
    return 0.5 if item.right is None else float(item.right)


def _texts(item: Item) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The conversations with the better and with the other response; of a tie, with the first and the second."""
    turns = _turns(item)
    first, second = ([*turns, {"role": "assistant", "content": each}] for each in item.responses)
    return (second, first) if item.expected == "B" else (first, second)


def _chances(item: Item) -> tuple[float | None, float | None]:
    found = item.probabilities or {}
    better, other = ("B", "A") if item.expected == "B" else ("A", "B")
    return found.get(better), found.get(other)


def _turns(item: Item) -> list[dict[str, Any]]:
    return [{"role": turn.role, "content": turn.content} for turn in as_messages(item.prompt)]


def _row(item: Item) -> dict[str, Any]:
    people = [{"annotator": name, "label": label} for name, label in item.annotations.items()]
    return item.model_dump(mode="json") | {"prompt": _turns(item), "annotations": people}


def _schema() -> Any:
    import pyarrow as pa

    labels = pa.struct([(label, pa.float64()) for label in ("A", "B", "tie")])
    vote = [
        *((name, pa.string()) for name in ("order", "reading", "outcome", "rationale", "finish_reason", "error")),
        ("probabilities", labels),
        ("tokens", pa.int64()),
    ]
    kinds = {
        "id": pa.string(),
        "prompt": pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
        "responses": pa.list_(pa.string()),
        "category": pa.string(),
        "source": pa.string(),
        "group": pa.string(),
        "expected": pa.string(),
        "label": pa.string(),
        "right": pa.bool_(),
        "credit": pa.float64(),
        "confidence": pa.float64(),
        "agreement": pa.float64(),
        "order_flip": pa.bool_(),
        "coverage": pa.float64(),
        "rationale": pa.string(),
        "rationale_order": pa.string(),
        "probabilities": labels,
        "readings": pa.struct([(name, labels) for name in ("direct", "reasoned")]),
        "votes": pa.list_(pa.struct(vote)),
        "annotations": pa.list_(pa.struct([("annotator", pa.string()), ("label", pa.string())])),
        "prompt_tokens": pa.int64(),
        "completion_tokens": pa.int64(),
        "seconds": pa.float64(),
    }
    return pa.schema(kinds.items())
