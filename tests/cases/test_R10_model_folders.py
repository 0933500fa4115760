"""Whatever stands in the files of a model folder, loading it works or says one sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from broken_models import copied, with_json
from hypothesis import given, settings
from hypothesis import strategies as st

from gramr2 import load_judge
from gramr2.backends.counting import TokenizerCounter
from gramr2.config.training import ModelConfig
from gramr2.errors import GramrError, ModelError
from gramr2.exporting.export import export
from gramr2.exporting.source import find
from gramr2.training.parts import load_for_training

CODE = (
    "from pathlib import Path\nPath(__file__).with_name('RAN').touch()\nfrom transformers import LlamaConfig as Evil\n"
)


@pytest.mark.parametrize(
    "values",
    [
        {"vocab_size": 10},
        {"num_hidden_layers": -1},
        {"num_hidden_layers": 0},
        {"num_hidden_layers": "x"},
        {"num_attention_heads": 0},
        {"num_attention_heads": 3},
        {"num_key_value_heads": 3},
        {"head_dim": -4},
        {"hidden_act": "magic"},
        {"rope_parameters": {"rope_type": "magic"}},
        {"rms_norm_eps": "x"},
        {"max_position_embeddings": "x"},
        {"max_position_embeddings": 0},
        {"max_position_embeddings": 4096.5},
        {"model_type": "magic"},
        {"model_type": "bert"},
        {"model_type": []},
        {"architectures": ["LlamaForSequenceClassification"]},
        {"architectures": 3},
        {"dtype": "magic"},
    ],
)
def test_an_odd_value_in_the_config_is_one_sentence(tiny_model: Path, tmp_path: Path, values: dict[str, Any]) -> None:
    folder = with_json(copied(tiny_model, tmp_path / "m"), "config.json", **values)
    for load in (
        lambda: load_judge(folder, dtype="float32", device="cpu", mode="label").compare("q", "a", "b"),
        lambda: load_for_training(folder, ModelConfig(name="x")),
    ):
        _sentence_or_nothing(load, must="max_pos" not in str(values) and "architectures': 3" not in str(values))
    if "max_position_embeddings" in values:
        with pytest.raises(ModelError):
            TokenizerCounter(folder)


def _sentence_or_nothing(load: Any, *, must: bool) -> None:
    try:
        load()
    except GramrError as error:
        assert "\n" not in str(error)
    else:
        assert not must, "it was loaded"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize("content", ["", "{", "{}", "[]", "[" * 100000, '"x"', "\udcff"])
def test_a_broken_json_file_is_one_sentence(tiny_model: Path, tmp_path: Path, name: str, content: str) -> None:
    folder = copied(tiny_model, tmp_path / "m")
    (folder / name).write_text(content, errors="surrogateescape")
    # Settings that are absent have defaults.
    harmless = content == "{}" or name == "generation_config.json"
    _sentence_or_nothing(
        lambda: load_judge(folder, dtype="float32", device="cpu", mode="label").compare("q", "a", "b"),
        must=not harmless,
    )


KEYS = [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_key_value_heads",
    "max_position_embeddings",
    "head_dim",
    "rope_parameters",
    "tie_word_embeddings",
    "eos_token_id",
    "architectures",
    "dtype",
    "model_type",
    "layer_types",
]
VALUES = (
    st.none() | st.booleans() | st.integers(-3, 70) | st.floats() | st.text(max_size=5)
    | st.lists(st.integers(-1, 9), max_size=3) | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
)  # fmt: skip


@settings(max_examples=15)
@given(st.sampled_from(KEYS), VALUES)
def test_any_value_of_the_config(
    tiny_model: Path, tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    folder = with_json(copied(tiny_model, tmp_path_factory.mktemp("m") / "m"), "config.json", **{key: value})

    def judged() -> None:
        decision = load_judge(folder, dtype="float32", device="cpu", mode="label").compare("q", "a", "b")
        assert decision.confidence is None or math.isfinite(decision.confidence)

    _sentence_or_nothing(judged, must=False)


@pytest.mark.parametrize("content", ["[" * 100000, "[1]", '{"shots": {"a": 1}}', '{"readings": [1]}', '{"mode": []}'])
def test_a_broken_prompt_file_is_one_sentence(tiny_model: Path, tmp_path: Path, content: str) -> None:
    folder = copied(tiny_model, tmp_path / "m")
    (folder / "gramr2_judge.json").write_text(content)
    _sentence_or_nothing(lambda: load_judge(folder), must=True)


@pytest.mark.parametrize("place", ["config.json", "tokenizer_config.json"])
def test_code_in_a_folder_does_not_run_even_if_somebody_says_yes(
    tiny_model: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(tiny_model, tmp_path / "m")
    code = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil", "AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    with_json(folder, place, auto_map=code, model_type="evil", tokenizer_class="Evil")
    (folder / "evil.py").write_text(CODE)
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    for use in (
        lambda: load_judge(folder),
        lambda: export(find(str(folder)), tmp_path / "out", []),
        lambda: load_for_training(folder, ModelConfig(name="x")),
    ):
        try:
            use()
        except GramrError as error:
            assert "\n" not in str(error)
    assert not [*tmp_path.rglob("RAN")]
    assert json.loads((folder / place).read_text())["auto_map"] == code
