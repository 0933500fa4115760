"""The task of an adaptation, and the runs that do it: the loop's first stage alone, once for each size of the curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gramr2.comparison import LabeledComparison
from gramr2.config import RunConfig, parse_config
from gramr2.config.data import Layout
from gramr2.config.training import EarlyStopConfig, TrainingConfig
from gramr2.data import in_part, subset
from gramr2.errors import ConfigError
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import ReadingWeights

MIN_HELD_OUT = 8
"""fewer comparisons are too few to measure on"""
OWN_VOTES = 4


class Rationales(StrEnum):
    """Where the rationales that the judge learns come from."""

    DATA = "data"
    """the rows' own; rows without one teach the label alone"""
    OWN = "own"
    """the rows' own, else the judge's, where one of its votes reaches the label"""
    PROOFS = "proofs"
    """the rows' own, else proofs of the label by a proving model, trained on the rows that have a rationale"""
    NONE = "none"
    """labels alone"""


class OnRegression(StrEnum):
    """What happens when the adapted judge is significantly worse on the general set."""

    REFUSE = "refuse"
    WARN = "warn"


def _lora() -> TrainingConfig:
    return TrainingConfig(
        method="lora", epochs=10, min_steps=0, batch_size=8, learning_rate=2e-4, early_stop=EarlyStopConfig()
    )


@dataclass(frozen=True, slots=True)
class Task:
    """A judge, the labelled comparisons of a task, and how to adapt the judge to it.

    ``test`` is measured on; without it, a share ``held_out`` of the data, in whole prompts, is measured on and not trained on.
    ``general`` guards what the judge could do before. ``sizes`` are the points of a learning curve in addition to all of the
    data. ``shots`` examples in the prompt replace training. ``replay`` are labelled comparisons of what the judge could do
    before, learnt along with those of the task: ``replay_limit`` of them, or as many as there are of the task. If
    ``rationales`` is None, the data decide: the rows' own if all have one, else ``own``. ``layout`` is how ``data`` and
    ``test`` are read.
    """

    model: str
    data: str
    test: str | None = None
    general: str | None = None
    held_out: float = 0.2
    sizes: tuple[int, ...] = ()
    shots: int = 0
    replay: str | None = None
    replay_limit: int | None = None
    rationales: Rationales | None = None
    training: TrainingConfig = field(default_factory=_lora)
    max_new_tokens: int = 256
    close_on_budget: bool = False
    on_regression: OnRegression = OnRegression.REFUSE
    seed: int = 0
    layout: Layout = field(default_factory=Layout)

    def __post_init__(self) -> None:
        """Refuse settings that would be ignored.

        Raises:
            ConfigError: one setting makes another meaningless.
        """
        if self.shots and (self.sizes or self.rationales or self.replay):
            raise ConfigError(
                "--few-shot trains nothing, so --curve, --rationales and --replay have no effect: leave them out"
            )
        if self.replay_limit and not self.replay:
            raise ConfigError("--replay-limit without --replay: name the comparisons to replay")


def parts(task: Task, items: Sequence[LabeledComparison]) -> tuple[list[LabeledComparison], list[LabeledComparison]]:
    """The part of the data to learn from, and the part to measure on (empty if there is a test set).

    Raises:
        ConfigError: too few comparisons would be held out, or a size is larger than the part to learn from.
    """
    if task.test is None:
        held_out = [item for item in items if in_part(item.comparison, 1 - task.held_out, 1)]
        if len(held_out) < MIN_HELD_OUT:
            raise ConfigError(
                f"{task.data}: of its {len(items)} comparisons {len(held_out)} would be held out, too few to measure on: name "
                f"labelled comparisons of the task with --test, or hold out more than {task.held_out:g} with --held-out"
            )
        ids = {item.comparison.id for item in held_out}
        learnt = [item for item in items if item.comparison.id not in ids]
    else:
        learnt, held_out = list(items), []
    too_large = [size for size in task.sizes if size > len(learnt)]
    if too_large or not learnt:
        raise ConfigError(
            f"{task.data}: there are {len(learnt)} comparisons to learn from"
            + (f", fewer than the {too_large[0]} of --curve" if too_large else "; hold out less")
        )
    return learnt, held_out


