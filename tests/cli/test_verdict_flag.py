"""``--verdict`` on every command that judges, and what ``gramr2 judge`` says of comparisons that were not decided."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import make, vote
from gramr2.backends.base import Completion, GenerationRequest
from gramr2.backends.scripted import ScriptedBackend
from gramr2.cli.judge import failures
from gramr2.cli.opening import open_judge
from gramr2.comparison import Order
from gramr2.errors import ConfigError
from gramr2.judging import scripted
from gramr2.judging.judge import Judge
from gramr2.judging.saved import save_template
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judging.voting import decide
from gramr2.judgment import BOTH, DIRECT, REASONED, Decision, FinishReason, Outcome, ReadingWeights
from gramr2.loading import JudgeOptions


def opened(model: str, verdict: str | None = None, mode: str | None = None) -> Judge:
    return open_judge(model, JudgeOptions(votes=2, max_new_tokens=8, mode=mode, verdict=verdict))


@pytest.mark.parametrize(
    ("verdict", "asked"),
    [
        (None, [("<think>\nFeedback:", 2)] * 2),
        ("reasoned", [("<think>\nFeedback:", 2)] * 2),
        ("direct", [("<answer>", 1)] * 2),
        ("both", [("<answer>", 1)] * 2 + [("<think>\nFeedback:", 2)] * 2),
    ],
)
def test_what_a_scripted_judge_is_asked(verdict: str | None, asked: list[tuple[str, int]]) -> None:
    judge = opened("scripted:longer", verdict)
    assert judge.judge([make()])[0].label == "B"
    assert isinstance(judge.backend, ScriptedBackend)
    assert [(request.prefill, len(request.seeds)) for request in judge.backend.requests] == asked


@pytest.mark.parametrize(
    ("verdict", "readings"), [("direct", {"direct"}), ("reasoned", {"reasoned"}), ("both", {"direct", "reasoned"})]
)
def test_rows_say_where_each_vote_was_read(cli, verdict: str, readings: set[str], tmp_path: Path) -> None:
    out = tmp_path / "d.jsonl"
    words = ("-m", "scripted:longer", "-d", "starter:gold", "-o", str(out), "--limit", "3")
    assert cli("judge", *words, "--verdict", verdict)[0] == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 3
    for row in rows:
        assert set(row["readings"]) == {each["reading"] for each in row["votes"]} == readings
        assert (row["rationale"] is None) == (verdict == "direct")


def test_a_trained_judge_brings_its_readings_and_an_untrained_one_is_read_both_ways(
    tiny_model: Path, tmp_path: Path
) -> None:
    assert opened(str(tiny_model)).template.readings == BOTH
    assert opened(str(tiny_model), mode="label").template == JudgeTemplate(JudgeMode.LABEL)
    assert opened(str(tiny_model), "reasoned").template.readings == REASONED
    judge = tmp_path / "judge"
    shutil.copytree(tiny_model, judge)
    fitted = JudgeTemplate(principles=("Be kind.",), readings=ReadingWeights(0.3, 1.7))
    save_template(fitted, judge)
    assert opened(str(judge)).template == opened(str(judge), "both").template == fitted
    assert opened(str(judge), "direct").template == replace(fitted, readings=DIRECT)
    save_template(replace(fitted, readings=DIRECT), judge)
    assert opened(str(judge)).template.readings == DIRECT
    assert opened(str(judge), "both").template.readings == BOTH


COMMANDS = {
    "judge": ("-d", "starter:gold", "-o", "x"),
    "eval": ("-b", "starter:gold"),
    "rank": ("-d", "sets.jsonl", "-o", "x"),
    "score": ("-d", "sets.jsonl", "-o", "x"),
    "serve": ("--port", "0"),
}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    row = {"id": "1", "prompt": "p", "responses": ["a", "bb", "ccc"], "reference": "bb"}
    (tmp_path / "sets.jsonl").write_text(json.dumps(row) + "\n")
    return tmp_path


@pytest.mark.parametrize("command", list(COMMANDS))
def test_another_value_is_refused_with_those_there_are(cli, command: str, there: Path) -> None:
    code, _, err = cli(command, "-m", "scripted:longer", *COMMANDS[command], "--verdict", "sideways")
    assert code == 2
    assert all(word in err for word in ("--verdict", "'sideways'", "'direct'", "'reasoned'", "'both'"))
    assert "Traceback" not in err
    if command != "serve":
        assert cli(command, "-m", "scripted:longer", *COMMANDS[command], "--verdict", "direct")[0] == 0


@pytest.mark.parametrize("verdict", ["reasoned", "both"])
def test_a_judge_of_labels_has_no_rationale_to_read(cli, verdict: str, there: Path) -> None:
    words = ("judge", "-m", "scripted:longer", *COMMANDS["judge"], "--mode", "label", "--limit", "2", "--verdict")
    code, _, err = cli(*words, verdict)
    assert code == 2
    assert f"verdict {verdict} needs a rationale, and this judge writes none (mode label): leave it out" in err
    assert cli(*words, "direct")[0] == 0


def test_a_grade_is_no_comparison(cli, there: Path) -> None:
    words = ("score", "-m", "scripted:longer", *COMMANDS["score"], "--by", "rationale", "--verdict", "direct")
    code, _, err = cli(*words)
    assert code == 2
    assert "--verdict is for comparisons, leave it out" in err
    with pytest.raises(ConfigError, match="longer is a baseline"):
        opened("longer", "direct")


def test_there_are_no_rationales_to_probe_in_direct_verdicts(cli) -> None:
    words = ("eval", "-m", "scripted:longer", "-b", "starter:gold", "--limit", "4", "--probe", "--verdict")
    code, _, err = cli(*words, "direct")
    assert (code, "use --verdict reasoned" in err) == (2, True)
    assert cli(*words, "reasoned")[0] == 0


def undecided(*outcomes: Outcome, error: str | None = None) -> Decision:
    """An abstention: the stored order fails in these ways, the other order decides."""
    failed = [replace(vote(outcome, Order.AB, i), error=error) for i, outcome in enumerate(outcomes)]
    return decide("c", [*failed, vote(Outcome.A, Order.BA)])


CUT, MUTE, LOST = Outcome.TRUNCATED, Outcome.UNPARSEABLE, Outcome.ERROR


@pytest.mark.parametrize(
    ("decisions", "sentence"),
    [
        (
            [undecided(CUT), undecided(CUT)],
            "2 votes truncated; raise --max-new-tokens, read the verdict of truncated votes with --close, or use --verdict direct",
        ),
        (
            [undecided(MUTE, MUTE)],
            "2 votes unparseable; no verdict was written: use a trained judge, or --verdict direct",
        ),
        ([undecided(LOST, LOST, error="the server is gone")], "2 votes error; the server is gone"),
        ([undecided(LOST, LOST)], "2 votes error; the model failed"),
        (
            [undecided(CUT, MUTE, MUTE, MUTE), undecided(CUT)],
            "3 votes unparseable, 2 votes truncated; no verdict was written: use a trained judge, or --verdict direct",
        ),
    ],
)
def test_why_nothing_was_decided(decisions: list[Decision], sentence: str) -> None:
    assert all(decision.label is None for decision in decisions)
    assert failures(decisions) == sentence
    # Votes that failed beside others that decided are nobody's reason.
    decided = decide("d", [vote(Outcome.A, Order.AB), vote(CUT, Order.AB, 1), vote(Outcome.A, Order.BA)])
    assert failures([*decisions, decided]) == sentence


def test_judge_says_why_and_what_it_recommends_helps(cli, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rambles(request: GenerationRequest, seed: int) -> Completion | str:
        if request.prefill == "<answer>":
            return "<answer>tie</answer>"
        return Completion("<think>\nFeedback: Response A", FinishReason.LENGTH)

    monkeypatch.setitem(scripted.SCRIPTS, "rambles", rambles)
    words = ("judge", "-m", "scripted:rambles", *COMMANDS["judge"], "--limit", "4")
    code, text, error = cli(*words)
    assert code == 1
    assert "none of 4 comparisons was decided: 8 votes truncated" in error
    assert "undecided: 8 votes truncated; raise --max-new-tokens" in text
    assert "0 of 4 decided" in text
    text = cli(*words, "--verdict", "direct")[1]
    assert "4 of 4 decided" in text
    assert "undecided" not in text
    assert "undecided" not in cli(*words, "--quiet")[1] + cli(*words, "--json")[1]
