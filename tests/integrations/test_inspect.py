"""gramr2's scorers in inspect_ai's own runner, with its mock model."""

from __future__ import annotations

import math
import subprocess
import sys
from time import sleep

import pytest
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.log import read_eval_log
from inspect_ai.model import (
    ChatMessageUser,
    ContentImage,
    ContentReasoning,
    ContentText,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.solver import generate, user_message

from gramr2.integrations.inspect import grade, preference
from gramr2.judging.scripted import SCRIPTS
from gramr2.rewards.pointwise import Scored


def run(samples, scorer, tmp_path, *, answer="a long and good answer", solver=None, **options):
    def respond(messages, tools, choice, config):
        output = ModelOutput.from_content("mockllm", answer)
        output.usage = ModelUsage()  # else the mock counts tokens with a tokenizer that it downloads
        return output

    model = get_model("mockllm/model", custom_outputs=respond)
    task = Task(samples, solver=solver or generate(), scorer=scorer)
    (log,) = eval(
        task,
        model=model,
        log_dir=str(tmp_path),
        display="none",
        log_level="error",
        **options,
    )
    return log


def scores(log, name="gramr2/preference"):
    return {each.id: each.scores[name.partition("/")[2]] for each in log.samples}


def test_the_win_rate_over_targets(tmp_path):
    samples = [
        Sample(id="wins", input="Why?", target="short"),
        Sample(id="loses", input="Why?", target="a very much longer answer than the model's own"),
        Sample(id="both", input="Why?", target=["short", "a very much longer answer than the model's own"]),
    ]
    log = run(samples, preference("scripted:longer"), tmp_path)
    assert log.status == "success", log.error
    found = scores(log)
    assert {name: each.value for name, each in found.items()} == pytest.approx({"wins": 1, "loses": 0, "both": 0.5})
    assert found["both"].metadata["references"] == 2
    assert found["wins"].answer == "a long and good answer"
    assert "longer" in found["wins"].metadata["judge"]
    metrics = log.results.scores[0].metrics
    assert metrics["mean"].value == pytest.approx(0.5)
    assert metrics["stderr"].value > 0
    assert log.results.scores[0].name == "preference"


def test_references_in_the_metadata_and_chat_input(tmp_path):
    samples = [
        Sample(id="text", input="Why?", metadata={"baseline": "short"}),
        Sample(id="chat", input=[ChatMessageUser(content="Why?")], metadata={"baseline": ["short", "x" * 100]}),
    ]
    log = run(samples, preference("scripted:longer", references="baseline"), tmp_path)
    assert {name: each.value for name, each in scores(log).items()} == pytest.approx({"text": 1, "chat": 0.5})


def test_what_the_judge_does_not_decide_is_unscored_and_not_a_loss(tmp_path, monkeypatch):
    def sometimes(request, seed):
        return "No idea." if "odd" in request.messages[-1].content else SCRIPTS["longer"](request, seed)

    monkeypatch.setitem(SCRIPTS, "sometimes", sometimes)
    samples = [Sample(id="wins", input="Why?", target="short"), Sample(id="odd", input="odd", target="short")]
    log = run(samples, preference("scripted:sometimes"), tmp_path)
    found = scores(log)
    assert found["wins"].value == log.results.scores[0].metrics["mean"].value == 1
    assert log.results.scores[0].unscored_samples == 1
    assert math.isnan(found["odd"].value)
    assert found["odd"].reason == "grader_failed"
    assert "decided none" in found["odd"].explanation


def test_a_sample_without_a_reference_is_an_error_that_says_what_to_do(tmp_path):
    log = run([Sample(id="bare", input="Why?")], preference("scripted:longer"), tmp_path)
    assert log.status == "error"
    assert "give it a reference, or score with gramr2/grade" in log.error.message
    log = run([Sample(id="bare", input="Why?")], preference("scripted:longer", references="baseline"), tmp_path)
    assert "no 'baseline' in its metadata" in log.error.message


def test_an_image_is_refused_by_name(tmp_path):
    turns = [ChatMessageUser(content=[ContentImage(image="data:image/png;base64,AAAA")])]
    log = run([Sample(input=turns, target="x")], preference("scripted:longer"), tmp_path)
    assert log.status == "error"
    assert "image" in log.error.message


def test_a_judge_that_is_not_there_is_named(tmp_path):
    log = run([Sample(input="Why?", target="x")], preference("scripted:loonger"), tmp_path)
    assert log.status == "error"
    assert "loonger" in log.error.message


def test_samples_that_wait_together_are_judged_together(tmp_path, monkeypatch):
    from gramr2.judging.judge import Judge

    sizes = []
    judge = Judge.judge

    def counted(self, comparisons, **named):
        sizes.append(len(comparisons))
        sleep(0.05)  # so that others come meanwhile
        return judge(self, comparisons, **named)

    monkeypatch.setattr(Judge, "judge", counted)
    samples = [Sample(id=str(i), input=f"Why {i}?", target="short") for i in range(60)]
    log = run(samples, preference("scripted:longer"), tmp_path, max_samples=60)
    assert all(each.value == 1 for each in scores(log).values())
    assert sum(sizes) == 60
    assert len(sizes) < 60


def test_a_grade_is_the_judges_own_from_1_to_10(tmp_path, monkeypatch):
    written = "<think>\nGood.\n</think>\n<answer>6</answer>"
    monkeypatch.setitem(SCRIPTS, "grading", lambda request, seed: written)
    log = run([Sample(id="one", input="Why?")], grade("scripted:grading"), tmp_path)
    assert log.status == "success", log.error
    found = scores(log, "gramr2/grade")["one"]
    assert found.value == 7
    assert found.explanation == "Good."


def test_a_judge_that_only_compares_cannot_grade(tmp_path):
    log = run([Sample(id="one", input="Why?")], grade("longer"), tmp_path)
    assert "only compares and cannot grade" in log.error.message


def test_the_history_is_shown_when_it_is_asked_for(tmp_path, monkeypatch):
    from gramr2 import loading

    shown = []
    monkeypatch.setattr(loading, "against_references", lambda model, items, seed: shown.append(items[0]) or [FOUND])
    sample = Sample(id="s", input="Original?", target="x")
    solver = [generate(), user_message("And?"), generate()]
    for history in (False, True):
        log = run([sample], preference("scripted:longer", history=history), tmp_path, solver=solver)
        assert log.status == "success", log.error
    brief, whole = [[turn.content for turn in each.prompt] for each in shown]
    assert brief == ["Original?"]
    assert whole == ["Original?", "a long and good answer", "And?"]
    assert {each.response for each in shown} == {"a long and good answer"}


def test_the_history_of_a_reasoning_model_is_shown_without_its_reasoning(tmp_path, monkeypatch):
    from gramr2 import loading

    shown = []
    monkeypatch.setattr(loading, "against_references", lambda model, items, seed: shown.append(items[0]) or [FOUND])
    solver = [generate(), user_message("And?"), generate()]
    thought = ContentReasoning(reasoning="It is hard.")
    for content in ([thought, ContentText(text="Because.")], [thought]):
        scorer = preference("scripted:longer", history=True)
        log = run([Sample(input="Why?", target="x")], scorer, tmp_path, solver=solver, answer=content)
        assert log.status == "success", log.error
    whole, silent = [[turn.content for turn in each.prompt] for each in shown]
    assert whole == ["Why?", "Because.", "And?"]
    assert silent == ["Why?", "", "And?"]
    assert shown[0].response == "Because."


def test_inspects_command_scores_a_log_by_the_scorers_name(tmp_path):
    log = run([Sample(id="wins", input="Why?", target="short")], None, tmp_path)
    called = [sys.executable, "-m", "inspect_ai", "score", log.location, "--scorer", "gramr2/preference"]
    called += ["-S", "judge=scripted:longer", "--action", "append", "--output-file", str(tmp_path / "scored.eval")]
    done = subprocess.run(called, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    scored = read_eval_log(str(tmp_path / "scored.eval"))
    assert [each.scores["preference"].value for each in scored.samples] == [1]


FOUND = Scored("s", 0.5, None, 1.0)
