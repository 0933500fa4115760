"""Adapting a judge: what is measured on what, the guard, the curve, going on, and mistakes; on scripted judges."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_method import Notes, shorter
from typer.testing import CliRunner

from conftest import make
from gramr2.adaptation.adapt import Adaptation
from gramr2.adaptation.few_shot import choose_shots, save_few_shot, with_shots
from gramr2.adaptation.task import OnRegression, Rationales, Task, parts, run_config
from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.cli.main import app
from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.config import RunConfig
from gramr2.config.training import ModelConfig
from gramr2.errors import ConfigError, DataError, ModelError, PromptTooLongError, RunError
from gramr2.files import write_jsonl
from gramr2.judging.records import labeled_row
from gramr2.judging.saved import load_options, load_template, save_template
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import ReadingWeights
from gramr2.testing import Script, ScriptedEngine, longer


def lines(path: Path, count: int, *, better: str, rationale: bool = True, prefix: str = "") -> str:
    """Labelled comparisons of which the longer (or the shorter) response is the better one."""
    items = []
    for i in range(count):
        responses = ("word " * (i % 7 + 2), "word " * (i % 5 + 12))
        label = Label.B if (better == "longer") else Label.A
        asked = Comparison(f"{prefix}{i}", (Message("user", f"{prefix} question {i}?"),), responses)
        items.append(LabeledComparison(asked, label, "Response A is short. Response B is long." if rationale else None))
    write_jsonl(path, map(labeled_row, items))
    return str(path)


class Adapting(ScriptedEngine):
    """Judges by length before training, and the other way round after it."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[GenerationRequest] = []
        self.options: list[dict[str, Any]] = []

    def open(self, folder: Path, model: ModelConfig) -> ScriptedBackend:
        self.options.append(model.chat_template_options)
        self.script = self._remembered(shorter if "runs" in folder.parts else longer)
        return super().open(folder, model)

    def _remembered(self, script: Script) -> Script:
        def judge(request: GenerationRequest, seed: int) -> Completion | str:
            self.requests.append(request)
            return script(request, seed)

        return judge

    def backbone(self, model: ModelConfig) -> Path:
        return Path(model.name)


def adapt(task: Task, out: Path, engine: ScriptedEngine | None = None) -> dict[str, Any]:
    used = engine or Adapting()

    def engine_for(config: RunConfig) -> ScriptedEngine:
        return used

    return Adaptation(task, out, engine_for=engine_for).run()


@pytest.fixture
def task(tmp_path: Path, tiny_model: Path) -> Task:
    data = lines(tmp_path / "task.jsonl", 60, better="shorter")
    return Task(str(tiny_model), data, general=lines(tmp_path / "general.jsonl", 30, better="shorter", prefix="g"))


def test_the_judge_is_measured_before_and_after_on_what_it_does_not_learn_from(task: Task, tmp_path: Path) -> None:
    engine = Adapting()
    result = adapt(replace(task, sizes=(16, 8)), tmp_path / "out", engine)
    before, *points = result["points"]
    assert [point["trained_on"] for point in points[:2]] == [8, 16]
    assert (before["accuracy"], points[-1]["accuracy"]) == (0.0, 1.0)
    assert points[-1]["change"]["difference"] == 1.0
    learnt = [{item.comparison.prompt_text for item in job.items} for job in engine.jobs]
    assert learnt[0] < learnt[1] < learnt[2], "the points of a curve are nested"
    assert len(learnt[2]) == points[-1]["trained_on"] == 60 - before["n"]
    measured = [json.loads(line)["id"] for line in (tmp_path / "out/before.jsonl").read_text().splitlines()]
    gold = [json.loads(line)["id"] for line in (tmp_path / "out/runs/all/rounds/0/gold.jsonl").read_text().splitlines()]
    assert measured == gold
    assert not learnt[2] & {f" question {name}?" for name in measured}
    assert result["general"]["after"]["accuracy"] == 1.0
    assert (tmp_path / "out/judge/config.json").exists()
    assert json.loads((tmp_path / "out/adaptation.json").read_text()) == result


