"""Every baseline: what it learns, its symmetry, its ties, and the way to disk and back."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make
from gramr2.baselines import BASELINES, Baseline, fit, load
from gramr2.baselines.bag_of_words import SURFACE, surface
from gramr2.comparison import Comparison, Label, LabeledComparison
from gramr2.config import parse_config
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.errors import ConfigError, DataError, ModelError, PromptTooLongError

NAMES = ["longer", "bag-of-words", pytest.param("frozen-features", marks=pytest.mark.slow)]


def pairs(count: int, seed: int, ties: int = 0) -> list[LabeledComparison]:
    """The response that says «zebra» is better, and longer; everything else is noise."""
    rng = random.Random(seed)
    items = []
    for i in range(count):
        good = f"{rng.choice('abcdef')} zebra {rng.randrange(1000, 10000)}."
        bad = f"{rng.choice('abcdef')} mole {rng.randrange(1000, 10000)}."
        if i < ties:
            as_good = f"{rng.choice('abcdef')} zebra {rng.randrange(1000, 10000)}."
            items.append(LabeledComparison(make(f"t{seed}-{i}", good, as_good), Label.TIE))
            continue
        label = rng.choice((Label.A, Label.B))
        a, b = (good, bad) if label is Label.A else (bad, good)
        items.append(LabeledComparison(make(f"p{seed}-{i}", a, b), label))
    return items


def fitted(name: str, model: Path | str, items: list[LabeledComparison]) -> Baseline:
    return fit(name, items, model=ModelConfig(name=str(model)), seed=1)


def test_the_run_file_knows_the_registry() -> None:
    assert list(BASELINES) == ["longer", "bag-of-words", "frozen-features", "bradley-terry"], "the cheapest first"
    run = {"model": "none", "data": {"seed": "starter:labeled", "gold": "starter:gold"}, "rounds": 0}
    assert parse_config(run | {"baselines": list(BASELINES)}).baselines == list(BASELINES)
    with pytest.raises(ConfigError, match="there is no baseline 'crystal ball': take one of longer, bag-of-words"):
        parse_config(run | {"baselines": ["crystal ball"]})
    with pytest.raises(ConfigError, match="no baseline 'crystal ball'"):
        fit("crystal ball", [], model="none")


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_the_planted_signal(name: str, tiny_model: Path) -> None:
    baseline = fitted(name, tiny_model, pairs(48, 0))
    test = pairs(40, 1)
    decisions = baseline.compare([item.comparison for item in test])
    assert sum(d.label is item.label for d, item in zip(decisions, test, strict=True)) >= 36
    assert [d.id for d in decisions] == [item.comparison.id for item in test]


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_responses_changes_nothing_but_the_sign(name: str, tiny_model: Path) -> None:
    baseline = fitted(name, tiny_model, pairs(48, 0, ties=10))
    comparisons = [item.comparison for item in pairs(20, 2, ties=4)]
    swapped: list[Comparison] = [each.swap() for each in comparisons]
    assert baseline.margins(swapped) == [-margin for margin in baseline.margins(comparisons)]
    for one, other in zip(baseline.compare(comparisons), baseline.compare(swapped), strict=True):
        assert one.label is not None and one.probabilities is not None
        assert (other.label, other.probabilities) == (one.label.swap(), one.probabilities.swap())


@pytest.mark.parametrize("name", NAMES)
def test_what_is_loaded_decides_like_what_was_saved(name: str, tiny_model: Path, tmp_path: Path) -> None:
    baseline = fitted(name, tiny_model, pairs(48, 0, ties=10))
    baseline.save(tmp_path)
    comparisons = [item.comparison for item in pairs(20, 2, ties=4)]
    loaded = load(tmp_path)
    assert loaded.id == baseline.id
    assert loaded.compare(comparisons) == baseline.compare(comparisons)
    assert loaded.margins(comparisons) == baseline.margins(comparisons)
    assert {file.suffix for file in tmp_path.iterdir()} <= {".json", ".safetensors"}


@pytest.mark.parametrize("name", NAMES[1:])
def test_other_seeds_make_other_baselines(name: str, tiny_model: Path) -> None:
    ids = {fitted(name, tiny_model, pairs(20, seed)).id for seed in (0, 0, 1)}
    assert len(ids) == 2


def test_where_the_seed_has_no_ties_none_are_answered() -> None:
    sure = fitted("bag-of-words", "none", pairs(30, 0))
    test = [item.comparison for item in pairs(30, 5)]
    assert Label.TIE not in [d.label for d in sure.compare(test)]


def test_equal_lengths_tie_and_nothing_else_does() -> None:
    longer = fit("longer", [], model="none")
    comparisons = [make(a="long one", b="x"), make(a="x", b="y"), make(a="", b="y")]
    decisions = longer.compare(comparisons)
    assert [d.label for d in decisions] == [Label.A, Label.TIE, Label.B]
    assert [d.confidence for d in decisions] == pytest.approx([1, 1, 1])


@given(st.text(), st.text(), st.text())
def test_any_text_has_features(prompt: str, first: str, second: str) -> None:
    assert len(surface(prompt, first)) == len(SURFACE)
    (margin,) = BOW.margins([make(prompt, first, second)])
    assert margin == -BOW.margins([make(prompt, second, first)])[0]
    assert abs(margin) < 1e6


BOW = fit("bag-of-words", pairs(20, 0), model="none")


def test_damaged_folders_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a baseline"):
        load(tmp_path)
    (tmp_path / "baseline.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "baseline.json").write_text(json.dumps({"name": "oracle"}))
    with pytest.raises(ModelError, match="a baseline 'oracle'"):
        load(tmp_path)
    (tmp_path / "baseline.json").write_text(json.dumps({"name": "bag-of-words"}))
    with pytest.raises(ModelError, match="lacks 'tie_margin'"):
        load(tmp_path)


def test_ties_alone_teach_nothing(tiny_model: Path) -> None:
    for name in ("bag-of-words", "frozen-features"):
        with pytest.raises(DataError, match="all ties"):
            fitted(name, tiny_model, pairs(3, 0, ties=3))


@pytest.mark.slow
def test_frozen_features_belong_to_their_backbone(tiny_model: Path, tmp_path: Path) -> None:
    from gramr2.backends.random_model import build

    other = tmp_path / "other"
    build(other, layers=1)
    fitted("frozen-features", tiny_model, pairs(12, 0)).save(tmp_path)
    record = json.loads((tmp_path / "baseline.json").read_text())
    record["model"]["name"] = str(other)
    (tmp_path / "baseline.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match="was fitted on the hidden states of"):
        load(tmp_path)
    long = [LabeledComparison(make(a="x" * 5000, b="y"), Label.A)]
    with pytest.raises(PromptTooLongError, match="more than the context of 4096"):
        fitted("frozen-features", tiny_model, long)


@pytest.mark.slow
def test_bradley_terry_goes_to_disk_and_back(tiny_model: Path, tmp_path: Path) -> None:
    from gramr2.baselines import Setting

    training = TrainingConfig(epochs=2, min_steps=0, learning_rate=3e-3, batch_size=8)
    pool = [item.comparison for item in pairs(60, 5)]
    setting = Setting(ModelConfig(name=str(tiny_model)), seed=1, training=training, unlabelled=pool)
    baseline = fit("bradley-terry", pairs(24, 0, ties=6), model=setting)
    # As often as in the labels, over comparisons that it has not learnt.
    assert sum(d.label is Label.TIE for d in baseline.compare(pool)) == round(60 * 6 / len(pairs(24, 0, ties=6)))
    baseline.save(tmp_path)
    loaded = load(tmp_path)
    comparisons = [item.comparison for item in pairs(10, 2, ties=4)]
    assert loaded.id == baseline.id
    assert loaded.id.startswith("bradley-terry@")
    assert loaded.compare(comparisons) == baseline.compare(comparisons)
    assert not list(tmp_path.glob("*.bin"))
