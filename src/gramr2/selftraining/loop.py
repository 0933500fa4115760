"""The self-training loop (GRAM-R², §3): initialise on the seed, then judge, filter, accumulate, retrain and measure.

Every stage reads its inputs from the run folder and leaves its result there under its final name or not at all, so the
same call continues an interrupted run: a stage whose result exists is not repeated.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gramr2.comparison import Comparison, LabeledComparison
from gramr2.config import RunConfig
from gramr2.config.run import SamplingConfig
from gramr2.data import load_labeled
from gramr2.evaluation.metrics import evaluate, paired_test
from gramr2.judging.judge import Judge, Orders, Sampling
from gramr2.judging.records import decision_row, labeled_row, learnt, read_jsonl, write_jsonl
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import Decision
from gramr2.selftraining.data import RunData, fit, load_data
from gramr2.selftraining.engine import Engine, LocalEngine
from gramr2.selftraining.filters import build, first_objection
from gramr2.selftraining.folder import RunFolder, write_json
from gramr2.selftraining.journal import Journal
from gramr2.selftraining.observer import Observer, Silent

log = logging.getLogger("gramr2")


class SelfTraining:
    """One run in one folder.

    Args:
        config: the checked config.
        path: the run folder; created, or continued when it was started with the same config.
        engine: models and training; this process by default.
        observer: told of stages and progress.
    """

    def __init__(
        self, config: RunConfig, path: Path, *, engine: Engine | None = None, observer: Observer | None = None
    ) -> None:
        self.config = config
        self.folder = RunFolder(path)
        self.engine = engine or LocalEngine(config)
        self.observer = observer or Silent()
        self.template = JudgeTemplate(JudgeMode(config.judge.mode), tuple(config.judge.principles))

    def run(self) -> list[dict[str, Any]]:
        """Run or resume to the end; returns the metrics of every round, round 0 being the seed judge.

        Raises:
            RunError: the folder is in use, or belongs to another config.
            DataError: the data cannot be used.
        """
        with self.folder.locked():
            self.folder.adopt(self.config)
            data = fit(load_data(self.config), self.config, self.template, self.engine.counter())
            write_json(self.folder.path / "data.json", data.summary)
            with Journal(self.folder.journal) as journal:
                if journal.damaged:
                    self.observer.note(f"{journal.damaged} damaged journal lines will be judged again")
                model, decisions = self._seed_judge(data, journal)
                for number in range(1, self.config.rounds + 1):
                    model, decisions = self._round(number, model, decisions, data, journal)
            metrics = self._all_metrics()
            write_jsonl(self.folder.path / "metrics.jsonl", metrics)
            self.folder.publish_judge(model)
            return metrics

    def _seed_judge(self, data: RunData, journal: Journal) -> tuple[Path, list[Decision]]:
        model = self.folder.round(0) / "model"
        if not model.exists():
            with self.observer.task("round 0 · train the seed judge") as progress:
                self.engine.train(self.engine.backbone(), model, data.seed, self.template, 0, progress)
        decisions = self._judge_gold(0, model, data, journal)
        self._write_metrics(0, data, decisions, None, {"judged": 0, "kept": 0, "dropped": {}}, len(data.seed))
        return model, decisions

    def _round(
        self, number: int, model: Path, before: list[Decision], data: RunData, journal: Journal
    ) -> tuple[Path, list[Decision]]:
        """One round; returns the judge to go on with and its decisions on gold."""
        folder = self.folder.round(number)
        if not (folder / "kept.jsonl").exists():
            self._label_pool(number, model, data.pool, journal)
        dropped = Counter(row["filter"] for row in read_jsonl(folder / "dropped.jsonl"))
        kept = self._kept(number)
        pool = {"judged": len(data.pool), "kept": len(kept), "dropped": dict(sorted(dropped.items()))}
        if not kept:
            self.observer.note(
                f"round {number}: no pseudo-label passed the filters, so nothing is trained; the judge stays"
            )
            self._write_metrics(number, data, before, before, pool, 0)
            return model, before
        training = [*data.seed, *self._accumulated(number)]
        trained = folder / "model"
        if not trained.exists():
            start = self.engine.backbone() if self.config.init == "backbone" else model
            with self.observer.task(
                f"round {number} · train on {len(data.seed)} seed + {len(training) - len(data.seed)} kept"
            ) as p:
                self.engine.train(start, trained, training, self.template, number, p)
        after = self._judge_gold(number, trained, data, journal)
        self._write_metrics(number, data, after, before, pool, len(training))
        return trained, after

    def _label_pool(self, number: int, model: Path, pool: Sequence[Comparison], journal: Journal) -> None:
        """Judge the pool and write what was kept and what was dropped, with the reason."""
        with self.observer.task(f"round {number} · judge {len(pool)} unlabelled comparisons") as progress:
            judge = self._judge_with(model, self.config.judge.pool)
            decisions = judge.judge(pool, seed=self.config.seed, store=journal, progress=progress)
        stack = build(self.config.filters)
        kept: list[dict[str, Any]] = []
        dropped: list[dict[str, Any]] = []
        for comparison, decision in zip(pool, decisions, strict=True):
            objection = first_objection(stack, decision)
            if objection is None:
                numbers = decision_row(decision)
                keys = ("confidence", "agreement", "coverage", "rationale_order")
                kept.append(labeled_row(learnt(comparison, decision)) | {key: numbers[key] for key in keys})
            else:
                dropped.append(asdict(objection) | decision_row(decision))
        folder = self.folder.round(number)
        write_jsonl(folder / "dropped.jsonl", dropped)
        write_jsonl(folder / "kept.jsonl", kept)

    def _kept(self, number: int) -> tuple[LabeledComparison, ...]:
        file = self.folder.round(number) / "kept.jsonl"
        return load_labeled(str(file))[0] if file.stat().st_size else ()

    def _accumulated(self, number: int) -> list[LabeledComparison]:
        """Everything kept up to this round; of a comparison kept more than once, what the latest judge said."""
        latest: dict[str, LabeledComparison] = {}
        for each in range(1, number + 1):
            for item in self._kept(each):
                latest.pop(item.comparison.id, None)
                latest[item.comparison.id] = item
        return list(latest.values())

    def _judge_gold(self, number: int, model: Path, data: RunData, journal: Journal) -> list[Decision]:
        with self.observer.task(f"round {number} · measure on {len(data.gold)} gold comparisons") as progress:
            judge = self._judge_with(model, self.config.judge.gold)
            comparisons = [item.comparison for item in data.gold]
            return judge.judge(comparisons, seed=self.config.seed, store=journal, progress=progress)

    def _judge_with(self, model: Path, sampling: SamplingConfig) -> Judge:
        settings = sampling.model_dump()
        return Judge(
            self.engine.open(model), self.template, Sampling(**(settings | {"orders": Orders(sampling.orders)}))
        )

    def _write_metrics(
        self,
        number: int,
        data: RunData,
        decisions: list[Decision],
        before: list[Decision] | None,
        pool: dict[str, Any],
        trained_on: int,
    ) -> None:
        accuracy = evaluate(data.gold, decisions, self.config.seed)
        rest = asdict(accuracy)
        headline = accuracy.headline()
        metrics: dict[str, Any] = {
            "round": number,
            "gold": headline | {key: value for key, value in rest.items() if key not in headline},
            "pool": pool,
            "trained_on": trained_on,
        }
        if before is not None:
            metrics["change"] = asdict(paired_test(data.gold, before, decisions, self.config.seed))
        folder = self.folder.round(number)
        rows = [decision_row(decision) for decision in decisions]
        truth = [item.label.value for item in data.gold]
        write_jsonl(folder / "gold.jsonl", (row | {"truth": label} for row, label in zip(rows, truth, strict=True)))
        write_json(folder / "metrics.json", metrics)
        log.info("round %d: gold accuracy %s, coverage %.2f", number, accuracy.accuracy, accuracy.coverage)

    def _all_metrics(self) -> list[dict[str, Any]]:
        files = [self.folder.round(number) / "metrics.json" for number in range(self.config.rounds + 1)]
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]