def test_the_guard_reads_the_adapted_judge_as_it_is_published(task: Task, tmp_path: Path) -> None:
    adapt(task, tmp_path / "out")
    readings = load_template(tmp_path / "out/judge").readings
    rows = [json.loads(line) for line in (tmp_path / "out/general-after.jsonl").read_text().splitlines()]
    assert {vote["reading"] for row in rows for vote in row["votes"]} == {each.value for each in readings.asked}
    assert [each.value for each in readings.asked] == ["reasoned"], (
        "the task's own readings, not what the model was published with"
    )


def test_the_same_command_goes_on_and_another_task_is_refused(task: Task, tmp_path: Path) -> None:
    first = adapt(task, tmp_path / "out")
    again = Adapting()
    assert adapt(task, tmp_path / "out", again) == first
    assert not again.asked and not again.jobs
    with pytest.raises(RunError, match="started with another seed"):
        adapt(replace(task, seed=3), tmp_path / "out")
    lines(tmp_path / "task.jsonl", 61, better="shorter")
    with pytest.raises(RunError, match="started with another data_digest"):
        adapt(task, tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    with pytest.raises(RunError, match=r"not an adaptation \(it contains 'thesis.tex'\)"):
        adapt(task, tmp_path / "mine")


def test_answers_of_a_measurement_that_was_stopped_are_not_asked_again(task: Task, tmp_path: Path) -> None:
    adapt(task, tmp_path / "out")
    before = tmp_path / "out/before.jsonl"
    rows = before.read_text()
    before.unlink()
    engine = Adapting()
    adapt(task, tmp_path / "out", engine)
    assert before.read_text() == rows
    assert engine.asked == 0


def test_a_judge_that_gets_worse_elsewhere_is_refused_unless_that_is_wanted(task: Task, tmp_path: Path) -> None:
    worse = replace(task, general=lines(tmp_path / "other.jsonl", 30, better="longer", prefix="o"))
    with pytest.raises(RunError, match=r"significantly worse on .*other.jsonl \(-100.0 points") as caught:
        adapt(worse, tmp_path / "out")
    assert not (tmp_path / "out/judge").exists()
    assert json.loads((tmp_path / "out/adaptation.json").read_text())["published"] is False
    assert str(tmp_path / "out/runs/all/judge") in str(caught.value)
    engine = Adapting()
    result = adapt(replace(worse, on_regression=OnRegression.WARN), tmp_path / "out", engine)
    assert result["published"] and result["general"]["fell"] and not engine.jobs
    assert (tmp_path / "out/judge/config.json").exists()


def test_a_refusal_after_a_warning_takes_the_judge_back(task: Task, tmp_path: Path) -> None:
    worse = replace(task, general=lines(tmp_path / "other.jsonl", 30, better="longer", prefix="o"))
    adapt(replace(worse, on_regression=OnRegression.WARN), tmp_path / "out")
    with pytest.raises(RunError, match="is not published"):
        adapt(worse, tmp_path / "out")
    assert not (tmp_path / "out/judge").exists()


def test_a_test_that_the_judge_has_learnt_is_noticed(task: Task, tmp_path: Path) -> None:
    judge = tmp_path / "run"
    shutil.copytree(task.model, judge / "judge")
    (judge / "journal").mkdir()
    learnt = {"model": "x", "data": {"seed": task.data, "gold": "starter:gold"}, "rounds": 0}
    (judge / "run.yaml").write_text(json.dumps(learnt))
    observer = Notes()
    used = Adapting()
    Adaptation(replace(task, model=str(judge)), tmp_path / "out", engine_for=lambda _: used, observer=observer).run()
    assert any("may already have been learnt by" in note and "inflates its accuracy" in note for note in observer.notes)


def test_comparisons_that_are_too_long_are_named_before_anything_is_trained(task: Task, tmp_path: Path) -> None:
    engine = Adapting()
    engine.counter = lambda: ScriptedBackend(longer, context_length=300)  # type: ignore[method-assign]
    with pytest.raises(
        PromptTooLongError, match=r"task.jsonl: \d+ of \d+ comparisons are too long .* take them out of the file"
    ):
        adapt(task, tmp_path / "out", engine)
    assert not engine.jobs and not (tmp_path / "out").exists()


def test_examples_count_for_the_length_of_a_prompt_before_anything_is_judged(task: Task, tmp_path: Path) -> None:
    engine = Adapting()
    engine.counter = lambda: ScriptedBackend(longer, context_length=420)  # type: ignore[method-assign]
    with pytest.raises(PromptTooLongError, match=r"--test: \d+ of \d+ comparisons are too long"):
        adapt(replace(task, shots=4), tmp_path / "out", engine)
    assert not engine.requests and not (tmp_path / "out").exists()
    adapt(replace(task, shots=0), tmp_path / "trained", engine)


def test_answers_that_are_not_learnt_need_no_room(task: Task, tmp_path: Path) -> None:
    test = Path(lines(tmp_path / "test.jsonl", 20, better="shorter", prefix="t"))
    rows = [json.loads(line) | {"rationale": "word " * 900} for line in test.read_text().splitlines()]
    test.write_text("".join(json.dumps(row) + "\n" for row in rows))
    engine = Adapting()
    engine.counter = lambda: ScriptedBackend(longer, context_length=600)  # type: ignore[method-assign]
    with_test = replace(task, test=str(test), general=None)
    assert adapt(with_test, tmp_path / "out", engine)["points"]
    labels = replace(with_test, data=str(test), test=task.data, rationales=Rationales.NONE)
    assert adapt(labels, tmp_path / "labels", engine)["points"], "a rationale of the data that is not learnt"
    with pytest.raises(PromptTooLongError, match=r"test.jsonl: 20 of 20 comparisons are too long"):
        adapt(replace(labels, rationales=None), tmp_path / "both", engine)


def test_old_comparisons_are_learnt_along_with_the_new_as_many_as_there_are_of_those(
    task: Task, tmp_path: Path
) -> None:
    engine = Adapting()
    old = replace(task, replay=lines(tmp_path / "old.jsonl", 100, better="longer", prefix="old"), sizes=(8,))
    result = adapt(old, tmp_path / "out", engine)
    replayed = [[item for item in job.items if item.comparison.prompt_text.startswith("old")] for job in engine.jobs]
    assert [len(each) for each in replayed] == [8, result["points"][-1]["trained_on"]]
    assert [len(job.items) for job in engine.jobs] == [16, 2 * result["points"][-1]["trained_on"]]
    gold = (tmp_path / "out/runs/all/rounds/0/gold.jsonl").read_text()
    assert "old" not in gold and json.loads(gold.splitlines()[0])
    few = Adapting()
    adapt(replace(old, replay_limit=3, sizes=()), tmp_path / "few", few)
    assert sum(item.comparison.prompt_text.startswith("old") for item in few.jobs[0].items) == 3
    with pytest.raises(RunError, match="started with another replay_limit"):
        adapt(replace(old, replay_limit=4, sizes=()), tmp_path / "few")
    assert isinstance(old.general, str)
    with pytest.raises(DataError, match="30 comparisons of --general are also in --replay .*general.jsonl"):
        adapt(replace(old, replay=old.general), tmp_path / "leaky")
    assert [point.get("replayed") for point in result["points"]] == [None, 8, result["points"][-1]["trained_on"]]


def test_a_replay_that_meets_the_data_is_refused_before_anything_is_judged(task: Task, tmp_path: Path) -> None:
    old = Path(lines(tmp_path / "old.jsonl", 9, better="longer", prefix="old"))
    old.write_text(old.read_text().replace('"id": "old', '"id": "'))
    same_ids = replace(task, replay=str(old))
    engine = Adapting()
    with pytest.raises(DataError, match=r"--replay .*old.jsonl: the id '0' is also in .*: give the rows unique ids"):
        adapt(same_ids, tmp_path / "out", engine)
    rows = [json.loads(line) | {"id": f"copy-{i}"} for i, line in enumerate(Path(task.data).read_text().splitlines())]
    copies = tmp_path / "copies.jsonl"
    test = lines(tmp_path / "test.jsonl", 20, better="shorter", prefix="t")
    copies.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"60 comparisons of --replay .*copies.jsonl are also in"):
        adapt(replace(task, test=test, replay=str(copies)), tmp_path / "out", engine)
    with pytest.raises(DataError, match=r"the held-out part of .*task.jsonl are also in --replay"):
        adapt(replace(task, replay=str(copies)), tmp_path / "out", engine)
    assert not engine.requests


