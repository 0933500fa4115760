"""The self-training loop (GRAM-R², §3): initialise on the seed, then judge, filter, accumulate, retrain, measure and
gate.

Every stage reads its inputs from the run folder and writes its result there atomically. The same call therefore resumes
an interrupted run: a stage whose result exists is skipped. A round is finished once its ``metrics.json`` exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from gramr2.comparison import LabeledComparison
from gramr2.config import RunConfig
from gramr2.config.training import TrainingConfig
from gramr2.data import load_labeled
from gramr2.errors import DataError
from gramr2.evaluation.metrics import PairedTest, paired_test
from gramr2.files import write_json, write_jsonl
from gramr2.journal import Journal
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.selftraining.gate.baselines import measure_baselines
from gramr2.selftraining.gate.guards import gate, gold_alarms, pool_alarms, training_alarms
from gramr2.selftraining.gate.measurement import Measurement, measure, recorded
from gramr2.selftraining.gate.warnings import conclusion
from gramr2.selftraining.integrity import adopt_finished, finish_round, refuse_missing_judge, whole_round
from gramr2.selftraining.labelling import label_pool, second_view
from gramr2.selftraining.rationales.own import with_own_rationales
from gramr2.selftraining.rationales.proofs import Prover, with_rationales
from gramr2.selftraining.readings import FILE as READINGS
from gramr2.selftraining.run import history
from gramr2.selftraining.run.context import RunContext
from gramr2.selftraining.run.data import fit_to_budget, load_data
from gramr2.selftraining.run.doubts import told_of_gold
from gramr2.selftraining.run.engine import Engine, TrainingJob, engine_of
from gramr2.selftraining.run.folder import RunFolder
from gramr2.selftraining.run.inputs import Inputs, agree_on_inputs
from gramr2.selftraining.run.observer import Observer, Silent, reading
from gramr2.selftraining.run.pool import slice_of
from gramr2.selftraining.run.records import (
    VERSION,
    Alarm,
    GateResult,
    LabellingRecord,
    PoolCounts,
    ReadingsRecord,
    RoundRecord,
)
from gramr2.selftraining.run.sharing import SeedJudges
from gramr2.selftraining.warmup import start_of, warm_up
from gramr2.text import p_value

NOTHING = PoolCounts(judged=0, kept=0, dropped={})
"""counts of a stage that does not use the pool"""


@dataclass(frozen=True, slots=True)
class RunState:
    """The state of the run after a round: the current judge, its results on gold, and the accepted rounds.

    ``accepted`` lists the rounds whose kept data are trained on; ``tightenings`` counts the roll-backs so far; ``stopped``
    says whether the gate ended the run.
    """

    model: Path
    gold: Measurement
    accepted: tuple[int, ...] = ()
    tightenings: int = 0
    stopped: bool = False


class SelfTraining:
    """One run in one folder.

    Args:
        config: the checked config.
        path: the run folder; created, or resumed if it was started with the same config.
        engine: opens and trains models; by default, the one that the config asks for.
        observer: receives stages, progress and notes.
        seed_judges: where runs with the same start share their seed judge; None shares nothing.
        data: rows of files that the config names; missing files are written once the folder belongs to this run.
    """

    def __init__(
        self,
        config: RunConfig,
        path: Path,
        *,
        engine: Engine | None = None,
        observer: Observer | None = None,
        seed_judges: SeedJudges | None = None,
        data: Mapping[Path, Sequence[dict[str, Any]]] | None = None,
    ) -> None:
        self.config = config
        self.data = data or {}
        self.folder = RunFolder(path)
        self._finish: Callable[[], None] | None = None
        if engine is None:
            engine = own = engine_of(config)
            self._finish = own.finish
        self.engine = engine
        self.observer = observer or Silent()
        self.seed_judges = seed_judges
        self.template = JudgeTemplate(JudgeMode(config.judge.mode), tuple(config.judge.principles))

    def run(self) -> list[RoundRecord]:
        """Run or resume to the end and return the record of every round; round 0 is the seed judge.

        A run that the gate stops has fewer rounds than requested; a round whose filters keep nothing is skipped.

        Raises:
            RunError: the folder is in use, or belongs to another config.
            DataError: the data cannot be used.
        """
        with self.folder.locked(), ExitStack() as stack:
            if self._finish:
                stack.callback(self._finish)
            self.folder.adopt(self.config)
            self.folder.remove_members()
            for file, rows in self.data.items():
                if not file.exists():
                    write_jsonl(file, rows)
            with reading(self.observer):
                loaded = load_data(self.config)
            older = agree_on_inputs(self.folder.path, Inputs.present(self.config, loaded, self.engine.backbone), loaded)
            if older:
                adopt_finished(self.folder.path)
                self.observer.note(
                    f"an older version of gramr2 started {self.folder.path} and recorded no digests: data, model and files agree "
                    "with what it wrote, but not all of them can be checked; they are recorded from now on"
                )
            if not (self.folder.judge / "config.json").is_file():
                stack.enter_context(history.recorded(self.folder.path))
            data = fit_to_budget(loaded, self.config, self.template, self.engine.counter())
            facts = self.folder.path / "data.json"
            write_json(facts, data.summary | {"contamination": told_of_gold(data, facts)})
            with Journal(self.folder.journal) as journal:
                self._tell_of(journal)
                context = RunContext(self.config, self.folder, self.engine, self.observer, self.template, data, journal)
                if self.seed_judges and self.config.warmup:
                    context = replace(context, hidden_states=self.seed_judges.hidden_states(context))
                return _Rounds(context, self.seed_judges).run()

    def _tell_of(self, journal: Journal) -> None:
        if journal.damaged:
            lines = "line is" if journal.damaged == 1 else "lines are"
            self.observer.note(f"{journal.damaged} damaged journal {lines} ignored; what was asked is asked again")
        if not len(journal) and (old := self.folder.old_journals):
            self.observer.note(
                f"{old[0]}: an older version wrote it, so unfinished stages repeat their requests; to keep its answers, finish "
                "this run with that version"
            )


class _Rounds:
    """The stages of one run, in order."""

    def __init__(self, context: RunContext, seed_judges: SeedJudges | None) -> None:
        self.context = context
        self.seed_judges = seed_judges
        self.config = context.config
        self.folder = context.folder
        self.prover = Prover(context)
        self.seed: Sequence[LabeledComparison] = context.data.seed
        self.records: list[RoundRecord] = []

    def run(self) -> list[RoundRecord]:
        baselines = measure_baselines(self.context)
        # Fail early if the second view cannot be fitted.
        second_view(self.context, self.context.data.pool[:1], warmed=False)
        warm_up(self.context, self.seed_judges)
        state = self._seed_judge()
        for number in range(1, self.config.rounds + 1):
            if state.stopped:
                break
            state = self._round(number, state)
        if self.config.final:
            state = self._final(len(self.records), state)
        self._conclude(*conclusion(self.context, state.model, baselines, state.gold))
        refuse_missing_judge(state.model)
        self.folder.publish_judge(state.model)
        self.folder.hidden_states.unlink(missing_ok=True)
        return self.records

    def _seed_judge(self) -> RunState:
        folder, model = self.folder.round(0), self.folder.round(0) / "model"
        settings, written = self.config.rationale, folder / "seed.jsonl"
        whole_round(self.context, 0)
        if written.exists():
            self.seed = load_labeled(str(written))[0]
        elif settings.source == "proving" and settings.proving.rationales_for_seed:
            self.seed = with_rationales(self.context, self.prover)
        elif settings.own_for_seed:
            self.seed = with_own_rationales(self.context)
        shared = self.seed_judges.address(self.context, self.seed) if self.seed_judges else None
        if self.seed_judges and shared:
            self.seed_judges.take(shared, folder, self.context.observer)
            whole_round(self.context, 0)
        if not model.exists():
            self._train(0, "round 0 · train the seed judge", self._backbone(), model, self.seed)
        if not (folder / "metrics.json").exists():
            gold = measure(self.context, 0, model)
            alarms = training_alarms(model, self.config.training)
            self._tell(0, alarms)
            self._finish(0, "seed", gold, {"pool": NOTHING, "trained_on": len(self.seed), "alarms": alarms})
        if self.seed_judges and shared:
            self.seed_judges.give(shared, folder)
        return RunState(model, self._recorded(0))

    def _round(self, number: int, state: RunState) -> RunState:
        """Run one round and return the state after it."""
        folder = self.folder.round(number)
        whole_round(self.context, number)
        if not (folder / "metrics.json").exists():
            self._do_round(number, state)
        return self._after(number, state)

    def _do_round(self, number: int, state: RunState) -> None:
        folder = self.folder.round(number)
        if not (folder / "kept.jsonl").exists():
            slice_ = slice_of(self.context, number, state.model)
            before = self._accumulated(state.accepted)
            label_pool(self.context, number, state.model, slice_, before, state.tightenings, self.prover)
        labelling = LabellingRecord.read(folder / "labelling.json")
        alarms = pool_alarms(labelling, self._reference_words(), self.config.guards.alarms)
        rest: dict[str, Any] = {name: value for name, value in labelling if name in labelling.model_fields_set}
        if not labelling.pool.kept:
            why = "no pseudo-label passed the filters" if labelling.pool.judged else "the pool is used up"
            self.context.observer.note(f"round {number}: {why}, so nothing is trained and the judge is unchanged")
            self._judged(number, "round", state, state.gold, rest | {"trained_on": 0}, alarms, skipped=True)
            return
        kept = self._accumulated((*state.accepted, number))
        trained = folder / "model"
        if not trained.exists():
            start = self._backbone() if self.config.init == "backbone" else state.model
            title = f"round {number} · train on {len(self.seed)} seed + {len(kept)} kept"
            self._train(number, title, start, trained, [*self.seed, *kept])
        gold = measure(self.context, number, trained)
        alarms = [*alarms, *training_alarms(trained, self.config.training)]
        self._judged(number, "round", state, gold, rest | {"trained_on": len(self.seed) + len(kept)}, alarms)

    def _final(self, number: int, state: RunState) -> RunState:
        """The paper's last stage: fine-tune the current judge on human rationales and gate it like any round."""
        folder, settings = self.folder.round(number), self.config.final
        whole_round(self.context, number)
        if settings is not None and not (folder / "metrics.json").exists():
            trained, items = folder / "model", self.context.data.final
            training = settings.training.applied_to(self.config.training)
            if not trained.exists():
                title = f"final · train on {len(items)} annotated comparisons"
                self._train(number, title, state.model, trained, items, training)
            gold = measure(self.context, number, trained)
            alarms = training_alarms(trained, training)
            self._judged(number, "final", state, gold, {"pool": NOTHING, "trained_on": len(items)}, alarms)
        return self._after(number, state)

    def _judged(
        self,
        number: int,
        stage: Literal["round", "final"],
        state: RunState,
        gold: Measurement,
        rest: dict[str, Any],
        alarms: list[Alarm],
        skipped: bool = False,
    ) -> None:
        """Gate a round's judge, raise the alarms, and write the round's metrics."""
        observer = self.context.observer
        items, seed = self.context.data.gold, self.config.seed
        change = paired_test(items, state.gold.labels, gold.labels, seed)
        # Small losses, none of them significant, can add up, so the seed judge is a fixed second reference.
        since_seed = paired_test(items, recorded(self.folder, 0).labels, gold.labels, seed)
        verdict = GateResult.SKIPPED if skipped else gate([change, since_seed], self.config.guards)
        alarms = [*alarms, *gold_alarms(state.gold.metrics, gold.metrics, self.config.guards.alarms)]
        self._tell(number, alarms)
        if verdict is GateResult.ROLLED_BACK:
            observer.note(
                f"round {number}: the judge is significantly worse on gold ({100 * change.difference:+.1f} points against the "
                f"current judge, {p_value(change.p_value)}; {100 * since_seed.difference:+.1f} against the seed judge, "
                f"{p_value(since_seed.p_value)}), so it is rolled back"
            )
        tests = {"verdict": verdict, "change": change, "since_seed": since_seed}
        self._finish(number, stage, gold, tests | rest | {"alarms": alarms})

    def _tell(self, number: int, alarms: Sequence[Alarm]) -> None:
        for alarm in alarms:
            self.context.observer.note(f"round {number}: {alarm.message}")

    def _finish(
        self, number: int, stage: Literal["seed", "round", "final"], gold: Measurement, rest: dict[str, Any]
    ) -> None:
        """Write the round's record, which ends the round."""
        folder = self.folder.round(number)
        if gold.faithfulness:
            rest = rest | {"faithfulness": dict(gold.faithfulness)}
        if (folder / READINGS).exists():
            rest = rest | {"verdict_read": ReadingsRecord.read(folder / READINGS)}
        record = RoundRecord(round=number, stage=stage, gold=gold.metrics, version=VERSION, **rest)
        finish_round(folder, record)

    def _after(self, number: int, state: RunState) -> RunState:
        """The state after a round, from its metrics alone."""
        gold = self._recorded(number)
        last = self.records[-1]
        if last.verdict is GateResult.ACCEPTED:
            return replace(
                state,
                model=self.folder.round(number) / "model",
                gold=gold,
                accepted=(*state.accepted, number) if last.stage == "round" else state.accepted,
            )
        if last.verdict is GateResult.ROLLED_BACK:
            stop = self.config.guards.on_worse == "stop"
            return replace(state, tightenings=state.tightenings + 1, stopped=stop)
        return state

    def _recorded(self, number: int) -> Measurement:
        """A finished round's measurement; also adds its record to the run's, in memory and on disk."""
        self.records.append(RoundRecord.read(self.folder.round(number) / "metrics.json"))
        self._write()
        return recorded(self.folder, number, self.records[-1])

    def _conclude(self, against: dict[str, PairedTest], warnings: list[str]) -> None:
        """Add what holds for the whole run to the last record."""
        last = {"against_baselines": against, "warnings": warnings}
        self.records[-1] = self.records[-1].model_copy(update=last)
        self._write()
        for warning in warnings:
            self.context.observer.note(warning)

    def _write(self) -> None:
        write_jsonl(self.folder.path / "metrics.jsonl", (record.row() for record in self.records))

    def _accumulated(self, rounds: Sequence[int]) -> list[LabeledComparison]:
        """Everything kept in these rounds; if a comparison was kept more than once, the latest judgment counts."""
        latest: dict[str, LabeledComparison] = {}
        for each in rounds:
            file = self.folder.round(each) / "kept.jsonl"
            for item in load_labeled(str(file))[0] if file.stat().st_size else ():
                latest.pop(item.comparison.id, None)
                latest[item.comparison.id] = item
        return list(latest.values())

    def _reference_words(self) -> float | None:
        """Mean number of words in the seed's rationales, else in those of the first round that kept any."""
        lengths = [len(item.rationale.split()) for item in self.seed if item.rationale]
        if lengths:
            return fmean(lengths)
        found = (each.rationales.mean_words for each in self.records if each.rationales)
        return next((words for words in found if words), None)

    def _backbone(self) -> Path:
        return start_of(self.context, self.config.model)

    def _train(
        self,
        number: int,
        title: str,
        start: Path,
        into: Path,
        items: Sequence[LabeledComparison],
        training: TrainingConfig | None = None,
    ) -> None:
        if not items:
            raise DataError(f"{title}: nothing to train on")
        job = TrainingJob(items, self.context.template, training or self.config.training, f"round {number}")
        with self.context.observer.task(title) as progress:
            self.context.engine.train(start, into, job, self.config.model, progress)
