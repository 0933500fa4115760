"""The baselines of a run: fitted on its whole labelled seed, measured on its gold, and kept in its folder.

``RUN/baselines/NAME/`` is a fitted baseline; ``RUN/baselines.json`` has each one's metrics and labels on gold. A second view
that needs the backbone uses the warmed-up one, if there is one, and is kept in ``RUN/views/NAME/``; baselines always use the
pretrained model.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gramr2 import baselines
from gramr2.baselines import BASELINES, Baseline, Setting
from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.config import RunConfig
from gramr2.data.split import overlap
from gramr2.errors import ConfigError, DataError, RunError
from gramr2.evaluation.metrics import evaluate
from gramr2.files import write_json
from gramr2.judging.judge import Progress
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.selftraining.integrity import readable
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.data import RunData, fit_to_budget, load_data
from gramr2.selftraining.run.engine import LocalEngine, opener_here
from gramr2.selftraining.run.folder import config_of
from gramr2.selftraining.warmup import start_of

FOLDER, FILE = "baselines", "baselines.json"


@dataclass(frozen=True, slots=True)
class Measured:
    """A baseline's results on gold: the headline metrics, and its labels in the order of the gold set."""

    gold: dict[str, Any]
    labels: tuple[Label, ...]


def measure_baselines(context: RunContext) -> dict[str, Measured]:
    """Fit the run's baselines and measure them, once; later calls read ``baselines.json``.

    One that cannot learn from this seed, or whose backbone is not available, is left out, and the observer is told why.
    """
    file = context.folder.path / FILE
    if file.exists() and not readable(file):
        context.observer.note(f"{FILE} is damaged: the baselines are measured again")
        file.unlink()
    if not file.exists():
        write_json(file, {name: _measured(context, name) for name in context.config.baselines})
    found = json.loads(file.read_text(encoding="utf-8"))
    for name, record in found.items():
        if "left_out" in record:
            context.observer.note(f"the baseline {name} is left out: {record['left_out']}")
    return {
        name: Measured(record["gold"], tuple(map(Label, record["labels"])))
        for name, record in found.items()
        if "left_out" not in record
    }


def margins_of(
    context: RunContext, name: str, comparisons: Sequence[Comparison], *, warmed: bool = False
) -> dict[str, float]:
    """A baseline's log-odds of A over B, by comparison id; it is fitted first if the run has not done so yet.

    Args:
        warmed: use the warmed-up backbone, if the run has one, instead of the pretrained one.

    Raises:
        ConfigError: it needs the backbone, and the run's is not a model folder.
        DataError: it cannot learn from this seed, or a comparison exceeds the backbone's context.
    """
    if reason := _out_of_reach(context, name):
        raise ConfigError(f"the run needs the baseline {name}, but {reason}")
    with context.observer.task(f"{name} · score {len(comparisons)} comparisons") as progress:
        baseline = _fitted(context, name, warmed, progress)
        margins = baseline.margins(comparisons)
        progress(len(comparisons), len(comparisons))
    return {each.id: margin for each, margin in zip(comparisons, margins, strict=True)}


def fitted(context: RunContext, name: str, *, warmed: bool = False) -> Baseline:
    """A baseline of the run, fitted if it does not exist yet. Arguments and errors as for ``margins_of``."""
    reason = _out_of_reach(context, name)
    if reason:
        raise ConfigError(f"the run needs the baseline {name}, but {reason}")
    return _fitted(context, name, warmed)


def setting_of(context: RunContext, name: str, *, warmed: bool = False) -> Setting:
    """How a baseline of the run is opened."""
    return _place(context, name, warmed)[1]


