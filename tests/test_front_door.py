"""What ``import gramr2`` offers, and what it does not load before it is needed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gramr2
from conftest import labeled, make
from gramr2 import Comparison, Label, LabeledComparison, load_judge, self_train
from gramr2.baselines.longer import NAME as LONGER
from gramr2.client import Client
from gramr2.comparison import Message, ResponseSet
from gramr2.errors import ConfigError, DataError, ModelError, RunError
from gramr2.judging.judge import Judge
from gramr2.judging.saved import save_template
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.selftraining.run.folder import config_of
from gramr2.testing import ScriptedEngine

NAMES = [
    "Client",
    "Comparison",
    "Decision",
    "Label",
    "LabeledComparison",
    "LoadedJudge",
    "PreferenceModel",
    "ReferenceReward",
    "SiblingReward",
    "TRLReward",
    "TrainedJudge",
    "WinRateReward",
    "__version__",
    "load_judge",
    "self_train",
]
LAZY = """
import sys, gramr2
for name in gramr2.__all__:
    getattr(gramr2, name)
judge = gramr2.load_judge("scripted:longer")
assert judge.compare("p", "a", "bb").label is gramr2.Label.B
assert gramr2.load_judge("longer").rank("p", ["a", "bbb"]).best == 1
loaded = {"torch", "transformers", "sklearn", "fastapi"} & set(sys.modules)
assert not loaded, loaded
"""


def test_the_names_are_these() -> None:
    assert sorted(gramr2.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(gramr2))
    assert all(getattr(gramr2, name) for name in NAMES)
    with pytest.raises(AttributeError, match="no attribute 'loadjudge'"):
        _ = gramr2.loadjudge


def test_no_torch_before_a_model_is_loaded() -> None:
    subprocess.run([sys.executable, "-c", LAZY], check=True)


def test_a_judge_compares_one_and_many() -> None:
    judge = load_judge("scripted:longer")
    assert judge.compare("p", "a", "bb").label is Label.B
    assert judge.compare([{"role": "user", "content": "p"}], a="aaa", b="bb").label is Label.A
    assert judge.compare(prompt="p", a="aaa", b="bb", seed=3).label is Label.A
    some = [make("1", "a", "bb"), make("2", "aaa", "bb")]
    assert [each.label for each in judge.compare(some)] == [Label.B, Label.A]
    assert judge.compare(comparisons=some, seed=1) == judge.compare(some, 1) == judge.compare(some, seed=1)
    assert judge.id == "scripted:longer"


def test_a_judge_ranks_and_scores() -> None:
    judge = load_judge("scripted:longer")
    ranking = judge.rank("p", ["a", "bbb", "cc"])
    assert (ranking.best, [place.index for place in ranking.places]) == (1, [1, 2, 0])
    assert judge.rank("p", ["a", "bbb", "cc"], scheme="knockout").best == 1
    assert judge.rank("p", ["a", "bbb", "cc"], budget=3).best == 1
    assert judge.score("p", "aa", references=["a", "aaa"]).score == 0.5
    assert judge.score("p", "aa").score is None, "it compares, and writes no grade"


def test_a_baseline_is_a_judge_that_cannot_grade() -> None:
    judge = load_judge("longer")
    assert judge.compare("p", "a", "bb").judgments == ()
    assert judge.rank("p", ["a", "bbb", "cc"]).best == 1
    assert judge.score("p", "aa", references=["a"]).score == 1.0
    with pytest.raises(
        ConfigError, match=f"{LONGER} only compares and cannot grade a single response: give references"
    ):
        judge.score("p", "aa")


def test_a_server_is_a_judge() -> None:
    assert isinstance(load_judge("http://127.0.0.1:9", token="t").model, Client)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("scripted:longer", {"orders": "none"}, "orders 'none' is not known: take one of both, first"),
        ("scripted:longer", {"verdict": "up"}, "verdict 'up' is not known"),
        ("scripted:longer", {"vote": 3}, "load_judge has no option vote .did you mean votes.*: it takes votes, orders"),
        ("scripted:longer", {"votes": 3, "temperature": 0}, "3 votes at temperature 0 would be identical"),
        ("scripted:longer", {"mode": "label", "verdict": "both"}, "verdict both needs a rationale"),
        ("longer", {"votes": 3}, "votes does not apply to the baseline longer"),
        ("http://127.0.0.1:9", {"verdict": "direct"}, "verdict does not apply to the judge that is served at http"),
        ("bag-of-words", {}, "bag-of-words learns from a run's seed"),
        ("scripted:longer", {"dtype": "bfloat16"}, "dtype does not apply to scripted:longer, which is not loaded here"),
        ("scripted:longer", {"token": "t"}, "token does not apply to scripted:longer"),
        ("scripted:longer", {"votes": 0}, "votes 0 is too few"),
        ("scripted:longer", {"max_new_tokens": -3}, "max_new_tokens -3 is too few"),
        ("scripted:longer", {"temperature": -1.0}, "temperature -1.0 is not valid"),
    ],
)
def test_what_cannot_be_asked_is_refused(name: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_judge(name, **options)


def test_the_prompt_that_a_judge_was_trained_with_comes_along(tmp_path: Path, tiny_model: Path) -> None:
    """And that of an adapter, whose folder says what it is an adapter for."""
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM

    template = JudgeTemplate(JudgeMode.LABEL, ("be brief",))
    adapter = tmp_path / "adapter"
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(target_modules="all-linear"))
    model.peft_config["default"].base_model_name_or_path = str(tiny_model)
    model.save_pretrained(adapter)
    save_template(template, adapter)
    judge = load_judge(adapter).model
    assert isinstance(judge, Judge)
    assert judge.template == template
    assert load_judge(adapter).compare("p", "a", "b").readings
    plain = load_judge(tiny_model, votes=2, max_new_tokens=9, dtype="float32").model
    assert isinstance(plain, Judge)
    assert (plain.sampling.votes, plain.sampling.temperature, plain.sampling.max_new_tokens) == (2, 0.75, 9)
    assert [each.value for each in plain.template.readings.asked] == ["direct", "reasoned"], "it was never trained"
    other = shutil.copytree(adapter, tmp_path / "other")
    weights = load_file(other / "adapter_model.safetensors")
    save_file({name: value + 1 for name, value in weights.items()}, other / "adapter_model.safetensors")
    assert len({load_judge(each).id for each in (tiny_model, adapter, other)}) == 3, "a journal must not mix them"
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="has no base_model_name_or_path"):
        load_judge(adapter)


def test_a_comparison_is_named_by_its_texts() -> None:
    one, same = Comparison.of("p", "a", "b"), Comparison.of([Message("user", "p")], "a", "b")
    assert one == same
    assert (
        len({one.id, Comparison.of("p", "b", "a").id, Comparison.of("p", "ab", "").id, Comparison.of("q", "a", "b").id})
        == 4
    )
    assert Comparison.of("p", "a", "b", id="mine").id == "mine"
    assert ResponseSet.of("p", ["a", "b"]).responses == ("a", "b")


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "robot", "content": "4"},
        {"role": "user"},
        {"role": "user", "content": [{"type": "image", "text": "p"}]},
        {"role": "assistant", "content": "", "tool_calls": [{"arguments": "f"}]},
        {"role": "user", "content": "p", "note": "q"},
    ],
)
def test_a_message_that_is_not_understood_is_refused(turn: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"^prompt\[0\]"):
        Comparison.of([turn], "a", "b")


def some_labeled(start: int, count: int) -> list[LabeledComparison]:
    return [
        LabeledComparison(Comparison.of(f"prompt {i}", "x" * (40 + i), "y" * 3), Label.A) if i % 2 else
        LabeledComparison(Comparison.of(f"prompt {i}", "x" * 3, "y" * (40 + i)), Label.B)
        for i in range(start, start + count)
    ]  # fmt: skip


def test_comparisons_in_memory_train_a_judge(tmp_path: Path) -> None:
    seed, gold = some_labeled(0, 6), some_labeled(20, 8)
    pool = [item.comparison for item in some_labeled(40, 10)]
    settings = {"baselines": ["longer"], "filters": [{"kind": "duplicates"}], "judge": {"mode": "label"}}

    def train(**changes: object) -> gramr2.TrainedJudge:
        given = {"labeled": seed, "pool": pool, "gold": gold, "out": tmp_path / "r"} | changes
        return self_train(settings, model="none", engine=ScriptedEngine(), **given)  # type: ignore[arg-type]

    trained = train()
    assert trained.rounds[0].gold.accuracy == 1.0
    assert trained.rounds[1].pool.judged == 10
    kept = [json.loads(line) for line in (tmp_path / "r/rounds/1/kept.jsonl").read_text().splitlines()]
    assert {row["id"] for row in kept} <= {each.id for each in pool}
    assert train().rounds == trained.rounds, "the same call resumes"
    with pytest.raises(RunError, match="was started with another config"):
        train(labeled=seed[:-1])
    assert len([*(tmp_path / "r/data").iterdir()]) == 3, "a call that is refused writes nothing"
    (tmp_path / "r").rename(tmp_path / "renamed")
    assert train(out=tmp_path / "renamed").rounds == trained.rounds
    assert Path(config_of(tmp_path / "renamed").data.seed[0].path).is_file()
    strange = tmp_path / "thesis"
    strange.mkdir()
    (strange / "a.tex").touch()
    with pytest.raises(RunError, match="not empty and not a run"):
        train(out=strange)
    assert [each.name for each in strange.iterdir() if each.name != ".lock"] == ["a.tex"]


def test_a_run_file_trains_a_judge(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        "model: none\nrounds: 0\nbaselines: []\njudge: {mode: label}\n"
        "data: {seed: {path: 'starter:labeled', limit: 6}, gold: {path: 'starter:gold', limit: 10}}\n"
    )
    trained = self_train(file, out=tmp_path / "r", engine=ScriptedEngine())
    assert (len(trained.rounds), trained.rounds[0].gold.n) == (1, 10)
    replaced = self_train(file, out=tmp_path / "s", gold=[labeled("g", Label.B)], engine=ScriptedEngine())
    assert replaced.rounds[0].gold.n == 1


def test_a_run_without_a_seed_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.seed"):
        self_train(out=tmp_path / "r", model="none", gold=some_labeled(0, 2))
    assert not (tmp_path / "r").exists()
