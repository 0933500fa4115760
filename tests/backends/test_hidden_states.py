"""The cache of hidden states: what is computed, how often, and what depends on what."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gramr2.backends import hidden_states
from gramr2.backends.hidden_states import HiddenStates
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Message
from gramr2.config.training import ModelConfig
from gramr2.errors import ModelError

pytestmark = pytest.mark.slow
PROMPT = (Message("user", "Which?"),)
TEXTS = [(PROMPT, "a first response"), (PROMPT, "another"), ((Message("user", "Why?"),), "another"), (PROMPT, "")]


class Counting:
    """Opens the model, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def __call__(self) -> TransformersBackend:
        self.count += 1
        return TransformersBackend(self.folder)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAMR2_CACHE", str(tmp_path / "own"))
    return tmp_path / "own"


def states(folder: Path, opener: Any, **settings: Any) -> HiddenStates:
    return HiddenStates(folder, ModelConfig(name="x", **settings), opener)


def test_they_are_the_models_own(tiny_model: Path, own: Path) -> None:
    opener = Counting(tiny_model)
    it = states(tiny_model, opener)
    found = it.of(TEXTS)
    assert it.layers == (1, 2)
    assert found.shape == (4, 2 * 2 * 64)
    backend = TransformersBackend(tiny_model)
    asked = backend.encoder.prompt(PROMPT)
    ids = asked + backend.encoder.fragment("another") + [backend.encoder.tokenizer.eos_token_id]
    with torch.inference_mode():
        hidden = backend.model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    expected = [part for layer in (1, 2) for part in (hidden[layer][0, len(asked) :].mean(0), hidden[layer][0, -1])]
    assert found[1] == pytest.approx(np.concatenate([each.numpy() for each in expected]), abs=1e-6)
    assert (found[1] != found[2]).any()


def test_nothing_is_computed_twice(tiny_model: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    original = hidden_states._states

    def counted(backend: Any, batch: Any, layers: Any) -> Any:
        passes.append(len(batch))
        return original(backend, batch, layers)

    monkeypatch.setattr(hidden_states, "_states", counted)
    monkeypatch.setattr(hidden_states, "TOKENS_ON_CPU", 0)
    opener = Counting(tiny_model)
    first = states(tiny_model, opener).of([*TEXTS, *TEXTS])
    assert (sum(passes), opener.count) == (4, 1)
    again = states(tiny_model, opener)
    assert (again.of(TEXTS[::-1]) == first[3::-1]).all()
    assert (sum(passes), opener.count) == (4, 1)
    again.of([*TEXTS, (PROMPT, "new")])
    assert (sum(passes), opener.count) == (5, 2)
    # Another precision is another feature.
    other = states(tiny_model, lambda: TransformersBackend(tiny_model, dtype="bfloat16"), dtype="bfloat16").of(TEXTS)
    assert sum(passes) == 9
    assert (other != first[:4]).any()
    assert len(list((own / "features").glob("*.sqlite"))) == 1


@pytest.mark.parametrize("tokens", [0, 100])
def test_a_computation_that_was_cut_off_goes_on_to_the_same_digits(
    tiny_model: Path, own: Path, monkeypatch: pytest.MonkeyPatch, tokens: int
) -> None:
    texts = [(PROMPT, f"response number {i} " * (i % 5)) for i in range(12)]
    monkeypatch.setattr(hidden_states, "TOKENS_ON_CPU", tokens)
    opener = Counting(tiny_model)
    whole = states(tiny_model, opener).of(texts)
    monkeypatch.setenv("GRAMR2_CACHE", str(own / "second"))
    monkeypatch.setattr(hidden_states, "WRITTEN", 3)
    original, left, done = hidden_states._states, [7 if not tokens else 2], []

    def dying(backend: Any, batch: Any, layers: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        done.extend(batch)
        return original(backend, batch, layers)

    monkeypatch.setattr(hidden_states, "_states", dying)
    with pytest.raises(KeyboardInterrupt):
        states(tiny_model, opener).of(texts)
    (file,) = (own / "second/features").glob("*.sqlite")
    [kept] = sqlite3.connect(file).execute("SELECT COUNT(*) FROM features").fetchone()
    assert 0 < kept <= len(done) < 12 and kept > len(done) - 3
    assert (len(done) == 7) == (not tokens)
    monkeypatch.setattr(hidden_states, "_states", original)
    assert (states(tiny_model, opener).of(texts) == whole).all()


def test_batches_hold_neighbours_in_length_and_padding_changes_nothing(tiny_model: Path, own: Path) -> None:
    it = states(tiny_model, Counting(tiny_model))
    rows = sorted((it._row(*text) for text in TEXTS), key=lambda row: -len(row.ids))
    batches = list(hidden_states._batches(rows, 2 * len(rows[0].ids)))
    assert len(batches[0]) == 2
    assert [row for batch in batches for row in batch] == rows
    backend = TransformersBackend(tiny_model)
    together = hidden_states._states(backend, rows, it.layers)
    for row, each in zip(rows, together, strict=True):
        assert each == pytest.approx(hidden_states._states(backend, [row], it.layers)[0], abs=1e-5)


def test_a_damaged_cache_is_a_sentence(tiny_model: Path, own: Path) -> None:
    it = states(tiny_model, Counting(tiny_model))
    it._file.parent.mkdir(parents=True)
    it._file.write_bytes(b"not a database" * 100)
    with pytest.raises(ModelError, match="cannot be used .*GRAMR2_CACHE"):
        it.of(TEXTS)