def from_run(name: str, run: str) -> Baseline:
    """The baseline that ``--model NAME:RUN`` means: the run's own, else one fitted on the seed that its run.yaml names.

    Raises:
        ConfigError: a baseline that learns is given no run, or one that does not learn is given a run.
        RunError: the folder is not a run, or has no Bradley-Terry model, which is too expensive to train on the fly.
    """
    if not BASELINES[name].needs_seed:
        if run:
            raise ConfigError(f"{name} does not learn from a run: give --model {name}")
        return baselines.fit(name, (), model="none")
    if not run:
        raise ConfigError(f"{name} learns from a run's seed: give --model {name}:RUN, where RUN is a run folder")
    folder = Path(run).expanduser()
    if not (folder / "run.yaml").is_file():
        raise RunError(f"{run} is not a run folder: it has no run.yaml; make one with gramr2 train")
    own = folder / FOLDER / name
    if own.is_dir():
        return baselines.load(own)
    if name == "bradley-terry":
        raise RunError(
            f"the run in {run} has no {name} model, which needs a training of its own: add it under baselines: in its run file"
        )
    config = config_of(folder)
    template = JudgeTemplate(JudgeMode(config.judge.mode), tuple(config.judge.principles))
    engine = LocalEngine(config)
    data = fit_to_budget(load_data(config), config, template, engine.counter())
    return baselines.fit(name, _seed(data), model=_setting(config, engine.backbone(config.model)))


def _measured(context: RunContext, name: str) -> dict[str, Any]:
    reason = _out_of_reach(context, name)
    if reason:
        return {"left_out": reason}
    gold, seed = context.data.gold, _seed(context.data)
    with context.observer.task(f"{name} · fit on {len(seed)}, measure on {len(gold)} gold comparisons") as progress:
        try:
            baseline = _fitted(context, name, progress=progress)
            decisions = baseline.compare([item.comparison for item in gold], context.config.seed)
        except DataError as error:
            return {"left_out": str(error)}
        progress(1, 1)
    return {
        "id": baseline.id,
        "fitted_on": len(seed) if BASELINES[name].needs_seed else 0,
        "gold": evaluate(gold, decisions, context.config.seed).headline(),
        "labels": [decision.label for decision in decisions],
    }


def _out_of_reach(context: RunContext, name: str) -> str | None:
    """Why a baseline cannot use the backbone it needs: engines of tests and servers have none in a folder."""
    if not BASELINES[name].needs_backbone:
        return None
    folder = context.engine.backbone(context.config.model)
    return None if (folder / "config.json").is_file() else f"the backbone {folder} is not a model folder here"


def _fitted(context: RunContext, name: str, warmed: bool = False, progress: Progress | None = None) -> Baseline:
    """The run's own baseline; fitted and published under its name if it does not exist yet."""
    target, setting = _place(context, name, warmed)
    setting = replace(setting, progress=progress)
    if target.exists():
        return baselines.load(target, setting)
    if BASELINES[name].trains:
        setting = replace(setting, unlabelled=_unlearnt(context.data))
    baseline = baselines.fit(name, _seed(context.data), model=setting)
    scratch = target.with_name(f"{name}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    baseline.save(scratch)
    scratch.rename(target)
    return baseline


def _place(context: RunContext, name: str, warmed: bool) -> tuple[Path, Setting]:
    """Where a baseline of the run is kept, and how it is opened."""
    config, engine, target = context.config, context.engine, context.folder.path / FOLDER / name
    if not BASELINES[name].needs_backbone:
        return target, Setting(config.model, seed=config.seed)
    folder = engine.backbone(config.model)
    cache = None
    if warmed and config.warmup is not None:
        folder, target = start_of(context, config.model), context.folder.views / name
        cache = context.hidden_states or context.folder.hidden_states
    # Hidden states come from transformers, whatever judges.
    model = config.model.model_copy(update={"backend": "transformers"})
    return target, replace(_setting(config, folder, lambda: opener_here(engine)(folder, model)), cache=cache)


def _setting(config: RunConfig, folder: Path, open_model: Callable[[], Any] | None = None) -> Setting:
    return Setting(config.model, folder, config.seed, config.training, open_model)


def _unlearnt(data: RunData) -> tuple[Comparison, ...]:
    """The comparisons of the pool that are not labelled too."""
    learnt = {name for name, _ in overlap(data.pool, [item.comparison for item in _seed(data)])}
    return tuple(each for each in data.pool if each.id not in learnt)


def _seed(data: RunData) -> tuple[LabeledComparison, ...]:
    """All labelled comparisons: a baseline needs none of them held out."""
    return (*data.seed, *data.held_out)
