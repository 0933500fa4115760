"""The candidates for a view that learns from the pool: draws that leak nothing, learners that are odd, the product's features."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from pool_candidates import candidates
from pool_features import Frozen
from pool_features import main as extract
from pool_learners import Draw, fitted, newton
from pool_source import Source, halves, key
from pool_view import drawn, main, two_way

from gramr2.backends.hidden_states import HiddenStates
from gramr2.backends.registry import resolve
from gramr2.baselines.logistic import fit_logistic
from gramr2.comparison import Comparison, Label, LabeledComparison, Message
from gramr2.config.training import ModelConfig

LAYERS, SIZE = 4, 6


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """60 labelled comparisons of 20 prompts and 30 unlabelled ones; the better response has the larger first feature."""
    rng = np.random.default_rng(0)
    made = [
        Comparison(f"c{i}", (Message("user", f"prompt {i // 3}"),), (f"one {i}", f"two words {i}"), group=f"g{i // 3}")
        for i in range(90)
    ]
    keys = np.array([key(each.prompt, response) for each in made for response in each.responses])
    mean = rng.normal(size=(180, LAYERS, SIZE)).astype(np.float32)
    mean[:, :, 0] = 3 * rng.normal(size=(180, 1))
    last, score = rng.normal(size=(180, LAYERS, SIZE)).astype(np.float32), rng.normal(size=(180, 6))
    np.savez(tmp_path / "states-0.npz", keys=keys, mean=mean, last=last, score=score)
    better = mean[0::2, 0, 0] > mean[1::2, 0, 0]
    labeled = [LabeledComparison(made[i], Label.A if better[i] else Label.B) for i in range(60)]
    return Source(labeled, made[60:], tmp_path)


@pytest.mark.parametrize("half", ["choose", "confirm", "both"])
def test_no_prompt_of_a_test_is_seen_before(source: Source, half: str) -> None:
    for draw in drawn(source, half, 4, 8):
        groups = {source.groups[i] for i in draw.test}
        before = [*draw.labels, *draw.pool[draw.pool < source.labeled]]
        assert groups.isdisjoint(source.groups[i] for i in before)
        assert set(draw.labels).isdisjoint(draw.pool)
        assert set(range(60, 90)) <= set(draw.pool)
        assert len(draw.labels) == 8


def test_halves_share_no_group(source: Source) -> None:
    cut = halves(source.groups)
    assert cut["choose"].isdisjoint(cut["confirm"])
    assert cut["choose"] | cut["confirm"] == set(source.groups)
    of_first = {source.groups[i] for draw in drawn(source, "choose", 4, 8) for i in (*draw.labels, *draw.test)}
    assert of_first <= cut["choose"]


def test_the_model_is_the_products(source: Source) -> None:
    draw = drawn(source, "both", 1, 24)[0]
    rows = source.differences(source.layer(1, "mean")).astype(float)[draw.decided]
    product = fit_logistic(rows, [source.items[i] for i in draw.decided], 0)
    np.testing.assert_allclose(newton(rows * draw.signs[:, None], product.strength), product.weights, atol=1e-3)
    alpha, strength = fitted(rows @ rows.T, draw)
    np.testing.assert_allclose(rows.T @ alpha, newton(rows * draw.signs[:, None], strength), atol=1e-3)


def test_every_candidate_learns_what_is_there_and_is_odd(source: Source) -> None:
    draw = drawn(source, "both", 1, 30)[0]
    names = []
    for each in candidates(source):
        margins = each.margins(draw)
        assert margins.shape == (len(draw.test),)
        assert np.isfinite(margins).all()
        names.append(each.name)
        if each.name in {"base", "scaled by the pool", "first 300 directions", "own labels, all, by margin"}:
            assert (np.sign(margins) == source.signs[draw.test]).mean() > 0.6
    assert names[0] == "base"
    assert len(set(names)) == len(names)
    flipped = Draw(source, draw.labels, draw.test, draw.pool, draw.number)
    before = {each.name: each.margins(draw) for each in candidates(source)}
    source.signs = -source.signs
    for each in candidates(source):
        np.testing.assert_allclose(each.margins(flipped), -before[each.name], atol=1e-4, err_msg=each.name)


def test_an_interval_over_draws_and_groups() -> None:
    values = np.array([[1.0, 1.0, np.nan, 0.0], [1.0, np.nan, 0.0, 0.0]])
    mean, low, high = two_way(values, ["a", "a", "b", "b"])
    assert mean == pytest.approx(0.5)
    assert low == 0.0
    assert high == 1.0


def test_the_features_are_the_products(tmp_path: Path) -> None:
    folder = resolve("tiny-random")
    prompt = (Message("user", "Which is larger?"),)
    texts = [(prompt, "one"), (prompt, "two and a few more words"), ((Message("user", "Why?"),), "because")]

    def opened() -> object:
        from gramr2.backends.transformers import TransformersBackend

        return TransformersBackend(folder, dtype="float32")

    states = HiddenStates(folder, ModelConfig(name="tiny-random", dtype="float32"), opened, tmp_path / "cache.sqlite")
    found = Frozen(folder).states(
        [(prompt, dict.fromkeys(["one", "two and a few more words"])), (texts[2][0], {"because": None})]
    )
    at = {name: i for i, name in enumerate(found["keys"])}
    for text, expected in zip(texts, states.of(texts), strict=True):
        i = at[key(*text)]
        parts = [found[what][i, layer // 2] for layer in states.layers if layer % 2 == 0 for what in ("mean", "last")]
        wanted = np.split(expected, 2 * len(states.layers))
        kept = [wanted[2 * j + k] for j, layer in enumerate(states.layers) if layer % 2 == 0 for k in (0, 1)]
        np.testing.assert_allclose(np.concatenate(parts), np.concatenate(kept), rtol=1e-3, atol=1e-4)


def test_from_texts_to_a_table(tmp_path: Path) -> None:
    rows = [
        {"id": str(i), "prompt": f"prompt {i // 2}", "responses": [f"good {i}", f"bad {i}"], "label": "AB"[i % 2]}
        for i in range(40)
    ]
    seed, pool, shards = tmp_path / "seed.jsonl", tmp_path / "pool.jsonl", tmp_path / "shards"
    seed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    bare = [{k: v for k, v in row.items() if k != "label"} | {"id": f"p{row['id']}"} for row in rows]
    pool.write_text("".join(json.dumps(row | {"prompt": f"other {i // 2}"}) + "\n" for i, row in enumerate(bare)))
    assert extract([str(seed), str(pool), "--out", str(shards), "--model", "tiny-random", "--seconds", "-1"]) == 3
    assert extract([str(seed), str(pool), "--out", str(shards), "--model", "tiny-random"]) == 0
    assert extract([str(seed), "--more", "--half", "choose", "--out", str(shards), "--model", "tiny-random"]) == 0
    table = tmp_path / "table.csv"
    wanted = ["--labels", "8", "--draws", "2", "--half", "choose", "--only", "more", "--csv", str(table)]
    main([str(seed), str(pool), "--features", str(shards), *wanted])
    found = list(csv.DictReader(table.open()))
    assert found[0]["candidate"] == "base"
    assert float(found[0]["difference"]) == 0
    assert {row["group"] for row in found} == {"", "more"}
    assert all(0 <= float(row["accuracy"]) <= 100 for row in found)