def test_whether_there_are_teachers_of_proofs_goes_by_what_is_drawn(task: Task) -> None:
    def some(prefix: str, count: int, rationales: int) -> list[LabeledComparison]:
        return [
            LabeledComparison(make(f"{prefix}{i}"), Label.A, "Because." if i < rationales else None)
            for i in range(count)
        ]

    proving = replace(task, rationales=Rationales.PROOFS, replay="old.jsonl", replay_limit=4)
    for size in (4, None):
        with_replay = run_config(proving, JudgeTemplate(), size, some("n", 400, 0), some("o", 20, 20))
        assert with_replay.rationale.proving.train
    found = {
        run_config(
            replace(proving, seed=seed), JudgeTemplate(), None, some("n", 9, 0), some("o", 200, 1)
        ).rationale.proving.train
        for seed in range(3)
    }
    assert found == {False}, "one of two hundred is hardly among the four"


def test_no_general_set_is_no_guard(task: Task, tmp_path: Path) -> None:
    assert adapt(replace(task, general=None), tmp_path / "out")["general"] is None


def test_a_test_set_measures_in_place_of_a_part_of_the_data(task: Task, tmp_path: Path) -> None:
    with_test = replace(task, test=lines(tmp_path / "test.jsonl", 20, better="shorter", prefix="t"))
    result = adapt(with_test, tmp_path / "out")
    assert (result["points"][0]["n"], result["points"][1]["trained_on"]) == (20, 60)
    leaky = replace(task, test=task.data)
    with pytest.raises(DataError, match="60 comparisons of --test are also in"):
        adapt(leaky, tmp_path / "leaky")
    with pytest.raises(DataError, match="comparisons of --general are also in"):
        adapt(replace(with_test, general=task.data), tmp_path / "leaky")


