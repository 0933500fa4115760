"""Adapting a judge to a task: train on its labelled comparisons, measure before and after, and guard against regressions.

``OUT/runs/all`` and ``OUT/runs/N`` are run folders of the loop's first stage, so an interrupted adaptation resumes; ``judge/``
is the adapted judge, ``adaptation.json`` has the measurements.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gramr2.adaptation.few_shot import save_few_shot, with_shots
from gramr2.adaptation.task import OnRegression, Task, drawn, parts, run_config
from gramr2.backends.journaled import JournaledBackend
from gramr2.backends.registry import fingerprint, resolve
from gramr2.baselines.view import alone
from gramr2.comparison import Label, LabeledComparison
from gramr2.config import RunConfig
from gramr2.data import OnBadRow, load_labeled, overlap, refuse_leaks
from gramr2.errors import ConfigError, DataError, PromptTooLongError, RunError
from gramr2.evaluation.metrics import PairedTest, evaluate, paired_test
from gramr2.files import read_jsonl, write_json, write_jsonl
from gramr2.hashing import digest_of
from gramr2.journal import Journal
from gramr2.judging.budget import overlong
from gramr2.judging.judge import Judge
from gramr2.judging.records import comparison_row, decision_row, labeled_row
from gramr2.judging.saved import OPTIONS, load_options, load_template
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.selftraining.gate.measurement import Measurement, recorded
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.context import sampling_of
from gramr2.selftraining.run.engine import Engine, LocalEngine
from gramr2.selftraining.run.folder import RunFolder, adopt_plan, config_of, record_of
from gramr2.selftraining.run.observer import Observer, Silent
from gramr2.selftraining.run.records import GoldReport
from gramr2.selftraining.run.sources import read_labeled
from gramr2.text import p_value
from gramr2.written import joined

ALPHA = 0.05
RESULT = "adaptation.json"


class Adaptation:
    """One adaptation in one folder; the same task resumes where it was interrupted.

    Args:
        task: what to do.
        out: the folder.
        engine_for: makes the engine for a run's config; by default one in this process.
        observer: receives stages, progress and notes.
    """

    def __init__(
        self,
        task: Task,
        out: Path,
        *,
        engine_for: Callable[[RunConfig], Engine] = LocalEngine,
        observer: Observer | None = None,
    ) -> None:
        self.task = task
        self.folder = RunFolder(out)
        self.engine_for = engine_for
        self.observer = observer or Silent()

    def run(self) -> dict[str, Any]:
        """Adapt, measure, guard, and publish the judge; returns what ``adaptation.json`` holds.

        Raises:
            ConfigError: the task cannot be done with this judge and data.
            DataError: data cannot be used, or a set to measure on is also learnt from.
            RunError: the folder belongs to another task, or the guard refused the adapted judge.
        """
        task = self.task
        items = load_labeled(task.data, layout=task.layout)[0]
        learnt, held_out = parts(task, items)
        test = load_labeled(task.test, layout=task.layout)[0] if task.test else held_out
        general = load_labeled(task.general)[0] if task.general else ()
        replay = load_labeled(task.replay)[0] if task.replay else ()
        measuring = {"--test" if task.test else f"the held-out part of {task.data}": test, "--general": general}
        for name, measured in measuring.items():
            for source, part in ((task.data, learnt), (f"--replay {task.replay}", replay)):
                refuse_leaks(measured, part, of=name, where=source)
        _refuse_twice(task, items, replay)
        own = self._start()
        if note := alone(own):
            self.observer.note(note)
        template, options = load_template(own), load_options(own)
        config = run_config(task, template, None, learnt, replay, options)
        engine = self.engine_for(config)
        start = engine.backbone(config.model)
        shown = with_shots(template, learnt, task.shots, task.seed) if task.shots else template
        trained = {} if task.shots else {task.data: learnt, "--replay": drawn(task, learnt, replay, None)[1]}
        _refuse_long(engine, config, shown, trained, {"--test": test, "--general": general})
        with self.folder.locked():
            data = [items, test, general, *([replay] if replay else [])]
            self._adopt(f"{fingerprint(own)} {template.hash}", options, data)
            self._warn_of_known(test)
            before = self._measure(engine, config, start, template, test, "before")
            points: list[dict[str, Any]] = [self._point(0, before, before, test)]
            if task.shots:
                adapted, model = shown, start
                after = self._measure(engine, config, start, adapted, test, "after")
                points.append(self._point(0, after, before, test) | {"shots": task.shots})
            else:
                for size in [*sorted(task.sizes), None]:
                    model, after = self._train(engine, run_config(task, template, size, learnt, replay, options), size)
                    of_task, of_replay = drawn(task, learnt, replay, size)
                    point = self._point(len(of_task), after, before, test)
                    points.append(point | ({"replayed": len(of_replay)} if replay else {}))
                # Trained on labels alone, a reasoning judge becomes a label-only judge.
                mode, readings = JudgeMode(config.judge.mode), load_template(model).readings
                adapted = JudgeTemplate(mode, template.principles, readings=readings)
            result: dict[str, Any] = {
                "model": task.model,
                "data": task.data,
                "measured_on": task.test or f"{task.held_out:g} of {task.data}, held out",
                "points": points,
                "general": self._guard(engine, config, (start, template), (model, adapted), general),
            }
            fell = bool(result["general"] and result["general"]["fell"])
            refused = fell and task.on_regression is OnRegression.REFUSE
            result["published"] = not refused
            write_json(self.folder.path / RESULT, result)
            if refused:
                shutil.rmtree(self.folder.judge, ignore_errors=True)
                change = result["general"]["change"]
                learn = f"also train on {'more' if task.replay else 'some'} old comparisons with --replay"
                remedy = "show other examples" if task.shots else f"it is in {model}; {learn}, or train less"
                raise RunError(
                    f"the adapted judge is significantly worse on {task.general} ({100 * change['difference']:+.1f} points, "
                    f"McNemar {p_value(change['p_value'])}) and is not published: {remedy}, or publish it as it is with "
                    "--on-regression warn"
                )
            if task.shots:
                save_few_shot(start, adapted, self.folder.judge)
            else:
                self.folder.publish_judge(model)
        return result

    def _start(self) -> Path:
        """The judge's own folder, which also has its prompt."""
        if self.task.model.startswith(("scripted:", "openai:")):
            raise ConfigError(
                f"{self.task.model} has no weights here to adapt: give a model folder, a hub id or a named model"
            )
        return resolve(self.task.model)

    def _warn_of_known(self, test: Sequence[LabeledComparison]) -> None:
        """Warn if the judge was trained on test comparisons, as that inflates its accuracy before the adaptation."""
        record = record_of(Path(self.task.model).expanduser())
        files = [*record.glob("rounds/*/kept.jsonl"), *record.glob("rounds/0/seed.jsonl")] if record else []
        known = [item.comparison for file in files if file.stat().st_size for item in load_labeled(str(file))[0]]
        if record and (record / "run.yaml").is_file():
            run = config_of(record)
            for source in run.data.seed:
                try:
                    known += [item.comparison for item in read_labeled(source, OnBadRow.SKIP)[0]]
                except DataError:
                    self.observer.note(
                        f"{source.path} no longer exists, so it is not known whether {self.task.model} has learnt from the test"
                    )
        found = overlap(known, [item.comparison for item in test])
        if found:
            self.observer.note(
                f"{len(found)} of the {len(test)} test comparisons may already have been learnt by {self.task.model} "
                f"(the first: {found[0][1]!r}), which inflates its accuracy before the adaptation; name others with --test"
            )

    def _adopt(self, model: str, options: dict[str, Any], data: Sequence[Sequence[LabeledComparison]]) -> None:
        digest = digest_of([[labeled_row(item) for item in part] for part in data])
        # on_regression may change between calls: whether to publish a worse judge can be decided once it is known.
        settings = asdict(self.task) | {"training": self.task.training.model_dump(mode="json"), "on_regression": None}
        del settings["layout"]  # it shows in the data
        plan: dict[str, Any] = {"weights": model, "data_digest": digest} | settings
        if options:  # older plans have none
            plan[OPTIONS] = options
        adopt_plan(self.folder.path, plan, "an adaptation")

    def _train(self, engine: Engine, config: RunConfig, size: int | None) -> tuple[Path, Measurement]:
        """Train on ``size`` comparisons and measure, with a run of no rounds."""
        path = self.folder.path / "runs" / ("all" if size is None else str(size))
        training = SelfTraining(config, path, engine=engine, observer=self.observer)
        training.run()
        return training.folder.judge, recorded(training.folder, 0)

    def _measure(
        self,
        engine: Engine,
        config: RunConfig,
        model: Path,
        template: JudgeTemplate,
        items: Sequence[LabeledComparison],
        name: str,
    ) -> Measurement:
        """Judge items once, in the way that runs judge their gold."""
        file = self.folder.path / f"{name}.jsonl"
        comparisons = [item.comparison for item in items]
        if not file.exists():
            asking = self.observer.task(f"judge {len(items)} comparisons ({name})")
            with Journal(self.folder.journal) as journal, asking as progress:
                backend = JournaledBackend(engine.open(model, config.model), journal)
                judge = Judge(backend, template, sampling_of(config.judge.gold))
                decisions = judge.judge(comparisons, seed=config.seed, progress=progress)
            accuracy = asdict(evaluate(items, decisions, config.seed))
            write_json(file.with_suffix(".json"), accuracy)
            write_jsonl(
                file, (comparison_row(c) | decision_row(d) for c, d in zip(comparisons, decisions, strict=True))
            )
        return Measurement(tuple(map(_label, read_jsonl(file))), GoldReport.read(file.with_suffix(".json")))

    def _point(
        self, size: int, after: Measurement, before: Measurement, items: Sequence[LabeledComparison]
    ) -> dict[str, Any]:
        keys = ("n", "accuracy", "low", "high", "coverage", "order_flip_rate", "accuracy_strict")
        change = asdict(self._change(items, before, after))
        return {"trained_on": size, **{key: getattr(after.metrics, key) for key in keys}, "change": change}

    def _change(self, items: Sequence[LabeledComparison], before: Measurement, after: Measurement) -> PairedTest:
        return paired_test(items, before.labels, after.labels, self.task.seed)

    def _guard(
        self,
        engine: Engine,
        config: RunConfig,
        before: tuple[Path, JudgeTemplate],
        after: tuple[Path, JudgeTemplate],
        general: Sequence[LabeledComparison],
    ) -> dict[str, Any] | None:
        """Both judges on the general set, and whether the adapted one is significantly worse there."""
        if not general:
            return None
        first = self._measure(engine, config, *before, general, "general-before")
        second = self._measure(engine, config, *after, general, "general-after")
        change = self._change(general, first, second)
        keys = ("n", "accuracy", "low", "high", "coverage")
        return {
            "set": self.task.general,
            "before": {key: getattr(first.metrics, key) for key in keys},
            "after": {key: getattr(second.metrics, key) for key in keys},
            "change": asdict(change),
            "fell": change.p_value < ALPHA and change.difference < 0,
        }


