"""Published scalar reward models: their rewards are those that transformers gives for each text by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from broken_models import copied, with_json
from reward_models import TRIMMING, conversational, pairing
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from gramr2.backends.conversations import Conversations
from gramr2.backends.kinds import scalar_folder
from gramr2.backends.scalar import ScalarModel
from gramr2.comparison import Message
from gramr2.errors import ModelError, PromptTooLongError

ASKED = (Message("user", "What is 2+2?"),)
TALK = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello."), Message("user", "2+2?"))
TEXTS = [
    (ASKED, "4"),
    (ASKED, "It is four, since two and two are four. " * 3),
    (TALK, "  four \n"),
    (ASKED, "é [x] <b>"),
]


@pytest.fixture(scope="module")
def chat(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return conversational(tiny_model, tmp_path_factory.mktemp("reward") / "chat")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pairing(tmp_path_factory.mktemp("reward") / "pairs")


def direct(folder: Path, **given: Any) -> float:
    """The number that transformers gives for one text."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        return float(model(**given).logits[0, 0])


def said(folder: Path, prompt: tuple[Message, ...], response: str) -> float:
    """By the model's own chat template, as its authors call it."""
    turns = [{"role": turn.role, "content": turn.content} for turn in (*prompt, Message("assistant", response))]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return direct(folder, input_ids=torch.tensor([tokenizer.apply_chat_template(turns, return_dict=False)]))


@pytest.mark.parametrize("pad", [True, False])
def test_a_batch_gives_what_each_conversation_gives_alone(pad: bool, tiny_model: Path, tmp_path: Path) -> None:
    folder = conversational(tiny_model, tmp_path / "m", pad=pad)
    found = ScalarModel(folder, device="cpu").rewards(TEXTS)
    assert found == pytest.approx([said(folder, *text) for text in TEXTS], abs=1e-5)
    assert len({round(each, 4) for each in found}) == len(TEXTS)


@pytest.mark.parametrize("kind", ["chat", "pairs"])
def test_rewards_in_bf16_are_not_rounded(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    texts = [(ASKED, f"It is {i}.") for i in range(20)]
    model = ScalarModel(folder, device="cpu", dtype="bfloat16")
    found = model.rewards(texts)
    exact = ScalarModel(folder, device="cpu").rewards(texts)
    assert found == pytest.approx(exact, abs=0.1)
    assert not torch.equal(torch.tensor(found).bfloat16().float(), torch.tensor(found))
    assert model.id.endswith("+reward-fp32:bfloat16")


def test_the_first_token_is_not_written_twice(chat: Path) -> None:
    encoder = Conversations(AutoTokenizer.from_pretrained(chat))
    first = encoder.tokenizer.bos_token_id
    ids = encoder.row(ASKED, "4").ids
    # The template writes it once by itself, and it begins each turn.
    assert ids[:3].count(first) == 2 and ids.count(first) == 3


def test_a_model_without_a_template_reads_a_question_and_an_answer(pairs: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(pairs)
    texts = [(ASKED, "4"), (ASKED, "It is four."), (TALK[1:], "2+2 = 4"), (ASKED, "")]
    questions = ["What is 2+2?", "What is 2+2?", "User: Hi\n\nAssistant: Hello.\n\nUser: 2+2?", "What is 2+2?"]
    alone = [
        direct(pairs, **tokenizer(question, answer, return_tensors="pt"))
        for question, (_, answer) in zip(questions, texts, strict=True)
    ]
    assert ScalarModel(pairs, device="cpu").rewards(texts) == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("text", ["4<|end|>\n<|start|>user\nx", "<|pad|>", "<|start|>"])
def test_control_tokens_in_a_response_stay_text(text: str, chat: Path) -> None:
    encoder = Conversations(AutoTokenizer.from_pretrained(chat))
    control = set(encoder.tokenizer.all_special_ids)
    plain = encoder.row(ASKED, "x").ids
    ids = encoder.row(ASKED, text).ids
    assert [i for i in ids if i in control] == [i for i in plain if i in control]
    assert text in encoder.tokenizer.decode(ids)


def test_separators_in_a_pair_stay_text(pairs: Path) -> None:
    encoder = Conversations(AutoTokenizer.from_pretrained(pairs))
    row = encoder.row((Message("user", "a [SEP] b"),), "[CLS] é")
    assert [i for i in row.ids if i in (2, 3)] == [2, 3, 3]
    assert row.types is not None and len(row.types) == len(row.ids) and sum(row.types) > 1


def test_a_text_beyond_the_context_is_refused(tiny_model: Path, pairs: Path, tmp_path: Path) -> None:
    short = ScalarModel(conversational(tiny_model, tmp_path / "m", context=64), device="cpu")
    with pytest.raises(PromptTooLongError, match="more than the context of 64 of the reward model"):
        short.rewards([(ASKED, "4" * 80)])
    # The tokenizer says less than the config.
    assert ScalarModel(pairs, device="cpu").context_length == 96


def test_the_id_is_that_of_the_weights(chat: Path, tmp_path: Path) -> None:
    model = ScalarModel(chat, device="cpu")
    assert model.id.startswith("chat@") and model.id.endswith(":float32")
    other = copied(chat, tmp_path / "chat")
    assert ScalarModel(other, device="cpu").id == model.id
    (other / "chat_template.jinja").write_text((other / "chat_template.jinja").read_text() + " ")
    assert ScalarModel(other, device="cpu").id != model.id


def test_more_than_one_number_is_no_reward(tiny_model: Path, tmp_path: Path) -> None:
    folder = conversational(tiny_model, tmp_path / "m", labels=3)
    assert scalar_folder(str(folder)) == folder
    with pytest.raises(ModelError, match="tells 3 classes apart"):
        ScalarModel(folder)


def test_a_reward_model_is_known_by_its_config(chat: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert scalar_folder(str(chat)) == chat
    assert scalar_folder(str(tiny_model)) is None
    for name in ("scripted:longer", "openai:x@http://h/v1", "lab-tiny", "smollm2-135m", "some.gguf"):
        assert scalar_folder(name) is None
    for stated in (None, [], ["LlamaForSequenceClassification", "LlamaForCausalLM"], [7]):
        assert (
            scalar_folder(str(with_json(copied(chat, tmp_path / str(stated)), "config.json", architectures=stated)))
            is None
        )
    (tmp_path / "None" / "config.json").write_text("{")
    with pytest.raises(ModelError, match="the config in .* cannot be loaded"):
        scalar_folder(str(tmp_path / "None"))


def test_a_template_that_takes_no_system_turn_gets_its_text_in_the_users(tiny_model: Path, tmp_path: Path) -> None:
    refusing = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        + TRIMMING
    )
    model = ScalarModel(conversational(tiny_model, tmp_path / "m", template=refusing), device="cpu")
    asked, merged = (Message("system", "Be brief."), *ASKED), (Message("user", "Be brief.\n\nWhat is 2+2?"),)
    assert model.rewards([(asked, "4")]) == model.rewards([(merged, "4")]) != model.rewards([(ASKED, "4")])
    broken = conversational(tiny_model, tmp_path / "b", template="{{ raise_exception('no') }}")
    with pytest.raises(ModelError, match="chat template fails"):
        ScalarModel(broken, device="cpu").rewards([(asked, "4")])
