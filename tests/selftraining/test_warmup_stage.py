"""The warm-up as a stage: once, before everything else, and the start of every training that would begin from the backbone."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from test_loop import config

from gramr2.errors import ConfigError
from gramr2.reporting.report import render
from gramr2.reporting.run import read_run
from gramr2.selftraining.loop import SelfTraining
from gramr2.selftraining.run.sharing import SeedJudges
from gramr2.testing import ScriptedEngine
from gramr2.text import warm_up_line

WARM = {"warmup": {"form": "responses", "held_out_share": 0.1}}


class Notes:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def task(self, title: str) -> Any:
        from gramr2.selftraining.run.observer import Silent

        return Silent().task(title)


def run(path: Path, engine: ScriptedEngine | None = None, shared: Path | None = None, **changes: Any) -> ScriptedEngine:
    used = engine or ScriptedEngine()
    judges = SeedJudges(shared) if shared else None
    SelfTraining(config(**changes), path, engine=used, seed_judges=judges).run()
    return used


def test_every_training_from_the_backbone_starts_from_the_warmed_up_one(tmp_path: Path) -> None:
    engine = run(tmp_path / "r", rounds=2, **WARM)
    ((start, job),) = engine.warmed
    assert start == Path("backbone/none")
    assert [start for start, _ in engine.trained] == [tmp_path / "r/warmup/model"] * 3
    assert len(job.texts) + len(job.held_out) == 40
    assert not {text.prompt for text in job.texts} & {text.prompt for text in job.held_out}
    assert (job.training.learning_rate, job.training.epochs, job.prompt_loss) == (5e-5, 1, True)
    report = json.loads((tmp_path / "r/warmup/report.json").read_text())
    assert (report["examples"], report["before"], report["after"]) == (len(job.texts), 2.0, 1.5)
    again = run(tmp_path / "r", rounds=2, **WARM)
    assert not again.warmed and not again.trained


def test_the_limit_draws_comparisons(tmp_path: Path) -> None:
    drawn = [
        {text.prompt for text in run(tmp_path / str(seed), rounds=0, seed=seed, warmup={"limit": 5}).warmed[0][1].texts}
        for seed in (1, 2)
    ]
    assert all(len(prompts) == 5 for prompts in drawn)
    assert drawn[0] != drawn[1]


def test_without_it_nothing_is_different(tmp_path: Path) -> None:
    engine = run(tmp_path / "r")
    assert not engine.warmed
    assert not (tmp_path / "r/warmup").exists()
    assert "Warm-up" not in render(read_run(tmp_path / "r"))


@pytest.mark.parametrize(("model", "start"), [(None, "warmup/model"), ("another", "backbone/another")])
def test_the_proving_model_keeps_its_own_backbone(tmp_path: Path, model: str | None, start: str) -> None:
    proving = {"proofs": 2, "min_tokens": 5} | ({"model": model} if model else {})
    engine = run(tmp_path / "r", rationale={"source": "proving", "proving": proving}, **WARM)
    starts = {job.stage: begun for (begun, _), job in zip(engine.trained, engine.jobs, strict=True)}
    assert str(starts["proving"]).endswith(start)
    assert starts["round 0"] == tmp_path / "r/warmup/model"


def test_a_warm_up_cut_off_before_its_report_is_made_again(tmp_path: Path) -> None:
    class Dies(ScriptedEngine):
        def warm_up(self, *arguments: Any) -> Any:
            super().warm_up(*arguments)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "r", Dies(), **WARM)
    assert not (tmp_path / "r/warmup").exists()
    assert len(run(tmp_path / "r", **WARM).warmed) == 1
    assert not (tmp_path / "r/warmup.tmp").exists()


def test_runs_that_begin_alike_share_it_and_what_decides_it_is_not_shared(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    assert run(tmp_path / "one", shared=shared, rounds=0, **WARM).warmed
    two = run(tmp_path / "two", shared=shared, **WARM)
    assert not two.warmed
    assert [job.stage for job in two.jobs] == ["round 1"]
    assert two.trained[0][0] == tmp_path / "two/warmup/model"
    # Another judge on the same warm-up.
    label = {"judge": {"mode": "label"}, "rationale": "none", "filters": []}
    three = run(tmp_path / "three", shared=shared, rounds=0, **(WARM | label))
    assert not three.warmed
    assert [job.stage for job in three.jobs] == ["round 0"]
    other_pool = config().model_dump(mode="json")["data"]
    other_pool["pool"][0]["limit"] = 19
    for number, change in enumerate(
        ({"warmup": {"form": "pairs"}}, {"seed": 2}, {"training": {"method": "lora"}}, {"data": other_pool})
    ):
        engine = run(tmp_path / f"other {number}", shared=shared, rounds=0, **(WARM | change))
        assert engine.warmed and engine.jobs, change
    assert not run(tmp_path / "without", shared=shared, rounds=0).warmed


def test_the_report_and_a_note_say_what_it_cost_and_changed(tmp_path: Path) -> None:
    notes = Notes()
    SelfTraining(config(rounds=0, baselines=[], **WARM), tmp_path / "r", engine=ScriptedEngine(), observer=notes).run()
    line = "Warm-up on 36 texts, 360 tokens, 1 s; loss per token of the responses in 4 held-out texts 2.000 → 1.500."
    assert [each for each in notes.lines if each.startswith("Warm-up")] == [line]
    assert line in render(read_run(tmp_path / "r"))
    bare = {"examples": 3, "tokens": 30, "left_out": 2, "seconds": 200, "held_out": 0, "before": None, "after": None}
    assert warm_up_line(bare) == (
        "Warm-up on 3 texts, 30 tokens, 2 left out as too long, 3 min; no text was held out, so its effect is not known."
    )


def test_it_needs_a_pool() -> None:
    data = config().model_dump(mode="json")["data"] | {"pool": []}
    with pytest.raises(ConfigError, match="warmup learns from data.pool"):
        config(rounds=0, data=data, **WARM)


def test_a_string_is_the_form_and_micro_batches_divide() -> None:
    made = config(warmup="pairs", training={"batch_size": 16, "micro_batch_size": 8}).warmup
    assert made and made.form == "pairs"
    training = config(training={"batch_size": 12, "micro_batch_size": 6, "early_stop": {}, "min_steps": 9}).training
    applied = made.applied_to(training)
    assert (applied.batch_size, applied.micro_batch_size) == (8, 2)
    assert (applied.min_steps, applied.early_stop) == (0, None)


@pytest.mark.parametrize("pool", ["starter:unlabeled", "starter:labeled"])
def test_with_a_seed_of_its_own_runs_that_draw_other_labels_share_it(tmp_path: Path, pool: str) -> None:
    """Whether the pool is a file of its own, or the one of which each run labels another part."""
    data = config().model_dump(mode="json")["data"]
    data = data | {"seed": [data["seed"][0] | {"path": "starter:labeled", "limit": 8}], "pool": pool}
    shared = tmp_path / "shared"
    warm: dict[str, Any] = {"warmup": {"seed": 5}, "data": data, "rounds": 0}
    one = run(tmp_path / "one", shared=shared, seed=1, **warm)
    two = run(tmp_path / "two", shared=shared, seed=2, **warm)
    assert one.warmed and not two.warmed
    assert [job.stage for job in two.jobs] == ["round 0"]
    labelled = [{item.comparison.id for item in engine.jobs[0].items} for engine in (one, two)]
    assert labelled[0] != labelled[1]
    alone = run(tmp_path / "alone", seed=2, **warm)
    assert alone.warmed[0][1] == one.warmed[0][1]
    other = run(tmp_path / "other", shared=shared, seed=1, **(warm | {"warmup": {"seed": 6}}))
    assert other.warmed and other.warmed[0][1].texts != one.warmed[0][1].texts
    # What is learnt of verdicts and rationales does not touch it.
    plain = run(tmp_path / "plain", shared=shared, seed=3, **(warm | {"training": {"verdict": {"weight": 0}}}))
    assert not plain.warmed


def test_a_second_process_waits_for_the_warm_up_of_the_first(tmp_path: Path) -> None:
    began, go = Event(), Event()

    class Slow(ScriptedEngine):
        def warm_up(self, *arguments: Any) -> Any:
            began.set()
            assert go.wait(30)
            return super().warm_up(*arguments)

    engines = Slow(), ScriptedEngine()
    threads = [
        Thread(target=run, args=(tmp_path / str(i), engine, tmp_path / "shared"), kwargs={"rounds": 0, **WARM})
        for i, engine in enumerate(engines)
    ]
    threads[0].start()
    assert began.wait(30)
    threads[1].start()
    threads[1].join(0.5)
    assert threads[1].is_alive() and not engines[1].warmed
    go.set()
    for thread in threads:
        thread.join(30)
    assert engines[0].warmed and not engines[1].warmed and engines[1].jobs
