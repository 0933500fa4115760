"""The run's data sets, loaded, checked for leaks, and held to the token budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.config import RunConfig
from gramr2.config.data import SourceConfig
from gramr2.data import LoadReport, OnBadRow, refuse_leaks, subset, whole_prompts
from gramr2.data.annotators import Aggregate, conflicting, merged
from gramr2.data.split import without_copies
from gramr2.errors import DataError
from gramr2.evaluation.calibration import MIN_ITEMS
from gramr2.evaluation.metrics import length_baseline
from gramr2.judging.budget import PromptTemplate, TokenCounter, overlong, refuse
from gramr2.judging.proving import ProvingTemplate
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.randomness import derive_seed
from gramr2.selftraining.run.doubts import doubts
from gramr2.selftraining.run.sources import id_names, read_labeled, read_unlabeled
from gramr2.written import joined

Item = TypeVar("Item", Comparison, LabeledComparison)


@dataclass(frozen=True, slots=True)
class RunData:
    """The data of a run; ``summary`` goes to ``data.json``.

    ``held_out`` are seed comparisons used for calibration and not trained on; ``proving`` and ``final`` are the training
    data of the proving model and of the last fine-tuning.
    """

    seed: tuple[LabeledComparison, ...]
    pool: tuple[Comparison, ...]
    gold: tuple[LabeledComparison, ...]
    summary: dict[str, Any]
    held_out: tuple[LabeledComparison, ...] = ()
    proving: tuple[LabeledComparison, ...] = ()
    final: tuple[LabeledComparison, ...] = ()


def load_data(config: RunConfig) -> RunData:
    """Load all sources of a config and refuse leaks from gold into training.

    Raises:
        DataError: a bad row (with ``on_bad_row: fail``), an id that occurs in two sources, a gold comparison that is
            also trained on, or no rationales where a stage needs some.
    """
    policy = OnBadRow(config.data.on_bad_row)
    reports: dict[str, list[LoadReport]] = {"seed": [], "pool": [], "gold": []}
    proving_config = config.rationale.proving if config.rationale.source == "proving" else None

    def labeled(part: str, sources: Sequence[SourceConfig]) -> tuple[LabeledComparison, ...]:
        items: list[LabeledComparison] = []
        for source, name in zip(sources, id_names(sources), strict=True):
            loaded, report = read_labeled(source, policy, name)
            reports.setdefault(part, []).append(report)
            items += _limited(loaded, source, config.seed, lambda item: item.comparison.id)
        _unique([item.comparison.id for item in items], part)
        return settled(items, part)

    checked: dict[str, dict[str, Any]] = {}

    def settled(items: Sequence[LabeledComparison], part: str) -> tuple[LabeledComparison, ...]:
        """The rows as the config wants several labels of one comparison; what was found goes to the summary."""
        checked[part] = doubts(items)
        # Whose a label is matters until here; the digests of a run's data are of the comparisons.
        whole = tuple(replace(item, annotator=None) for item in merged(items, Aggregate(config.data.aggregate)))
        if config.data.on_conflict == "accept":
            return whole
        wrong = conflicting(whole)
        if wrong and config.data.on_conflict == "refuse":
            raise DataError(
                f"{_place(part)}: {len(wrong)} rows have another label than a row of the same comparison (the first: "
                f"{min(wrong)!r}): correct them, set data.aggregate, or data.on_conflict: drop"
            )
        return tuple(item for item in whole if item.comparison.id not in wrong)

    seed, gold = labeled("seed", config.data.seed), labeled("gold", config.data.gold)
    pool: list[Comparison] = []
    for source, name in zip(config.data.pool, id_names(config.data.pool), strict=True):
        loaded, report = read_unlabeled(source, policy, name)
        reports["pool"].append(report)
        pool += _limited(loaded, source, config.seed, lambda comparison: comparison.id)
    _unique([c.id for c in pool], "pool")
    trained, held_out = _hold_out(seed, config)
    proving, final = (
        labeled("proving", proving_config.data if proving_config else ()),
        labeled("final", config.final.data if config.final else ()),
    )
    refuse_leaks(gold, pool, of="data.gold", where="data.pool")
    for name, learnt in (("data.seed", seed), ("rationale.proving.data", proving), ("final.data", final)):
        refuse_leaks(gold, learnt, of="data.gold", where=name)
    summary = {
        "seed": _labels(seed),
        "pool": {"n": len(pool)},
        "gold": _labels(gold) | {"longer_response_accuracy": length_baseline(gold)},
        "held_out": {"n": len(held_out)},
        "skipped": {part: [reason for r in rs for reason in r.skipped] for part, rs in reports.items()},
        "doubts": {part: found for part, found in checked.items() if any(found.values())},
    }
    annotated = tuple(item for item in trained if item.rationale is not None)
    if proving_config and proving_config.train:
        proving = _with_rationales(proving, annotated, "rationale.proving")
    if config.final:
        final = _with_rationales(final, annotated, "final")
    return RunData(trained, tuple(pool), gold, summary, held_out, proving, final)


def _hold_out(
    seed: tuple[LabeledComparison, ...], config: RunConfig
) -> tuple[tuple[LabeledComparison, ...], tuple[LabeledComparison, ...]]:
    """The seed to train on, and the part held out for calibration: empty if it is not needed or would be too small."""
    wanted = round(len(seed) * config.data.held_out_share)
    used = config.calibrates or config.data.hold_out == "always"
    if not used or wanted < MIN_ITEMS:
        return seed, ()
    # Split by prompt, as early stopping does: a judge is more confident on a prompt that it was trained on.
    out = {item.comparison.id for item in whole_prompts(seed, wanted, derive_seed(config.seed, "held out"))}
    if len(out) < MIN_ITEMS:
        return seed, ()
    return (
        tuple(item for item in seed if item.comparison.id not in out),
        tuple(item for item in seed if item.comparison.id in out),
    )


def _with_rationales(
    named: tuple[LabeledComparison, ...], annotated: tuple[LabeledComparison, ...], place: str
) -> tuple[LabeledComparison, ...]:
    """The data a stage learns rationales from: its own if configured, else the annotated seed."""
    items = tuple(item for item in named if item.rationale is not None) if named else annotated
    if not items:
        where = f"{place}.data" if named else "the seed"
        remedy = f"name annotated comparisons in {place}.data" + (
            ", or set rationale.proving.train: false to prompt the backbone as it is" if "proving" in place else ""
        )
        raise DataError(f"{place} learns from rationales, but {where} has none: {remedy}")
    return items


def fit_to_budget(data: RunData, config: RunConfig, template: JudgeTemplate, counter: TokenCounter) -> RunData:
    """Check every comparison against the token budget; over-long ones are refused, or dropped and counted.

    Raises:
        PromptTooLongError: some do not fit and the config says refuse.
        DataError: no comparison of the seed, or of gold, fits.
    """
    data = _apart(data)
    pool_room, gold_room = config.judge.pool.max_new_tokens, config.judge.gold.max_new_tokens
    proving = config.rationale.source == "proving"
    prompt: PromptTemplate = template
    if proving:
        # The pool is shown in both prompts, so the longer one counts.
        proof: PromptTemplate = ProvingTemplate(template.principles)
        prompt = max(prompt, proof, key=lambda form: len(form.render(_EMPTY)[0].content))
        pool_room = max(pool_room, config.rationale.proving.max_new_tokens)
    bare_room = pool_room if config.rationale.fills_seed else 0
    judged = config.judge.pool.max_new_tokens
    if template.mode is JudgeMode.REASON and _measures_readings(config):
        # With the settings of gold.
        judged, pool_room = max(judged, gold_room), max(pool_room, gold_room)
    rooms = {"seed": 0, "held_out": judged, "pool": pool_room, "gold": gold_room, "proving": 0, "final": 0}
    out: dict[str, set[str]] = {}
    for part, room in rooms.items():
        form = template if part in ("gold", "held_out") else prompt
        items = [_with_answer(item, template, trained=part in _LEARNT) for item in getattr(data, part)]
        found = overlong(counter, form, items, new_tokens=room, max_prompt_tokens=config.data.max_prompt_tokens)
        if part == "seed" and bare_room:
            known = {each.id for each in found}
            bare = [(item.comparison, "") for item in data.seed if item.rationale is None and _id(item) not in known]
            found += overlong(
                counter, form, bare, new_tokens=bare_room, max_prompt_tokens=config.data.max_prompt_tokens
            )
        if config.data.on_overlong == "refuse":
            refuse(found, len(items), _place(part))
        out[part] = {each.id for each in found}
        if part in ("seed", "gold") and len(found) == len(items):
            raise DataError(f"data.{part}: every comparison is over the token budget: raise data.max_prompt_tokens")
    dropped = {part: sorted(ids) for part, ids in out.items() if ids or part in ("seed", "pool", "gold")}
    left = {part: tuple(i for i in getattr(data, part) if _id(i) not in ids) for part, ids in out.items()}
    return replace(data, summary=data.summary | {"overlong": dropped}, **left)


def _apart(data: RunData) -> RunData:
    """The data without copies of what is held out in what other stages learn. They still count as inputs of the run.

    Raises:
        DataError: nothing is left for a stage.
    """
    learnt = {part: without_copies(getattr(data, part), data.held_out) for part in ("proving", "final")}
    gone = {part: len(getattr(data, part)) - len(items) for part, items in learnt.items()}
    for part, items in learnt.items():
        if gone[part] and not items:
            raise DataError(
                f"{_place(part)}: every comparison is held out of the seed: name others, or lower data.held_out_share"
            )
    if not any(gone.values()):
        return data
    told = {"n": len(data.held_out), "left_out": {_place(part): count for part, count in gone.items() if count}}
    return replace(data, summary=data.summary | {"held_out": told}, proving=learnt["proving"], final=learnt["final"])


def _measures_readings(config: RunConfig) -> bool:
    """Whether the readings of a verdict, or a second view that counts in it, may be weighed on what is held out or the pool."""
    view = config.second_view
    return config.judge.verdict in ("auto", "both") or (view is not None and view.verdict_weight > 0)


_PLACES = {"held_out": "data.seed (held out)", "proving": "rationale.proving.data", "final": "final.data"}
_LEARNT = ("seed", "proving", "final")
_EMPTY = Comparison("", (Message("user", ""),), ("", ""))


def _place(part: str) -> str:
    """The key of a run file under which the sources of a part stand."""
    return _PLACES.get(part, f"data.{part}")


def _id(item: Comparison | LabeledComparison) -> str:
    return item.id if isinstance(item, Comparison) else item.comparison.id


def _with_answer(
    item: Comparison | LabeledComparison, template: JudgeTemplate, trained: bool
) -> tuple[Comparison, str]:
    """A comparison, and the answer it is trained on; empty if it is not."""
    if isinstance(item, Comparison):
        return item, ""
    return item.comparison, joined(*template.answer(item.label, item.rationale)) if trained else ""


def _limited(items: Sequence[Item], source: SourceConfig, seed: int, key: Callable[[Item], str]) -> Sequence[Item]:
    return items if source.limit is None else subset(items, source.limit, seed, key=key)


def _unique(ids: Sequence[str], part: str) -> None:
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise DataError(
            f"{_place(part)}: the id {twice[0]!r} occurs in two sources: ids identify judgments and must be unique"
        )


def _labels(items: Sequence[LabeledComparison]) -> dict[str, Any]:
    counts = Counter(item.label for item in items)
    return {
        "n": len(items),
        "labels": {label.value: counts[label] for label in Label},
        "with_rationale": sum(item.rationale is not None for item in items),
    }