def run_config(
    task: Task,
    template: JudgeTemplate,
    size: int | None,
    learnt: Sequence[LabeledComparison],
    replayed: Sequence[LabeledComparison] = (),
    options: Mapping[str, Any] | None = None,
) -> RunConfig:
    """The run that trains on ``size`` comparisons of the data, or all: no rounds, the judge itself as the pretrained model.

    ``learnt`` and ``replayed`` are the comparisons of the data and of the replay to draw from. ``options`` are the variables of
    the chat template that are saved with the judge.
    """
    layout = task.layout.model_dump(mode="json", exclude_defaults=True)
    data: dict[str, Any] = {"path": task.data, "limit": size} | layout
    gold: dict[str, Any] = {"path": task.test or task.data} | layout
    if task.test is None:
        data["part"], gold["part"] = [0.0, 1 - task.held_out], [1 - task.held_out, 1.0]
    seed = [data]
    if task.replay:
        seed.append({"path": task.replay, "limit": _most_replayed(task, learnt, size)})
    sampling = {"max_new_tokens": task.max_new_tokens, "close_on_budget": task.close_on_budget}
    mode, rationale = template.mode.value, _rationale(task, template, learnt, replayed, size)
    if rationale["source"] == "none":
        mode = JudgeMode.LABEL.value
    raw = {
        "seed": task.seed,
        "model": {"name": task.model, "chat_template_options": dict(options or {})},
        "data": {"seed": seed, "gold": gold},
        "judge": {
            "mode": mode,
            "verdict": "auto" if mode == JudgeMode.LABEL else _verdict(template.readings),
            # A judge that may call ties may still do so after the training.
            "ties": template.readings.ties or "auto",
            "principles": list(template.principles),
            "pool": sampling,
            "gold": sampling,
        },
        "training": task.training.model_dump(mode="json"),
        "rationale": rationale,
        "rounds": 0,
        "filters": [],
        "baselines": [],
    }
    return parse_config(raw, "adapt")


def _verdict(readings: ReadingWeights) -> str:
    """The judge's own way of reading verdicts, so that it is measured in the same way before and after."""
    return "both" if len(readings.asked) > 1 else readings.asked[0].value


def drawn(
    task: Task, learnt: Sequence[LabeledComparison], replayed: Sequence[LabeledComparison], size: int | None
) -> tuple[Sequence[LabeledComparison], Sequence[LabeledComparison]]:
    """The comparisons of the task and of the replay that a run of ``size`` learns: the subsets its config's limits draw."""
    of_task = learnt if size is None else subset(learnt, size, task.seed, key=_id)
    return of_task, subset(replayed, _most_replayed(task, learnt, size), task.seed, key=_id)


def _most_replayed(task: Task, learnt: Sequence[LabeledComparison], size: int | None) -> int:
    return task.replay_limit or size or len(learnt)


def _id(item: LabeledComparison) -> str:
    return item.comparison.id


def _rationale(
    task: Task,
    template: JudgeTemplate,
    learnt: Sequence[LabeledComparison],
    replayed: Sequence[LabeledComparison],
    size: int | None,
) -> dict[str, Any]:
    known = [*learnt, *replayed]
    with_one = sum(item.rationale is not None for item in known)
    chosen = task.rationales or (
        Rationales.NONE
        if template.mode is JudgeMode.LABEL
        else Rationales.DATA
        if with_one == len(known)
        else Rationales.OWN
    )
    if chosen is Rationales.NONE:
        return {"source": "none"}
    if template.mode is JudgeMode.LABEL:
        raise ConfigError(
            f"{task.model} judges without rationales: leave --rationales {chosen} out, or adapt another judge"
        )
    if chosen is Rationales.DATA and not with_one:
        raise ConfigError(f"{task.data}: no row has a rationale: use --rationales with one of {', '.join(_OTHERS)}")
    if chosen is Rationales.PROOFS:
        teachers = any(item.rationale is not None for part in drawn(task, learnt, replayed, size) for item in part)
        return {"source": "proving", "proving": {"train": teachers, "max_new_tokens": task.max_new_tokens}}
    return {"source": "joint", "own_for_seed": OWN_VOTES if chosen is Rationales.OWN else 0}


_OTHERS = (Rationales.OWN, Rationales.PROOFS, Rationales.NONE)