def test_too_little_is_a_sentence(task: Task, tmp_path: Path) -> None:
    few = replace(task, data=lines(tmp_path / "few.jsonl", 12, better="shorter"))
    with pytest.raises(ConfigError, match=r"would be held out, too few to measure on: name .* --test"):
        adapt(few, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"comparisons to learn from, fewer than the 500 of --curve"):
        adapt(replace(task, sizes=(500,)), tmp_path / "out")
    with pytest.raises(ConfigError, match="no weights here to adapt"):
        adapt(replace(task, model="scripted:longer"), tmp_path / "out")


@pytest.mark.parametrize(
    ("has", "asked", "mode", "expected"),
    [
        (True, None, JudgeMode.REASON, {"source": "joint", "own_for_seed": 0}),
        (False, None, JudgeMode.REASON, {"source": "joint", "own_for_seed": 4}),
        (False, None, JudgeMode.LABEL, {"source": "none"}),
        (True, Rationales.NONE, JudgeMode.REASON, {"source": "none"}),
        (True, Rationales.PROOFS, JudgeMode.REASON, {"source": "proving", "proving": {"train": True}}),
        (False, Rationales.PROOFS, JudgeMode.REASON, {"source": "proving", "proving": {"train": False}}),
    ],
)
def test_where_rationales_come_from(
    has: bool, asked: Rationales | None, mode: JudgeMode, expected: dict[str, Any], task: Task
) -> None:
    items = [LabeledComparison(make(str(i)), Label.A, "Because." if has else None) for i in range(9)]
    config = run_config(replace(task, rationales=asked), JudgeTemplate(mode, ("Be kind.",)), None, items)
    found = config.rationale.model_dump()
    assert found["source"] == expected["source"]
    assert found["own_for_seed"] == expected.get("own_for_seed", 0)
    if "proving" in expected:
        assert found["proving"]["train"] is expected["proving"]["train"]
    assert config.judge.mode == ("label" if expected["source"] == "none" else "reason")
    assert config.judge.principles == ["Be kind."]


