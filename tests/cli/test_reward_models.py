"""A scalar reward model wherever a judge's name is taken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from reward_models import conversational, pairing

from gramr2 import load_judge
from gramr2.backends.scalar import ScalarModel
from gramr2.comparison import Comparison, Label, Message
from gramr2.errors import ConfigError, ModelError
from gramr2.judging.scalar import ScalarJudge
from gramr2.serving.app import create_app
from gramr2.serving.model import Model


@pytest.fixture(scope="module")
def chat(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return conversational(tiny_model, tmp_path_factory.mktemp("reward") / "chat")


@pytest.fixture
def items(write) -> str:
    rows = [
        {"id": str(i), "prompt": f"What is {i}+1?", "responses": [f"{i + 1}", f"It is {i}." * (i + 1)], "label": "A"}
        for i in range(6)
    ]
    return write(*rows)


def test_eval_measures_it_by_its_rewards(cli, chat: Path, items: str, tmp_path: Path) -> None:
    code, text, err = cli("eval", "-m", chat, "-b", items, "-o", tmp_path / "e", "--json")
    assert code == 0, err
    result = json.loads(text)
    rows = [json.loads(line) for line in (tmp_path / "e/items.jsonl").read_text().splitlines()]
    model = ScalarModel(chat, device="cpu")
    assert (result["n"], result["coverage"], result["order_flip_rate"], result["model"]) == (6, 1.0, 0.0, model.id)
    right = 0
    for i, row in enumerate(rows):
        prompt = (Message("user", f"What is {i}+1?"),)
        a, b = model.rewards([(prompt, f"{i + 1}"), (prompt, f"It is {i}." * (i + 1))])
        assert row["label"] == ("A" if a > b else "B")
        right += a > b
    assert result["accuracy"] == pytest.approx(right / 6)
    assert "nothing is judged again" in cli("eval", "-m", chat, "-b", items, "-o", tmp_path / "e")[2]
    # Every reward was kept until the evaluation was whole.
    assert not (tmp_path / "e/answers.journal").exists()


def test_judge_rank_score_and_compare_take_it(cli, chat: Path, items: str, write, tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    assert cli("judge", "-m", chat, "-d", items, "-o", out)[0] == 0
    assert all(row["votes"] == [] and row["label"] in "AB" for row in map(json.loads, out.read_text().splitlines()))
    sets = write({"id": "1", "prompt": "p", "responses": ["a", "b", "cc"]}, name="sets.jsonl")
    assert cli("rank", "-m", chat, "-d", sets, "-o", out)[0] == 0
    single = write({"id": "1", "prompt": "p", "response": "aa", "reference": "b"}, name="single.jsonl")
    assert cli("score", "-m", chat, "-d", single, "-o", out)[0] == 0
    assert 0 < json.loads(out.read_text())["score"] < 1
    for name in ("one", "two"):
        assert cli("eval", "-m", chat, "-b", items, "-o", tmp_path / name)[0] == 0
    assert cli("compare", tmp_path / "one", tmp_path / "two")[0] == 0


def test_what_was_computed_before_a_stop_is_not_computed_again(
    cli, chat: Path, write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(*({"id": str(i), "prompt": f"{i}", "responses": ["a", "b"], "label": "A"} for i in range(70)))
    words = ("eval", "-m", chat, "-b", file, "-o", tmp_path / "e", "--json")
    whole = cli(*words[:-2], tmp_path / "whole", "--json")[1]
    asked: list[int] = []
    rewards = ScalarModel.rewards

    def stopping(self: ScalarModel, texts: list) -> list[float]:
        asked.append(len(texts))
        if len(asked) == 2:
            raise ModelError("the machine is gone")
        return rewards(self, texts)

    monkeypatch.setattr(ScalarModel, "rewards", stopping)
    assert cli(*words)[0] == 2
    code, text, _ = cli(*words)
    assert (code, asked) == (0, [128, 12, 12])
    assert json.loads(text) | {"out": ""} == json.loads(whole) | {"out": ""}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--votes", "2"), "--votes does not apply to the reward model"),
        (("--verdict", "direct"), "--verdict does not apply"),
        (("--engine", "ray"), "--engine does not apply"),
        (("--probe",), "--probe does not apply"),
    ],
)
def test_what_is_for_votes_is_refused(cli, chat: Path, items: str, words: tuple[str, ...], sentence: str) -> None:
    code, _, err = cli("eval", "-m", chat, "-b", items, *words)
    assert (code, sentence in err) == (2, True)


def test_device_and_dtype_apply(cli, chat: Path, items: str, tmp_path: Path) -> None:
    words = ("--dtype", "bfloat16", "--device", "cpu", "--json")
    code, text, _ = cli("eval", "-m", chat, "-b", items, "-o", tmp_path / "e", *words)
    assert (code, json.loads(text)["model"].rpartition(":")[2]) == (0, "bfloat16")


def test_what_does_not_fit_is_refused_or_dropped(cli, tmp_path: Path, write) -> None:
    model = pairing(tmp_path / "pairs")
    rows = [{"id": str(i), "prompt": "p", "responses": ["a " * n, "b"]} for i, n in enumerate((1, 200))]
    file, out = write(*rows), tmp_path / "o.jsonl"
    code, _, err = cli("judge", "-m", model, "-d", file, "-o", out)
    assert (code, "1 of 2 comparisons exceed the budget of 96" in err) == (2, True)
    assert cli("judge", "-m", model, "-d", file, "-o", out, "--on-overlong", "drop")[0] == 0
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["0"]


def test_it_has_no_grades_and_says_so(cli, chat: Path, write, tmp_path: Path) -> None:
    judge = load_judge(chat)
    assert isinstance(judge.model, ScalarJudge)
    assert judge.compare("p", "a", "b").label in (Label.A, Label.B)
    with pytest.raises(ConfigError, match="a reward on a scale of its own .* no grade from 1 to 10: give references"):
        judge.score("p", "a")
    with pytest.raises(ConfigError, match="votes does not apply to the reward model"):
        load_judge(chat, votes=2)
    single = write({"id": "1", "prompt": "p", "response": "aa"}, name="single.jsonl")
    code, _, err = cli("score", "-m", chat, "-d", single, "-o", tmp_path / "o", "--by", "rationale")
    assert (code, "LlamaForSequenceClassification, which writes no text" in err) == (2, True)


def test_a_runs_own_scalar_model_is_named_as_the_baseline_that_it_is(tiny_model: Path, tmp_path: Path) -> None:
    folder = conversational(tiny_model, tmp_path / "m")
    (folder / "baseline.json").write_text("{}")
    with pytest.raises(ConfigError, match="give bradley-terry:RUN"):
        load_judge(folder)


def test_a_server_has_it(chat: Path) -> None:
    judge = ScalarJudge(ScalarModel(chat, device="cpu"))
    with TestClient(create_app(Model(lambda: judge))) as client:
        while client.get("/readyz").status_code != 200:
            pass
        assert client.get("/v1/judge").json() == {"model": judge.id, "template": ""}
        pair = {"prompt": "p", "responses": ["aa", "b"]}
        (decision,) = client.post("/v1/judge", json={"comparisons": [pair]}).json()["decisions"]
        (mine,) = judge.compare([Comparison.of("p", "aa", "b")])
        assert (decision["label"], decision["order_flip"]) == (mine.label, False)
        ranking = client.post("/v1/rank", json={"prompt": "p", "responses": ["aa", "b", "ccc"]}).json()["ranking"]
        assert sorted(place["index"] for place in ranking["places"]) == [0, 1, 2]
        item = {"prompt": "p", "response": "aa"}
        scored = client.post("/v1/score", json={"items": [item | {"reference": "b"}]})
        assert 0 < scored.json()["scores"][0]["score"] < 1
        graded = client.post("/v1/score", json={"items": [item], "by": "rationale"})
        assert (graded.status_code, "no grades" in graded.json()["detail"]) == (422, True)
        long = {"prompt": "p", "responses": ["a" * 2000, "b"]}
        refused = client.post("/v1/judge", json={"comparisons": [long]})
        assert (refused.status_code, "room for 512 tokens" in refused.json()["detail"]) == (413, True)
