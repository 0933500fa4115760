"""The method's main table: ranking, adapting to a task, and RLHF, for three ways to make a reward model of the same labels.

    python benchmarks/main_table.py --out runs/main [--seeds 3] [--tasks pairs,first,adapting,rlhf]
        [--text examples/ablation-truthfulqa.yaml --test EVAL.jsonl --task LABELED.jsonl --task-test EVAL.jsonl] [--text-only]

The three: a judge that writes a rationale and then its verdict, one of verdicts alone, both self-trained on the run's pool, and
a scalar Bradley-Terry model (TRL's trainer). In the laboratory a program knows the truth, so all tasks can be measured: pairs
(lab:test), first (the first of eight responses), adapting (lab:test@mirror after 0, 16 and 64 labels of it), and rlhf (right
answers of a policy trained with GRPO on the reward). --text adds pairs and adapting on a run file's domain. Each figure is a
file in OUT/DOMAIN/cells, and the same command makes those that are missing. Writes main_table.md and main_table.csv. A warm-up
of the run file is the judges' alone: the scalar model begins from the pretrained one.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from adapting import digest
from plans import exit_code
from ranking_quality import draw

from gramr2 import baselines
from gramr2.adaptation.adapt import Adaptation
from gramr2.adaptation.task import OnRegression, Task
from gramr2.backends.hardware import versions
from gramr2.backends.registry import former_id, resolve
from gramr2.backends.transformers import TransformersBackend
from gramr2.baselines.bradley_terry import BradleyTerry
from gramr2.baselines.view import load_view
from gramr2.cli.ablate import refuse_seen
from gramr2.cli.console import Bars
from gramr2.config import RunConfig, load_config
from gramr2.data import load_labeled, refuse_leaks, subset
from gramr2.errors import ConfigError
from gramr2.evaluation.metrics import evaluate, wilson
from gramr2.files import write_json, write_jsonl, write_text
from gramr2.hashing import digest_of
from gramr2.judging.judge import Judge
from gramr2.judging.records import labeled_row
from gramr2.judging.saved import load_template
from gramr2.judging.template import JudgeMode
from gramr2.randomness import derive_seed
from gramr2.research.ablation.cell import data_of
from gramr2.research.ablation.runner import stands_for
from gramr2.research.ablation.statistics import mean
from gramr2.research.ablation.variants import prepare, variants_for
from gramr2.research.lab.run import run_file
from gramr2.research.rlhf.plan import run_all
from gramr2.research.rlhf.study import Settings, Source
from gramr2.rewards.ranking import rank
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.context import sampling_of
from gramr2.training.bradley_terry import train_reward_model

REASONED, LABELS, SCALAR = "rationale-then-verdict", "verdict-alone", "bradley-terry"
SIZES = (16, 64)
TASKS = ("pairs", "first", "adapting", "rlhf")
COLUMNS = {
    "pairs": "pairs",
    "first": "first of 8",
    "adapting-0": "new task, 0 labels",
    **{f"adapting-{size}": f"{size}" for size in SIZES},
    "rlhf": "policy after GRPO",
}
RESPONSES = 8
KEYS = ("domain", "model", "measure", "seed", "n", "value")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is missing and write the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3, help="seeds 1 to N, of labels, pool and trainings")
    parser.add_argument("--tasks", default=",".join(TASKS), help="with commas between")
    parser.add_argument("--limit", type=int, default=400, help="comparisons that measure, at most")
    parser.add_argument("--sets", type=int, default=60, help="prompts with eight responses")
    parser.add_argument("--text", type=Path, help="run file of a domain of text")
    parser.add_argument("--text-only", action="store_true", help="without the laboratory")
    parser.add_argument("--test", help="its labelled comparisons that no run sees")
    parser.add_argument("--task", help="labelled comparisons of another task to adapt to")
    parser.add_argument("--task-test", help="those that measure it")
    given = parser.parse_args(arguments)
    return exit_code(lambda: _run(given))


def _run(given: argparse.Namespace) -> int:
    tasks = [each for each in given.tasks.split(",") if each]
    if unknown := [each for each in tasks if each not in TASKS]:
        raise ConfigError(f"--tasks {unknown[0]!r} is not known: take some of {', '.join(TASKS)}")
    if given.text and not given.test:
        raise ConfigError("--text needs --test FILE, the comparisons that measure")
    if bool(given.task) != bool(given.task_test):
        raise ConfigError("--task and --task-test go together: what is learnt of the other task, and what measures it")
    if given.text_only and not given.text:
        raise ConfigError("--text-only needs --text FILE, the run file of that domain")
    domains = []
    if not given.text_only:
        mirror = ("lab:labeled@mirror", "lab:test@mirror")
        domains.append(Domain("lab", load_config(run_file()), "lab:test", mirror, given))
    if given.text:
        task = (given.task, given.task_test) if given.task else None
        domains.append(Domain(given.text.stem, load_config(given.text), given.test, task, given))
    rows: list[dict[str, Any]] = []
    for seed in range(1, given.seeds + 1):
        for domain in domains:
            for model in domain.models:
                for task in tasks:
                    rows += domain.measured(task, model, seed)
    print(write(rows, given.out))
    return 0


class Domain:
    """A run file's labels and pool, the models made of them, and what measures these."""

    def __init__(
        self, name: str, base: RunConfig, test: str, task: tuple[str, str] | None, given: argparse.Namespace
    ) -> None:
        self.name, self.base, self.task, self.given = name, base, task, given
        self.out = given.out / name
        refuse_seen(base, test)
        self.test = subset(load_labeled(test)[0], given.limit, 0, key=lambda item: item.comparison.id)
        if task:
            refuse_seen(base, task[1])
            learnt, measured = (load_labeled(each)[0] for each in task)
            refuse_leaks(measured, learnt, of=task[1], where=task[0])

    @cached_property
    def fixed(self) -> dict[str, str]:
        """What the names of files and models stand for today."""
        measuring = [*self.test, *(row for each in self.task or () for row in load_labeled(each)[0])]
        return stands_for(self.base) | {"test_digest": digest_of([labeled_row(row) for row in measuring])}

    @cached_property
    def models(self) -> tuple[str, ...]:
        """A run that judges without rationales has no judge that writes them."""
        return (LABELS, SCALAR) if self.base.judge.mode == JudgeMode.LABEL.value else (REASONED, LABELS, SCALAR)

    def measured(self, task: str, model: str, seed: int) -> list[dict[str, Any]]:
        """The rows of a task, read back where they are there; none where this domain has no such task."""
        if (task in ("first", "rlhf") and self.name != "lab") or (task == "adapting" and self.task is None):
            return []
        file = self.out / "cells" / f"{task}-{model}-{seed}.json"
        asked = self.fixed | {
            "limit": self.given.limit,
            "sets": self.given.sets,
            "config": self.config(model, seed).model_dump(mode="json"),
        }
        known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        # An earlier version had other ids of models.
        if known and known["asked"] not in (asked, asked | {"weights": former_id(str(asked["weights"]))}):
            raise ConfigError(f"{file} was made with other settings, data or weights: give a new folder with --out")
        found = known["found"] if known else getattr(self, f"_{task}")(model, seed)
        if not known:
            write_json(file, {"asked": asked, "found": found})
        same = {"domain": self.name, "model": model, "seed": seed}
        return [same | {"measure": name, "n": n, "value": value} for name, (n, value) in found.items()]

    def config(self, model: str, seed: int) -> RunConfig:
        """The run's, or that of its label-only variant."""
        names = {each.name: each for each in variants_for(self.base)}
        labels = model == LABELS and self.base.judge.mode != JudgeMode.LABEL.value
        prepared = prepare(self.base, names["label-only" if labels else "full"], seed)
        if isinstance(prepared, str):
            raise ConfigError(f"{self.name}: no judge of verdicts alone, {prepared}")
        return prepared.config

    def trained(self, model: str, seed: int) -> Path:
        """The folder of a model of the domain, made if it is not there."""
        folder, config = self.out / "models" / f"{model}-{seed}", self.config(model, seed)
        if model != SCALAR:
            SelfTraining(config, folder, observer=Bars()).run()
        elif not folder.is_dir():
            data = data_of(config)
            backbone = resolve(config.model.name, revision=config.model.revision)
            setting = baselines.Setting(config.model, backbone, seed, config.training)
            scratch = folder.with_name(f"{folder.name}.tmp")
            scratch.mkdir(parents=True, exist_ok=True)
            baselines.fit(SCALAR, (*data.seed, *data.held_out), model=setting).save(scratch)
            scratch.rename(folder)
        return folder

    def judge(self, model: str, seed: int) -> Judge:
        """One of the two generative ones."""
        folder, config = self.trained(model, seed) / "judge", self.config(model, seed)
        backend = TransformersBackend(folder, dtype=config.model.dtype, device=config.model.device)
        return Judge(backend, load_template(folder), sampling_of(config.judge.gold), load_view(folder))

    def scalar(self, seed: int) -> BradleyTerry:
        """The other."""
        found = baselines.load(self.trained(SCALAR, seed))
        assert isinstance(found, BradleyTerry)
        return found

    def _pairs(self, model: str, seed: int) -> dict[str, tuple[int, float]]:
        """Share of the test comparisons whose label is found, abstentions counting as wrong."""
        decides = self.scalar(seed) if model == SCALAR else self.judge(model, seed)
        return {"pairs": (len(self.test), _right(decides, self.test, seed))}

    def _first(self, model: str, seed: int) -> dict[str, tuple[int, float]]:
        """How often a right response comes first of eight, by all pairs or by the scalar reward."""
        sets, truths = draw(self.given.sets, RESPONSES)
        if model == SCALAR:
            reward = self.scalar(seed).reward
            scores = [reward.rewards([(each.prompt, text) for text in each.responses]) for each in sets]
            best: list[int | None] = [max(range(RESPONSES), key=row.__getitem__) for row in scores]
        else:
            best = [each.best for each in rank(self.judge(model, seed), sets, seed=seed)]
        right = sum(place is not None and truth[place] for place, truth in zip(best, truths, strict=True))
        return {"first": (len(sets), right / len(sets))}

    def _adapting(self, model: str, seed: int) -> dict[str, tuple[int, float]]:
        """Accuracy on another task before, and after learning some of its labels, each time from the domain's model."""
        assert self.task is not None
        learnt, measuring = (load_labeled(each)[0] for each in self.task)
        items = subset(measuring, self.given.limit, 0, key=lambda item: item.comparison.id)
        test = self.out / "adapting" / "test.jsonl"
        write_jsonl(test, map(labeled_row, items))
        start, config = self.trained(model, seed), self.config(model, seed)
        found = {}
        for size in SIZES:
            drawn = subset(learnt, size, seed, key=lambda item: item.comparison.id)
            data = test.with_name(f"train-{size}-{seed}.jsonl")
            write_jsonl(data, map(labeled_row, drawn))
            folder = test.with_name(f"{model}-{size}-{seed}-{digest(data)}")
            if model == SCALAR:
                before = _right(self.scalar(seed), items, seed)
                reward = train_reward_model(
                    start, folder / "scratch", drawn, config.training, config.model, seed=derive_seed(seed, "adapt")
                )
                reward.tie_share([item.comparison for item in drawn], sum(i.label == "tie" for i in drawn) / len(drawn))
                after = _right(BradleyTerry(reward, config.model), items, seed)
            else:
                task = Task(
                    str(start),
                    str(data),
                    test=str(test),
                    training=config.training,
                    max_new_tokens=config.judge.gold.max_new_tokens,
                    on_regression=OnRegression.WARN,
                    seed=seed,
                )
                points = Adaptation(task, folder).run()["points"]
                before, after = points[0]["accuracy_strict"], points[-1]["accuracy_strict"]
            found |= {"adapting-0": (len(items), before), f"adapting-{size}": (len(items), after)}
        return found

    def _rlhf(self, model: str, seed: int) -> dict[str, tuple[int, float]]:
        """Right answers, sampled, of a careless policy after GRPO on this model's reward; before, it has some 40 %."""
        source = Source.BRADLEY_TERRY if model == SCALAR else Source.JUDGE
        # The scalar model of a policy run is its own, of the same labels: which judge's run it reads them from does not matter.
        judge = self.trained(LABELS if model == SCALAR else model, seed)
        settings = Settings(test=self.given.limit)
        cells = run_all(str(judge), self.out / "rlhf" / f"{judge.name}", [source], [seed], settings, Bars())[
            source.value
        ]
        after = cells[0]["after"]
        return {"rlhf": (after["n"], after["sampled"]["accuracy"])}


