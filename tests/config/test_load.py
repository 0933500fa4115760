"""A run file is right, or one sentence says what to change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from gramr2.config import dump_config, load_config, parse_config
from gramr2.errors import ConfigError

GOOD = {
    "model": "smollm2-135m",
    "data": {"seed": "starter:labeled", "pool": "starter:unlabeled", "gold": "starter:gold"},
}


def changed(path: str, value: object) -> dict[str, object]:
    config: dict[str, object] = yaml.safe_load(yaml.safe_dump(GOOD))
    *parents, last = path.split(".")
    place: dict[str, object] = config
    for key in parents:
        place = place.setdefault(key, {})  # type: ignore[assignment]
    place[last] = value
    return config


def test_defaults_are_written_out_and_read_back() -> None:
    config = parse_config(GOOD)
    assert config.rounds == 1
    assert config.data.seed[0].path == "starter:labeled"
    assert [f.kind for f in config.filters] == ["confidence", "consistency", "rationale", "duplicates", "balance"]
    assert parse_config(yaml.safe_load(dump_config(config))) == config


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("jugde", {}, "jugde: unknown key, did you mean judge?"),
        ("training.learning_rat", 1, "training.learning_rat: unknown key, did you mean learning_rate?"),
        ("training.epochs", "many", "training.epochs: input should be a valid number"),
        ("training.epochs", 0, "training.epochs: input should be greater than 0, got 0"),
        ("training.method", "magic", "training.method: input should be 'full' or 'lora', got 'magic'"),
        ("training", {"batch_size": 8, "micro_batch_size": 3}, "batch_size 8 is not a multiple of micro_batch_size 3"),
        ("judge.pool", {"votes": 4, "temperature": 0}, "would be identical"),
        ("judge.pool", {"guided": False, "close_on_budget": True}, "close_on_budget needs guided"),
        ("rationale", "proof", "rationale.source: input should be 'joint', 'proving' or 'none'"),
        ("rationale", "none", "set judge.mode: label as well"),
        ("rationale", {"proving": {"proofs": 2, "temperature": 0}}, "2 proofs at temperature 0 would be identical"),
        ("rationale", {"source": "proving", "own_for_seed": 2}, "own_for_seed works only with source: joint"),
        ("rationale", {"proving": {"prof": 2}}, "rationale.proving.prof: unknown key, did you mean proofs?"),
        ("curriculum", {"order": "easy_first"}, "set per_round"),
        ("final", {"epoch": 1}, "final.epoch: unknown key; known here: data, training"),
        ("filters", [{"kind": "confidence", "treshold": 1}], "treshold: unknown key, did you mean threshold?"),
        ("filters", [{"kind": "confidence", "threshold": {"schedule": "lin"}}], "one of linear, steps, quantile"),
        ("filters", [{"kind": "confidence", "threshold": 1.5}], "threshold: 1.5 is not between 0 and 1"),
        (
            "filters",
            [{"kind": "confidence", "threshold": {"schedule": "linear", "start": 1, "ende": 0}}],
            "ende: unknown key, did you mean end?",
        ),
        ("data.pool", [], "name unlabelled data or set rounds: 0"),
        ("data.seed", {"path": "a.jsonl", "part": [0.8, 0.2]}, "the smaller one first, like [0, 0.8]; got [0.8, 0.2]"),
        ("data.gold", [], "data.gold: list should have at least 1 item"),
        ("filters", [{"kind": "confidence"}, {"kind": "confidence"}], "each kind may be listed only once"),
        ("filters", [{"kind": "taste"}], "filters.0: there is no kind 'taste': take one of confidence"),
        ("filters", [{"kind": "rationale", "min_words": 9, "max_words": 3}], "min_words 9 is above max_words 3"),
    ],
)
def test_each_mistake_is_one_sentence(path: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(changed(path, value), "run.yaml")
    assert message in str(caught.value)
    assert str(caught.value).startswith("run.yaml: ")
    assert "\n" not in str(caught.value)


def test_a_label_only_run_drops_what_needs_rationales_unless_it_was_asked_for() -> None:
    config = parse_config(GOOD | {"judge": {"mode": "label"}})
    assert config.rationale.source == "none"
    assert [f.kind for f in config.filters] == ["confidence", "consistency", "duplicates", "balance"]
    with pytest.raises(ConfigError, match="remove the rationale filter"):
        parse_config(GOOD | {"judge": {"mode": "label"}, "filters": [{"kind": "rationale"}]})
    with pytest.raises(ConfigError, match="learns no rationales"):
        parse_config(GOOD | {"judge": {"mode": "label"}, "rationale": "joint"})


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigError, match="run.yaml: model: this key is required"):
        parse_config({"data": GOOD["data"]}, "run.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this one is empty"),
        ("- a\n- b", "this one is a list"),
        ("a: [1,\n b: 2", "not valid YAML in line"),
        (
            "model: x.gguf\ndata: {seed: 'starter:labeled', gold: 'starter:gold', pool: 'starter:unlabeled'}",
            "model file x.gguf",
        ),
        (
            "model: x\ndata: {seed: not_here.jsonl, gold: 'starter:gold', pool: 'starter:unlabeled'}",
            "data file not_here.jsonl",
        ),
    ],
)
def test_files_that_cannot_work(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(file)
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "other.yaml")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text("{}")
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(changed("data.seed", {"path": "d.jsonl", "limit": 3})))
    assert load_config(file).data.seed[0].path == str(tmp_path / "d.jsonl")


@pytest.mark.parametrize("name", sorted(file.stem for file in (ROOT / "examples").glob("*.yaml")))
def test_examples_are_valid(name: str) -> None:
    file = ROOT / "examples" / f"{name}.yaml"
    if "shared/data" in file.read_text(encoding="utf-8") and not (ROOT.parent / "shared/data").is_dir():
        pytest.skip("the real data of this example are not here")
    load_config(file)


def test_checking_a_config_imports_no_torch() -> None:
    code = "import sys, gramr2.config, gramr2.data, gramr2.selftraining.run.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_model_may_be_given_as_its_name_wherever_one_stands() -> None:
    config = parse_config(GOOD | {"model": "a", "rationale": {"source": "proving", "proving": {"model": "b"}}})
    assert config.model.name == "a"
    assert config.rationale.proving.model is not None
    assert config.rationale.proving.model.name == "b"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"judge": {"mode": "label", "verdict": "reasoned"}}, "remove verdict: reasoned"),
        (
            {"second_view": "bag-of-words", "filters": [{"kind": "second_view", "view": "frozen-features"}]},
            "different models",
        ),
    ],
)
def test_what_cannot_go_together_is_said(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_config(GOOD | changes)


def test_the_filter_takes_the_runs_second_view() -> None:
    config = parse_config(GOOD | {"second_view": "bag-of-words", "filters": [{"kind": "second_view"}]})
    assert config.second_view is not None
    assert config.second_view.name == "bag-of-words"


def test_filters_may_have_their_former_names(caplog: pytest.LogCaptureFixture) -> None:
    old = [{"kind": "support", "min_probability": 0.6}, {"kind": "specific"}]
    config = parse_config(GOOD | {"filters": old})
    assert config.filters == parse_config(GOOD | {"filters": [{**old[0], "kind": "readback"}, {"kind": "pmi"}]}).filters
    assert caplog.messages == [
        "filters: the filter support is now called readback",
        "filters: the filter specific is now called pmi",
    ]
    assert old[0]["kind"] == "support", "what the caller holds is left as it is"


def test_stop_certainty_may_have_its_former_name(caplog: pytest.LogCaptureFixture) -> None:
    config = parse_config(GOOD | {"judge": {"pool": {"settled": 0.95}, "gold": {"settled": None}}})
    assert (config.judge.pool.stop_certainty, config.judge.gold.stop_certainty) == (0.95, None)
    assert caplog.messages == ["judge: settled is now called stop_certainty"]


def test_both_names_of_one_setting_are_refused() -> None:
    with pytest.raises(ConfigError, match="settled is the former name of stop_certainty"):
        parse_config(GOOD | {"judge": {"pool": {"settled": 0.9, "stop_certainty": 0.95}}})
    both = parse_config(GOOD | {"judge": {"pool": {"settled": None, "stop_certainty": 0.95}}})
    assert both.judge.pool.stop_certainty == 0.95