def test_rationales_that_cannot_be_had_are_a_sentence(task: Task) -> None:
    items = [LabeledComparison(make("1"), Label.A)]
    with pytest.raises(ConfigError, match=r"no row has a rationale: use --rationales with one of own, proofs, none"):
        run_config(replace(task, rationales=Rationales.DATA), JudgeTemplate(), None, items)
    with pytest.raises(ConfigError, match="judges without rationales: leave --rationales own out"):
        run_config(replace(task, rationales=Rationales.OWN), JudgeTemplate(JudgeMode.LABEL), None, items)


def test_held_out_comparisons_share_no_prompt_with_what_is_learnt(task: Task) -> None:
    items = [
        LabeledComparison(Comparison(str(i), (Message("user", f"q{i % 40}"),), ("a", str(i))), Label.A)
        for i in range(120)
    ]
    learnt, held_out = parts(task, items)
    assert len(learnt) + len(held_out) == 120
    assert not {i.comparison.prompt for i in learnt} & {i.comparison.prompt for i in held_out}


def test_examples_in_the_prompt_are_an_adaptation_without_training(task: Task, tmp_path: Path) -> None:
    engine = Adapting()
    result = adapt(replace(task, shots=3), tmp_path / "out", engine)
    assert not engine.jobs
    assert result["points"][1]["shots"] == 3
    template = load_template(tmp_path / "out/judge")
    assert len(template.shots) == 3
    assert len(template.render(make("x"))) == 7
    n = result["points"][0]["n"]
    turns = [len(request.messages) for request in engine.requests]
    assert turns == [1] * 2 * n + [7] * 2 * n + [1] * 2 * 30 + [7] * 2 * 30, (
        "before and after, both orders, on both sets"
    )
    assert sorted(p.name for p in (tmp_path / "out/judge").iterdir()) == sorted(
        {p.name for p in Path(task.model).iterdir()} | {"gramr2_judge.json"}
    )


def test_examples_take_labels_in_turn_and_need_rationales_where_the_judge_reasons(tmp_path: Path) -> None:
    items = [
        LabeledComparison(make(str(i)), Label.A if i % 4 else Label.B, "So." if i < 8 else None) for i in range(20)
    ]
    chosen = choose_shots(items, 4, 1)
    assert [item.label for item in chosen] == [Label.A, Label.B, Label.A, Label.B]
    assert choose_shots(items[::-1], 4, 1) == chosen
    assert all(shot.rationale for shot in with_shots(JudgeTemplate(), items, 8, 1).shots)
    with pytest.raises(ConfigError, match="there are 8 comparisons with a rationale"):
        with_shots(JudgeTemplate(), items, 9, 1)
    assert len(with_shots(JudgeTemplate(JudgeMode.LABEL), items, 20, 1).shots) == 20


