"""Exports of real small judges: decisions survive, what would change them is refused, and the card says what is known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from typer.testing import CliRunner

from conftest import labeled, make
from gramr2.adaptation.few_shot import save_few_shot
from gramr2.backends.registry import resolve
from gramr2.backends.transformers import TransformersBackend
from gramr2.cli.main import app
from gramr2.comparison import Label
from gramr2.errors import ConfigError, ModelError, RunError
from gramr2.exporting.card import card
from gramr2.exporting.export import Check, _compare, export
from gramr2.exporting.source import Source, find
from gramr2.judging.saved import load_options, load_template, save_template
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.judgment import Decision, FinishReason, Judgment, LabelProbabilities, Order, Outcome
from gramr2.selftraining.run.folder import record_of


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["export", *arguments])


@pytest.mark.slow
def test_a_judge_is_exported_with_its_prompt_and_its_card(tmp_path: Path) -> None:
    judge = tmp_path / "judge"
    save_few_shot(resolve("lab-tiny"), JudgeTemplate(JudgeMode.LABEL, ("Be right.",)), judge)
    out = tmp_path / "out"
    done = run("-m", str(judge), "-o", str(out), "--check", "lab:gold", "--limit", "4", "--json", "-q")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["check"]["comparisons"] == 4
    assert told["check"]["largest_shift"] < 1e-4
    assert load_template(out) == load_template(judge)
    text = (out / "README.md").read_text(encoding="utf-8")
    metadata = yaml.safe_load(text.split("---")[1])
    assert metadata["pipeline_tag"] == "text-generation"
    assert "base_model" not in metadata
    assert "holds no record of a run" in text
    assert "every verdict is the\nsame" in text
    assert not (tmp_path / "out.tmp").exists()
    again = run("-m", str(judge), "-o", str(out), "--limit", "4")
    assert isinstance(again.exception, ConfigError)
    assert "is not empty" in str(again.exception)


@pytest.mark.slow
def test_an_adapter_is_merged_and_decides_as_before(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = resolve("lab-tiny")
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False),
    )
    model.peft_config["default"].base_model_name_or_path = "lab-tiny"
    adapter = tmp_path / "adapter"
    model.save_pretrained(adapter)
    save_template(JudgeTemplate(JudgeMode.LABEL), adapter)
    source = find(str(adapter))
    assert (source.weights, source.adapter, source.base) == (base, adapter, "lab-tiny")
    comparisons = [make(str(i), a="1.", b="It is 2.") for i in range(4)]
    scratch, template, check = export(source, tmp_path / "out", comparisons)
    assert check.comparisons == 4 and check.largest_shift < 1e-3
    assert template.mode is JudgeMode.LABEL
    assert not (scratch / "adapter_config.json").exists()
    merged = AutoModelForCausalLM.from_pretrained(scratch).state_dict()
    bare = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).state_dict()
    assert any(not torch.equal(merged[name].float(), bare[name]) for name in bare)


def test_the_variables_of_the_chat_template_stay_with_the_judge(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_model, tmp_path / "judge")
    save_template(JudgeTemplate(JudgeMode.LABEL), tmp_path / "judge", {"enable_thinking": False})
    rendered: list[Any] = []

    def opened(*args: Any, **options: Any) -> TransformersBackend:
        rendered.append(options["chat_template_options"])
        return TransformersBackend(*args, **options)

    monkeypatch.setattr("gramr2.exporting.export.TransformersBackend", opened)
    source = find(str(tmp_path / "judge"))
    scratch, template, check = export(source, tmp_path / "out", [make("0")])
    assert rendered == [{"enable_thinking": False}] * 2
    assert load_options(scratch) == {"enable_thinking": False}
    assert 'the variables `{"enable_thinking": false}`' in card(source, template, check, "float32", "j")


def decision(*outcomes: Outcome, p: float = 0.7, name: str = "c", rationale: str = "So.") -> Decision:
    votes = tuple(
        Judgment(
            order=order, sample=0, seed=0, outcome=outcome, finish_reason=FinishReason.STOP, rationale=rationale,
            probabilities=None, prompt_tokens=1, completion_tokens=1,
        )
        for order, outcome in zip((Order.AB, Order.BA), outcomes, strict=True)
    )  # fmt: skip
    return Decision(name, votes, outcomes[0].label, LabelProbabilities(p, 1 - p, 0.0), p, 1.0, False, 1.0)


def test_decisions_that_change_are_refused_and_shifts_are_told() -> None:
    same = decision(Outcome.A, Outcome.A)
    moved = decision(Outcome.A, Outcome.A, p=0.6, rationale="Thus.")
    assert _compare([same], [moved], "keep") == Check(1, pytest.approx(0.1), 0.0)
    for other in (decision(Outcome.B, Outcome.B), decision(Outcome.A, Outcome.TRUNCATED)):
        with pytest.raises(RunError, match=r"decides 1 of 2 comparisons differently \(the first, 'c': A and A before"):
            _compare([same, same], [same, other], "keep")
    with pytest.raises(RunError, match="keep the precision with --dtype keep"):
        _compare([same], [decision(Outcome.B, Outcome.B)], "float16")


@pytest.mark.slow
def test_nothing_is_left_of_an_export_that_decides_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(before: object, after: object, dtype: str) -> None:
        raise RunError("otherwise")

    monkeypatch.setattr("gramr2.exporting.export._compare", refuses)
    with pytest.raises(RunError):
        export(find("lab-tiny"), tmp_path / "out", [make("1")], max_new_tokens=4)
    assert not list(tmp_path.iterdir())


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    assert "take one of keep, float32" in str(run("-m", "lab-tiny", "-o", "x", "--dtype", "int3").exception)
    assert "write it as OWNER/NAME" in str(run("-m", "lab-tiny", "-o", "x", "--push-to-hub", "name").exception)
    with pytest.raises(ModelError, match="no weights here to export"):
        find("scripted:longer")
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="does not say which model the adapter belongs to"):
        find(str(tmp_path))
    with pytest.raises(ConfigError, match="there are none"):
        export(Source(tmp_path, None, None, None), tmp_path / "out", [])


METRICS = {"n": 90, "accuracy": 0.8, "low": 0.71, "high": 0.87, "coverage": 1.0, "order_flip_rate": 0.1}


def test_the_card_of_a_run_has_its_counts_and_intervals(tmp_path: Path) -> None:
    config = {
        "seed": 7, "model": {"name": "smollm2-135m"}, "training": {"method": "lora", "learning_rate": 1e-4},
        "rationale": {"source": "joint"}, "filters": [{"kind": "confidence"}],
        "data": {"seed": [{"path": "/home/me/seed.jsonl"}, {"path": "../acme/more.jsonl"}], "pool": [{"path": "lab:unlabeled"}], "gold": [{"path": "lab:gold"}]},
    }  # fmt: skip
    counts = {"n": 17, "labels": {"A": 4, "B": 3, "tie": 10}, "with_rationale": 17}
    data = {"seed": counts, "pool": {"n": 480}, "gold": counts | {"n": 90, "longer_response_accuracy": 0.3}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "data.json").write_text(json.dumps(data))
    (tmp_path / "journal").mkdir()
    (tmp_path / "rounds/0").mkdir(parents=True)
    metrics = {"round": 0, "stage": "seed", "gold": METRICS, "pool": {"judged": 0, "kept": 0}}
    (tmp_path / "rounds/0/metrics.json").write_text(json.dumps(metrics))
    judged = {"id": "g", "label": "A", "truth": "A", "confidence": 0.9}
    (tmp_path / "rounds/0/gold.jsonl").write_text(90 * f"{json.dumps(judged)}\n")
    source = Source(tmp_path, None, tmp_path, "smollm2-135m")
    text = card(source, JudgeTemplate(principles=("Be kind.",)), Check(64, 0.0, 1.0), "float32", "my-judge")
    assert yaml.safe_load(text.split("---")[1])["license"] == "apache-2.0"
    assert "| labelled seed | 17 (A 4, B 3, tie 10; 17 with a rationale) | seed.jsonl, more.jsonl |" in text
    assert "| seed judge | 90 | 80.0 % | 71.0 % to 87.0 % | 100.0 % | 10.0 % | 0 of 0 | – |" in text
    assert "1. Be kind." in text
    assert "/home/me" not in text and "acme" not in text
    moved = card(
        Source(tmp_path, None, tmp_path, "/home/me/gone"), JudgeTemplate(), Check(64, 0.0, 1.0), "float32", "j"
    )
    assert "/home/me" not in moved and "from `gone`" in moved


def test_the_card_of_an_adaptation_has_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change = {"difference": 0.1, "low": 0.02, "high": 0.2, "p_value": 0.0001}
    points = [METRICS | {"trained_on": 0}, METRICS | {"trained_on": 48, "accuracy": 0.9, "change": change}]
    adaptation = {"model": "owner/judge", "points": points, "general": None}
    (tmp_path / "adaptation.json").write_text(json.dumps(adaptation))
    source = Source(tmp_path, None, tmp_path, "owner/judge")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert "base_model" not in yaml.safe_load(card(source, JudgeTemplate(), Check(8, 0, 1), "x", "y").split("---")[1])
    (tmp_path / "models--owner--judge").mkdir()
    text = card(source, JudgeTemplate(), Check(8, 0.0, 1.0), "float16", "adapted")
    assert yaml.safe_load(text.split("---")[1])["base_model"] == "owner/judge"
    assert "| after | 90.0 % |" in text
    assert "+10.0 points (95 % interval +2.0 to +20.0, McNemar p < 0.001)" in text
    assert "was not measured" in text


@pytest.mark.slow
def test_the_hub_gets_the_folder_and_its_refusal_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    class Hub:
        def create_repo(self, name: str, **options: Any) -> None:
            sent.append((name, options))

        def repo_info(self, name: str) -> SimpleNamespace:
            return SimpleNamespace(private=name != "me/public")

        def upload_folder(self, repo_id: str, folder_path: Path, commit_message: str) -> SimpleNamespace:
            sent.append(sorted(file.name for file in folder_path.iterdir()))
            return SimpleNamespace(commit_url="https://hub/commit/1")

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    judge = tmp_path / "judge"
    save_few_shot(resolve("lab-tiny"), JudgeTemplate(JudgeMode.LABEL, (), (labeled("s", Label.A),)), judge)
    common = ["-m", str(judge), "--check", "lab:gold", "--limit", "2", "-q", "--push-to-hub", "me/judge", "--private"]
    done = run(*common, "-o", str(tmp_path / "one"))
    assert done.exit_code == 0, done.output
    assert sent[0] == ("me/judge", {"private": True, "exist_ok": True})
    assert {"README.md", "config.json", "gramr2_judge.json", "model.safetensors", "tokenizer.json"} <= set(sent[1])

    public = [*common[:-2], "me/public", "--private", "-o", str(tmp_path / "three")]
    assert "already exists and is public, so nothing was uploaded" in str(run(*public).exception)
    assert len(sent) == 3

    def offline(self: Hub, **options: Any) -> None:
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(Hub, "upload_folder", offline)
    failed = run(*common, "-o", str(tmp_path / "two"))
    assert isinstance(failed.exception, RunError)
    assert "is complete, but uploading it to me/judge failed (no route to the hub)" in str(failed.exception)
    assert (tmp_path / "two/README.md").exists()


def test_only_a_run_or_an_adaptation_is_a_record(tmp_path: Path) -> None:
    """Anybody may call a file run.yaml."""
    (tmp_path / "run.yaml").write_text("model: lab-tiny")
    (tmp_path / "judge").mkdir()
    assert record_of(tmp_path) is record_of(tmp_path / "judge") is None
    (tmp_path / "journal").mkdir()
    assert record_of(tmp_path) == record_of(tmp_path / "judge") == tmp_path
    (tmp_path / "other").mkdir()
    assert record_of(tmp_path / "other") is None


@pytest.mark.slow
def test_an_adapter_that_does_not_fit_is_a_sentence(tmp_path: Path) -> None:
    settings = {"peft_type": "LORA", "base_model_name_or_path": "lab-tiny", "r": 4, "target_modules": ["q_proj"]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=r"has no adapter_model.safetensors"):
        export(find(str(tmp_path)), tmp_path / "out", [make("1")])
    save_file({"base_model.model.x.lora_A.weight": torch.zeros(4, 7)}, tmp_path / "adapter_model.safetensors")
    settings["target_modules"] = ["nowhere"]
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=r"^the adapter in .* cannot be loaded: "):
        export(find(str(tmp_path)), tmp_path / "out", [make("1")])
