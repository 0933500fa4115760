"""``--prompt``: a third-party model is asked by the prompt that its users know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from broken_models import copied, with_template
from chat_server import Body, chat_server, comparisons, completion

from gramr2 import load_judge
from gramr2.comparison import Comparison
from gramr2.errors import ConfigError
from gramr2.judging.judge import Judge
from gramr2.judging.prompts import FieldTemplate, prompt
from gramr2.judging.saved import save_template
from gramr2.judging.template import JudgeMode, JudgeTemplate


def verdict(body: Body) -> str:
    """The side on which 42 stands, as MT-bench asks for it."""
    text = body["messages"][-1]["content"]
    first = text.partition("[Answer of assistant A begins]")[2].partition("[Answer of assistant A ends]")[0]
    return "I have counted. [[A]]" if "42" in first else "I have counted. [[B]]"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_a_remote_model_is_asked_with_it(cli, tmp_path: Path) -> None:
    data, out = comparisons(tmp_path / "in.jsonl"), tmp_path / "o.jsonl"
    with chat_server(lambda body: completion({"role": "assistant", "content": verdict(body)})) as (url, seen):
        model = f"openai:m@{url}/v1"
        code, _, err = cli("judge", "-m", model, "-d", data, "-o", out, "--prompt", "mt-bench")
        assert code == 0, err
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert [(row["label"], row["order_flip"], row["rationale"]) for row in rows] == [
            ("A", False, "I have counted.")
        ] * 2
        assert [turn["role"] for turn in seen[0]["messages"]] == ["system", "user"]
        # With room for tags.
        assert seen[0]["max_tokens"] == 1024 + 16
        assert not seen[0].get("logprobs")
        cli("judge", "-m", model, "-d", data, "-o", out, "--prompt", "mt-bench", "--max-new-tokens", "7")
        assert seen[-1]["max_tokens"] == 7 + 16


def test_another_prompt_is_another_evaluation(cli, write, tmp_path: Path) -> None:
    data = write(*({"id": str(i), "prompt": f"{i}", "responses": ["It is 42.", "no"], "label": "A"} for i in range(3)))
    own = tmp_path / "own.yaml"
    own.write_text(
        'user: "{question}\\n[Answer of assistant A begins]{answer_a}[Answer of assistant A ends]{answer_b}"\nverdict: brackets\n'
    )
    moved = tmp_path / "moved.yaml"
    moved.write_text(own.read_text())
    with chat_server(lambda body: completion({"role": "assistant", "content": verdict(body)})) as (url, seen):
        common = ("eval", "-m", f"openai:m@{url}/v1", "-b", data, "--json")
        outs = []
        for name in ("mt-bench", str(own), str(moved)):
            code, text, err = cli(*common, "--prompt", name)
            assert code == 0, err
            outs.append(json.loads(text)["out"])
            assert json.loads(text)["accuracy"] == 1.0
        # The same texts under another name are the same evaluation, and nothing is asked again.
        assert outs[0] != outs[1] == outs[2] and len(seen) == 12
        options = json.loads((Path(outs[0]) / "eval.json").read_text())["options"]
        assert (options["prompt"], options["max_new_tokens"]) == ("mt-bench", 1024)
        own.write_text(own.read_text().replace("{question}", "Q: {question}"))
        assert json.loads(cli(*common, "--prompt", str(own))[1])["out"] not in outs
        assert len(seen) == 18


def test_an_evaluation_without_a_prompt_has_the_key_it_had(cli, write) -> None:
    data = write({"id": "1", "prompt": "p", "responses": ["aa", "b"], "label": "A"})
    out = json.loads(cli("eval", "-m", "scripted:longer", "-b", data, "--json")[1])["out"]
    summary = json.loads((Path(out) / "eval.json").read_text())
    assert "prompt" not in summary["options"] and summary["options"]["max_new_tokens"] == 256


@pytest.mark.parametrize(
    "words", [("--mode", "label"), ("--verdict", "direct"), ("--close",), ("--direct-certainty", "0.9"), ("--probe",)]
)
def test_what_needs_gramr2s_own_form_is_refused(cli, tiny_model: Path, words: tuple[str, ...]) -> None:
    code, _, err = cli("eval", "-m", tiny_model, "-b", "starter:gold", "--prompt", "arena-hard", *words)
    assert code == 2
    assert words[0].strip("-").replace("-", "_") in err.replace("-", "_") and "leave" in err


@pytest.mark.parametrize(
    ("model", "sentence"),
    [("longer", "--prompt does not apply to the baseline"), ("scripted:longer", "answers in gramr2's own form")],
)
def test_it_is_for_models_that_write(cli, model: str, sentence: str, tmp_path: Path) -> None:
    code, _, err = cli("judge", "-m", model, "-d", "starter:gold", "-o", tmp_path / "o", "--prompt", "mt-bench")
    assert (code, sentence in err) == (2, True)


def test_grades_take_no_prompt(cli, tiny_model: Path, write, tmp_path: Path) -> None:
    data = write({"id": "1", "prompt": "p", "response": "aa"})
    words = ("--by", "rationale", "--prompt", "mt-bench")
    code, _, err = cli("score", "-m", tiny_model, "-d", data, "-o", tmp_path / "o", *words)
    assert (code, "--prompt is for comparisons" in err) == (2, True)


def test_a_local_model_is_asked_with_it(tiny_model: Path) -> None:
    judge = load_judge(tiny_model, prompt="rewardbench", max_new_tokens=8, device="cpu")
    assert isinstance(judge.model.template, FieldTemplate)
    decision = judge.compare("p", "a", "b")
    # Random weights write no verdict: both orders were asked, and none is guided to one.
    assert (decision.label, len(decision.judgments)) == (None, 2)
    assert all(vote.probabilities is None for vote in decision.judgments)
    with pytest.raises(ConfigError, match="mode does not apply to the prompt rewardbench"):
        load_judge(tiny_model, prompt="rewardbench", mode="label")
    with pytest.raises(ConfigError, match="no prompt 'x'"):
        load_judge(tiny_model, prompt="x")


def test_a_model_without_a_system_turn_is_asked_in_one(tiny_model: Path, tmp_path: Path) -> None:
    template = (
        "{% for message in messages %}{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
        "{% endif %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    )
    folder = with_template(copied(tiny_model, tmp_path / "m"), template)
    judge = load_judge(folder, prompt="mt-bench", max_new_tokens=2, device="cpu")
    assert isinstance(judge.model, Judge)
    (turn,) = judge.model.template.render(Comparison.of("p", "a", "b"))
    assert turn.role == "user" and turn.content.startswith(prompt("mt-bench").system + "\n\n[Question of the user]\np")
    assert judge.compare("p", "a", "b").label is None
    two = load_judge(tiny_model, prompt="mt-bench", device="cpu").model
    assert isinstance(two, Judge) and two.template.hash != judge.model.template.hash
    assert [each.role for each in two.template.render(Comparison.of("p", "a", "b"))] == ["system", "user"]


def test_a_judge_that_another_server_serves_is_asked_with_its_own_prompt(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "judge"
    folder.mkdir(parents=True)
    own = JudgeTemplate(JudgeMode.LABEL, ("Prefer what is true.",))
    save_template(own, folder)
    said = completion({"role": "assistant", "content": "<answer>A</answer>"})
    pair = Comparison.of("What is 6 × 7?", "42", "43")
    with chat_server(lambda body: said) as (url, seen):
        for named in (folder, tmp_path / "run"):
            judge = load_judge(f"openai:judge@{url}/v1", prompt=str(named))
            judge.compare([pair])
            assert judge.model.template == own
            asked = {body["messages"][0]["content"] for body in seen[-2:]}
            assert asked == {own.render(each)[0].content for each in (pair, pair.swap())}
            assert judge.model.sampling.max_new_tokens == 256