def _refuse_twice(task: Task, items: Sequence[LabeledComparison], replay: Sequence[LabeledComparison]) -> None:
    """Refuse comparisons that are in both the data and the replay: they might have two labels."""
    shared = {item.comparison.id for item in items} & {item.comparison.id for item in replay}
    if shared:
        raise DataError(
            f"--replay {task.replay}: the id {min(shared)!r} is also in {task.data}: give the rows unique ids, or, if they have "
            "no ids, rename one of the files"
        )
    copies = overlap([item.comparison for item in items], [item.comparison for item in replay])
    if copies:
        raise DataError(
            f"{len(copies)} comparisons of --replay {task.replay} are also in {task.data} (the first: {copies[0][1]!r}): take "
            "them out of the replay"
        )


def _refuse_long(
    engine: Engine,
    config: RunConfig,
    template: JudgeTemplate,
    trained: dict[str, Sequence[LabeledComparison]],
    measured: dict[str, Sequence[LabeledComparison]],
) -> None:
    """Fail early on over-long comparisons, before anything is judged.

    Args:
        engine: has the token counter.
        config: of the run that trains.
        template: the longest prompt that is measured with.
        trained: comparisons whose answers are learnt, each part with its name.
        measured: comparisons that are only judged.

    Raises:
        PromptTooLongError: a comparison leaves no room for its answer.
    """
    counter, room = engine.counter(), config.judge.gold.max_new_tokens
    learning = replace(template, mode=JudgeMode(config.judge.mode))
    for name, items in (trained | measured).items():
        form = learning if name in trained else template
        answers = [joined(*form.answer(each.label, each.rationale)) if name in trained else "" for each in items]
        pairs = zip((each.comparison for each in items), answers, strict=True)
        found = overlong(counter, form, pairs, new_tokens=room)
        if found:
            raise PromptTooLongError(
                f"{name}: {len(found)} of {len(items)} comparisons are too long for the model (the first, {found[0].id!r}, has "
                f"{found[0].tokens} tokens, and there is room for {found[0].allowed}): take them out of the file"
            )


def _label(row: dict[str, Any]) -> Label | None:
    return None if row["label"] is None else Label(row["label"])
