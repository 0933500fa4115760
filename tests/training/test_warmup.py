"""The warm-up on a random model: what carries loss, that it learns text, and that what it saves can be trained further."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import make
from gramr2.backends.encoding import Encoder
from gramr2.config.training import ModelConfig, TrainingConfig
from gramr2.config.warmup import WarmupConfig
from gramr2.errors import DataError
from gramr2.training.texts import Text, WarmupJob, hold_out, texts_of
from gramr2.training.warmup import IGNORED, _Padded, _summed_loss, encode, warm_up

MODEL = ModelConfig(name="x", device="cpu")
POOL = [make(f"c{i}", f"the answer is {i}", f"perhaps it is not {i}") for i in range(24)]


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    from transformers import AutoTokenizer

    return Encoder(AutoTokenizer.from_pretrained(tiny_model))


def job(**changes: Any) -> WarmupJob:
    trained, held = hold_out(texts_of(POOL, "responses", 0), 0.25, 0)
    settings = WarmupConfig(epochs=4, learning_rate=3e-3, batch_size=4)
    made = WarmupJob(trained, held, settings.applied_to(TrainingConfig()), prompt_loss=True, max_tokens=2048)
    return replace(made, **changes)


def test_what_carries_loss(encoder: Encoder) -> None:
    text = texts_of(POOL, "responses", 0)[0]
    prompt = encoder.prompt(text.prompt)
    answers, all_ = (encode(text, encoder, prompt_loss) for prompt_loss in (False, True))
    end = encoder.tokenizer.eos_token_id
    assert answers["input_ids"] == all_["input_ids"] == [*prompt, *encoder.fragment(text.answer), end]
    assert answers["labels"] == [IGNORED] * len(prompt) + answers["input_ids"][len(prompt) :]
    assert all_["labels"] == [IGNORED, *all_["input_ids"][1:]]


def test_special_token_text_in_a_response_stays_text(encoder: Encoder) -> None:
    special = encoder.tokenizer.decode([encoder.tokenizer.eos_token_id])  # type: ignore[list-item]
    row = encode(Text(POOL[0].prompt, f"before {special} after", ()), encoder, prompt_loss=False)
    answer = [i for i in row["labels"] if i != IGNORED]
    assert answer.count(encoder.tokenizer.eos_token_id) == 1
    assert answer[-1] == encoder.tokenizer.eos_token_id


def test_the_loss_of_a_padded_batch_is_that_of_its_rows(encoder: Encoder, tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()
    texts = [Text(POOL[0].prompt, "short", ()), Text(POOL[1].prompt, "quite a bit longer than the other one", ())]
    for prompt_loss in (False, True):
        rows = [encode(text, encoder, prompt_loss) for text in texts]
        expected = 0.0
        for row in rows:
            ids, labels = torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])
            count = int((labels != IGNORED).sum())
            with torch.no_grad():
                expected += count * float(model(input_ids=ids, labels=labels).loss)
        with torch.no_grad():
            assert float(_summed_loss(model, _Padded(0)(rows))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_it_learns_text_and_the_result_is_a_model(tmp_path: Path, tiny_model: Path, method: str) -> None:
    from gramr2.backends.transformers import TransformersBackend

    training = job().training.model_copy(update={"method": method, "learning_rate": 3e-3 if method == "full" else 3e-2})
    steps: list[tuple[int, int]] = []
    made = warm_up(
        tiny_model,
        tmp_path / "w/model",
        job(training=training),
        MODEL,
        seed=1,
        on_step=lambda done, total, loss: steps.append((done, total)),
    )
    assert made.before is not None and made.after is not None
    assert made.after < made.before - 0.3
    assert (made.examples, made.held_out, made.left_out, made.steps) == (36, 12, 0, 36)
    assert steps[-1] == (36, 36)
    assert [each.name for each in (tmp_path / "w").iterdir() if each.name != "tracking"] == ["model"]
    TransformersBackend(tmp_path / "w/model", device="cpu")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(tmp_path: Path, tiny_model: Path) -> None:
    def weights(name: str, **changes: Any) -> dict[str, torch.Tensor]:
        from safetensors.torch import load_file

        training = job().training.model_copy(update={"epochs": 1, **changes})
        warm_up(tiny_model, tmp_path / name, job(training=training, prompt_loss=False), MODEL, seed=1)
        return load_file(tmp_path / name / "model.safetensors")

    one, two = weights("one"), weights("two")
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.slow
def test_texts_that_do_not_fit_are_left_out_and_counted(tmp_path: Path, tiny_model: Path, encoder: Encoder) -> None:
    whole = job()
    lengths = [len(encode(text, encoder, True)["input_ids"]) for text in whole.texts]
    made = warm_up(tiny_model, tmp_path / "m", job(max_tokens=min(lengths), held_out=()), MODEL, seed=1)
    assert made.examples == lengths.count(min(lengths))
    assert made.left_out == len(lengths) - made.examples
    assert (made.before, made.after, made.held_out) == (None, None, 0)
    with pytest.raises(DataError, match="no text to train on: 36 of 36 are longer than 3 tokens"):
        warm_up(tiny_model, tmp_path / "n", job(max_tokens=3), MODEL, seed=1)


@pytest.mark.slow
def test_micro_batches_make_the_step_that_the_whole_batch_makes(tmp_path: Path, tiny_model: Path) -> None:
    """Four texts of different length in one step: a mean of the micro-batches' means would be another gradient."""
    from safetensors.torch import load_file

    texts = [Text(POOL[0].prompt, "word " * (1 + 9 * i), ()) for i in range(4)]

    def weights(name: str, micro: int, **changes: Any) -> dict[str, torch.Tensor]:
        training = TrainingConfig(
            epochs=1, min_steps=0, batch_size=4, micro_batch_size=micro, learning_rate=1e-3, warmup_ratio=0, **changes
        )
        warm_up(tiny_model, tmp_path / name, job(texts=texts, held_out=(), training=training), MODEL, seed=1)
        return load_file(tmp_path / name / "model.safetensors")

    whole, cut = weights("whole", 4), weights("cut", 1)
    assert whole.keys() == cut.keys()
    # Adam's first step is about ±learning rate wherever the gradient is not nothing: equal signs, equal weights.
    differing = sum(int(((whole[key] - cut[key]).abs() > 1e-4).sum()) for key in whole)
    assert differing <= sum(value.numel() for value in whole.values()) // 1000
