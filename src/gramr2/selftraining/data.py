"""The run's three data sets, loaded, measured against the token budget, and checked for leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.config import RunConfig
from gramr2.config.run import SourceConfig
from gramr2.data import LoadReport, OnBadRow, load_labeled, load_unlabeled, overlap, subset
from gramr2.errors import DataError
from gramr2.evaluation.metrics import length_baseline
from gramr2.judging.budget import Overlong, TokenCounter, overlong, refuse
from gramr2.judging.template import JudgeTemplate

Item = TypeVar("Item", Comparison, LabeledComparison)


@dataclass(frozen=True, slots=True)
class RunData:
    """What a run works on; ``summary`` goes to ``data.json``."""

    seed: tuple[LabeledComparison, ...]
    pool: tuple[Comparison, ...]
    gold: tuple[LabeledComparison, ...]
    summary: dict[str, Any]


def load_data(config: RunConfig) -> RunData:
    """Load all sources of a config and refuse leaks from gold into training.

    Raises:
        DataError: a bad row (with ``on_bad_row: fail``), an id that stands in two sources, or a gold comparison that is
            also in the seed or the pool.
    """
    policy = OnBadRow(config.data.on_bad_row)
    reports: dict[str, list[LoadReport]] = {"seed": [], "pool": [], "gold": []}

    def labeled(part: str, sources: Sequence[SourceConfig]) -> tuple[LabeledComparison, ...]:
        items: list[LabeledComparison] = []
        for source in sources:
            loaded, report = load_labeled(source.path, split=source.split, on_bad_row=policy)
            reports[part].append(report)
            items += _limited(loaded, source, config.seed, lambda item: item.comparison.id)
        _unique([item.comparison.id for item in items], part)
        return tuple(items)

    seed, gold = labeled("seed", config.data.seed), labeled("gold", config.data.gold)
    pool: list[Comparison] = []
    for source in config.data.pool:
        loaded, report = load_unlabeled(source.path, split=source.split, on_bad_row=policy)
        reports["pool"].append(report)
        pool += _limited(loaded, source, config.seed, lambda comparison: comparison.id)
    _unique([c.id for c in pool], "pool")
    held_out = [item.comparison for item in gold]
    for name, others in (("seed", [item.comparison for item in seed]), ("pool", pool)):
        leaks = overlap(others, held_out)
        if leaks:
            raise DataError(
                f"{len(leaks)} gold comparisons are also in the {name} (the first: {leaks[0][1]!r}): take them out of one of "
                "the two, or the gold accuracy means nothing"
            )
    summary = {
        "seed": _labels(seed),
        "pool": {"n": len(pool)},
        "gold": _labels(gold) | {"longer_response_accuracy": length_baseline(gold)},
        "skipped": {part: [reason for r in rs for reason in r.skipped] for part, rs in reports.items()},
    }
    return RunData(seed, tuple(pool), gold, summary)


def fit(data: RunData, config: RunConfig, template: JudgeTemplate, counter: TokenCounter) -> RunData:
    """Hold every comparison against the token budget; over-long ones are refused, or dropped and counted.

    Raises:
        PromptTooLongError: some do not fit and the config says refuse.
    """
    limit = config.data.max_prompt_tokens

    def answer(item: LabeledComparison) -> str:
        return "".join(template.answer(item.label, item.rationale))

    def settle(part: str, found: list[Overlong], total: int) -> set[str]:
        if config.data.on_overlong == "refuse":
            refuse(found, total, f"data.{part}")
        return {each.id for each in found}

    pool_room, gold_room = config.judge.pool.max_new_tokens, config.judge.gold.max_new_tokens
    seed_found = overlong(
        counter, template, [(i.comparison, answer(i)) for i in data.seed], new_tokens=0, max_prompt_tokens=limit
    )
    pool_found = overlong(
        counter, template, [(c, "") for c in data.pool], new_tokens=pool_room, max_prompt_tokens=limit
    )
    gold_found = overlong(
        counter, template, [(i.comparison, "") for i in data.gold], new_tokens=gold_room, max_prompt_tokens=limit
    )
    out = {
        "seed": settle("seed", seed_found, len(data.seed)),
        "pool": settle("pool", pool_found, len(data.pool)),
        "gold": settle("gold", gold_found, len(data.gold)),
    }
    kept = RunData(
        tuple(i for i in data.seed if i.comparison.id not in out["seed"]),
        tuple(c for c in data.pool if c.id not in out["pool"]),
        tuple(i for i in data.gold if i.comparison.id not in out["gold"]),
        data.summary | {"overlong": {part: sorted(ids) for part, ids in out.items()}},
    )
    for part in ("seed", "gold"):
        if not getattr(kept, part):
            raise DataError(f"data.{part}: every comparison is over the token budget: raise data.max_prompt_tokens")
    return kept


def _limited(items: Sequence[Item], source: SourceConfig, seed: int, key: Callable[[Item], str]) -> Sequence[Item]:
    return items if source.limit is None else subset(items, source.limit, seed, key=key)


def _unique(ids: Sequence[str], part: str) -> None:
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise DataError(
            f"data.{part}: the id {twice[0]!r} stands in two sources: ids address judgments and must be unique"
        )


def _labels(items: Sequence[LabeledComparison]) -> dict[str, Any]:
    counts = Counter(item.label for item in items)
    return {
        "n": len(items),
        "labels": {label.value: counts[label] for label in Label},
        "with_rationale": sum(item.rationale is not None for item in items),
    }