def test_a_few_shot_judge_leaves_the_model_it_is_made_of_as_it_is(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    save_template(JudgeTemplate(JudgeMode.LABEL, ("One.",)), model)
    shots = (LabeledComparison(make("1"), Label.TIE),)
    (model / "model.safetensors").write_bytes(b"w")
    (tmp_path / "linked/second_view").mkdir(parents=True)
    for file in model.iterdir():
        (tmp_path / "linked" / file.name).symlink_to(file)
    save_few_shot(tmp_path / "linked", JudgeTemplate(JudgeMode.LABEL, ("One.",), shots), tmp_path / "judge")
    assert not any(file.is_symlink() for file in (tmp_path / "judge").iterdir()), "as the hub's cache has them"
    assert not (tmp_path / "judge/second_view").exists(), "it was fitted for another task"
    (tmp_path / "judge/config.json").write_text("changed")
    assert (model / "config.json").read_text() == "{}"
    assert load_template(model).shots == ()
    assert load_template(tmp_path / "judge").shots == shots
    (model / "gramr2_judge.json").write_text('{"mode": "sing"}')
    with pytest.raises(ModelError, match=r"gramr2_judge.json does not describe a judge's prompt"):
        load_template(model)


def test_mistakes_on_the_command_line(tmp_path: Path) -> None:
    def fails(*extra: str) -> str:
        command = ["adapt", "-m", "lab-tiny", "-d", "lab:labeled", "-o", str(tmp_path / "o"), *extra]
        found = CliRunner().invoke(app, command)
        assert isinstance(found.exception, ConfigError)
        return str(found.exception)

    assert "write it like 16,64,256" in fails("--curve", "a,b")
    assert "--few-shot trains nothing" in fails("--few-shot", "2", "--curve", "8")
    assert "--replay have no effect" in fails("--few-shot", "2", "--replay", "x.jsonl")
    assert "name the comparisons to replay" in fails("--replay-limit", "8")
    for flag, value in (("--on-regression", "panic"), ("--rationales", "best")):
        found = CliRunner().invoke(app, ["adapt", "-m", "lab-tiny", "-d", "lab:labeled", "-o", "x", flag, value])
        assert (found.exit_code, flag in found.output) == (2, True)


@pytest.mark.slow
def test_a_real_model_is_adapted_and_its_curve_drawn(tmp_path: Path, tiny_model: Path) -> None:
    data = lines(tmp_path / "task.jsonl", 24, better="shorter", rationale=False)
    what = f"adapt -m {tiny_model} -d {data} -o {tmp_path / 'o'} --rationales none --curve 4 --held-out 0.5"
    how = "--epochs 1 --learning-rate 1e-2 --max-new-tokens 4 --quiet --json"
    done = CliRunner().invoke(app, f"{what} {how}")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert [point["trained_on"] for point in result["points"]][:2] == [0, 4]
    assert load_template(tmp_path / "o/judge").mode is JudgeMode.LABEL
    drawn = xml.etree.ElementTree.parse(tmp_path / "o/curve.svg").getroot()
    assert drawn.tag.endswith("svg")
    assert (tmp_path / "o/curve.csv").read_text().count("\n") == 4


@pytest.mark.parametrize(("ties", "wanted"), [(True, True), (False, "auto")])
def test_a_judge_that_may_call_ties_may_do_so_after_the_training(task: Task, ties: bool, wanted: bool | str) -> None:
    template = JudgeTemplate(JudgeMode.LABEL, readings=ReadingWeights(1.0, 0.0, ties))
    assert run_config(task, template, None, [LabeledComparison(make("a"), Label.A)]).judge.ties == wanted


@pytest.mark.parametrize("shots", [0, 4])
def test_a_judge_keeps_the_variables_of_its_chat_template(shots: int, task: Task, tmp_path: Path) -> None:
    judge = tmp_path / "mine"
    shutil.copytree(task.model, judge)
    save_template(JudgeTemplate(), judge, {"enable_thinking": False})
    mine = replace(task, model=str(judge), shots=shots, general=None)
    engine = Adapting()
    adapt(mine, tmp_path / "out", engine)
    assert engine.options and all(each == {"enable_thinking": False} for each in engine.options)
    assert load_options(tmp_path / "out/judge") == {"enable_thinking": False}
    save_template(JudgeTemplate(), judge, {"enable_thinking": True})
    with pytest.raises(RunError, match="started with another chat_template_options"):
        adapt(mine, tmp_path / "out")