def _right(model: Any, items: Sequence[Any], seed: int) -> float:
    return evaluate(items, model.compare([item.comparison for item in items], seed)).accuracy_strict


def write(rows: Sequence[dict[str, Any]], out: Path) -> str:
    """``main_table.csv`` has a row a figure and seed, ``main_table.md`` the means over seeds; returns the latter."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, KEYS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, "value": f"{row['value']:.6g}"} for row in rows)
    write_text(out / "main_table.csv", buffer.getvalue())
    shown = [name for name in COLUMNS if any(row["measure"] == name for row in rows)]
    lines = [
        "| domain | model | " + " | ".join(COLUMNS[name] for name in shown) + " |",
        "|---" * (len(shown) + 2) + "|",
    ]
    for domain, model in dict.fromkeys((row["domain"], row["model"]) for row in rows):
        cells = [
            _share([row for row in rows if (row["domain"], row["model"], row["measure"]) == (domain, model, name)])
            for name in shown
        ]
        lines.append(f"| {domain} | {model} | {' | '.join(cells)} |")
    sizes = {name: {row["n"] for row in rows if row["measure"] == name} for name in shown}
    counted = ", ".join(f"{COLUMNS[name]}: n = {', '.join(map(str, sorted(found)))}" for name, found in sizes.items())
    notes = (
        "95 % t intervals over seeds, on the same test items for all; with * one seed and Wilson's interval over items. What is "
        f"not decided counts as wrong. {counted}. {versions()}"
    )
    text = "\n".join([*lines, "", notes, ""])
    write_text(out / "main_table.md", text)
    return text


def _share(rows: Sequence[dict[str, Any]]) -> str:
    """A mean of shares with its interval, or a dash."""
    if not rows:
        return "–"
    found = mean([row["value"] for row in rows], 0, 1)
    low, high, mark = found.low, found.high, ""
    if low is None or high is None:
        mark = " *"
        bounds = wilson(round(rows[0]["value"] * rows[0]["n"]), rows[0]["n"])
        low, high = bounds.low, bounds.high
    return f"{100 * found.value:.1f} % ({100 * low:.1f} to {100 * high:.1f}){mark}"


if __name__ == "__main__":
    raise SystemExit(main())
