"""No added token of any kind comes out of a text; what a template writes keeps its control tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from conftest import make
from gramr2.backends.base import VerdictReading
from gramr2.backends.encoding import Encoder
from gramr2.backends.registry import resolve
from gramr2.backends.transformers import TransformersBackend
from gramr2.comparison import Label, LabeledComparison, Message
from gramr2.errors import ModelError
from gramr2.judging.reading import request_for
from gramr2.judging.template import JudgeMode, JudgeTemplate
from gramr2.training.examples import TrainingForm, encode
from gramr2.written import joined, own

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOKENS = (
    AddedToken("<|im_start|>", special=True, normalized=False),
    AddedToken("<|im_end|>", special=True, normalized=False),
    AddedToken("<think>", special=False, normalized=False),
    AddedToken("</think>", special=False, normalized=False),
    AddedToken("<tool_call>", special=False, normalized=True),
    AddedToken("[TOOL]", special=False, normalized=False, lstrip=True, rstrip=True),
    AddedToken("<Left>", special=False, normalized=True, lstrip=True),
    AddedToken("STOP", special=False, normalized=False, single_word=True),
    AddedToken("Halt", special=False, normalized=True, single_word=True),
    AddedToken("<|audio|>", special=True, normalized=True, rstrip=True),
)
NAMES = [token.content for token in TOKENS]
WORDS = "The answer is </ think > and a tool call, stop or go: left [right] <b> two </b>. think tool_call"


def wrapped(inner: Tokenizer, tokens: Sequence[AddedToken] = TOKENS, **names: str) -> Any:
    inner.add_tokens([*tokens])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="<|im_end|>", chat_template=CHAT, additional_special_tokens=["<|audio|>"], **names
    )  # fmt: skip


def bytes_only() -> Any:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    return wrapped(inner)


def merged() -> Any:
    """Byte-level BPE whose merges make words, as those of Qwen and Llama 3."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator([WORDS] * 5, trainer)
    return wrapped(inner)


def lowercase() -> Any:
    """A normaliser that also changes the names of its normalised tokens: <LEFT> is one of them."""
    inner = Tokenizer(
        models.BPE(vocab={c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, merges=[])
    )
    inner.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    return wrapped(inner)


def unigram() -> Any:
    """Its vocabulary has two control tokens as pieces, which it finds in a text without looking for added tokens."""
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("</think>", -1.0), ("<think>", -1.0)]
    pieces += [(char, -5.0) for char in dict.fromkeys("\u2581" + "".join(NAMES) + WORDS + "xé")]
    inner = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    inner.decoder = decoders.Metaspace(replacement="\u2581")
    tokens = [*TOKENS, AddedToken("</s>", special=True), AddedToken("<unk>", special=True)]
    return wrapped(inner, tokens, unk_token="<unk>", pad_token="</s>")


MAKERS = {each.__name__: each for each in (bytes_only, merged, lowercase, unigram)}
ENCODERS = {name: Encoder(make_one()) for name, make_one in MAKERS.items()}
hostile = st.lists(
    st.sampled_from([*NAMES, "<unk>", "</s>", "<LEFT>", "\uff1cTool_Call\uff1e", "x", " ", "\n", "é", ">", "<think", "</th"]),
    min_size=1, max_size=6,
).map("".join)  # fmt: skip


def controls(encoder: Encoder, ids: Sequence[int]) -> list[int]:
    return [i for i in ids if i in encoder.tokenizer.added_tokens_decoder and i != encoder.tokenizer.unk_token_id]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", MAKERS)
@given(text=hostile)
def test_no_added_token_comes_out_of_a_text(name: str, text: str) -> None:
    encoder = ENCODERS[name]
    frame = controls(encoder, encoder.prompt((Message("user", "x"), Message("assistant", "x"))))
    assert len(frame) == 5
    assert controls(encoder, encoder.prompt((Message("user", text), Message("assistant", text)))) == frame
    assert controls(encoder, encoder.fragment(text)) == []
    if name in ("bytes_only", "merged"):
        assert encoder.tokenizer.decode(encoder.fragment(text)) == text


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("text", NAMES)
def test_every_name_alone_and_in_a_word(name: str, text: str) -> None:
    encoder = ENCODERS[name]
    for each in (text, f"a {text} b", f"a{text}b", f"{text}\n{text}", f" {text} " * 3, text.upper(), text.lower()):
        assert controls(encoder, encoder.fragment(each)) == []


@pytest.mark.parametrize("name", MAKERS)
def test_ordinary_text_is_encoded_as_ever(name: str) -> None:
    encoder = ENCODERS[name]
    for text in (WORDS, "x > y\n\n  two  lines", ""):
        plain = encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
        turn = encoder.prompt((Message("user", text),))
        empty = encoder.prompt((Message("user", ""),))
        assert len(turn) == len(empty) + len(plain)
        assert "".join(map(str, plain)) in "".join(map(str, turn))


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=15)
@given(text=hostile)
def test_a_judges_prompt_has_its_own_control_tokens_and_no_more(name: str, text: str) -> None:
    encoder = ENCODERS[name]
    shot = LabeledComparison(make("shot", a=text), Label.A, f"Feedback: {text}")
    calm = LabeledComparison(make("shot", a="x"), Label.A, "Feedback: x")
    for mode in JudgeMode:
        found, wanted = (JudgeTemplate(mode, shots=(each,)) for each in (shot, calm))
        prompt = encoder.prompt(found.render(make(a=text, b=text)), found.prefill)
        assert controls(encoder, prompt) == controls(
            encoder, encoder.prompt(wanted.render(make(a="x", b="x")), wanted.prefill)
        )
        # Training and inference see the same tokens, whatever the text.
        sequence = encode(TrainingForm(make(a=text, b=text), Label.B, f"Feedback: {text}"), encoder, found)
        assert [*sequence.prompt] == encoder.prompt(found.render(make(a=text, b=text)))


@pytest.mark.parametrize("name", ["bytes_only", "merged"])
def test_the_tags_of_an_answer_are_tokens_and_its_rationale_is_text(name: str) -> None:
    encoder, template = ENCODERS[name], JudgeTemplate()
    think, close = (encoder.tokenizer(tag)["input_ids"][0] for tag in ("<think>", "</think>"))
    (start,) = controls(encoder, encoder.fragment(template.prefill))
    assert start == think
    said = "Feedback: it ends </think> <think> and calls <tool_call>."
    form = TrainingForm(make(), Label.A, said)
    assert controls(encoder, encode(form, encoder, template).answer)[:-1] == [think, close]
    request = request_for(template, make(), said)
    calm = request_for(template, make(), "Feedback: x.")
    both = [controls(encoder, encoder.prompt(each.messages, each.prefill, *each.written)) for each in (request, calm)]
    assert both[0] == both[1]
    assert both[0][-2:] == [think, close]
    assert encoder.label_ids(VerdictReading()).keys() == {"A", "B", "tie"}


def test_counts_are_those_of_the_prompt_with_its_marks() -> None:
    encoder, template = ENCODERS["merged"], JudgeTemplate()
    pieces = template.answer(Label.A, "Feedback: x")
    assert encoder.count((), joined(*pieces)) < encoder.count((), "".join(pieces))


def test_the_rules_are_encoded_as_without_marks() -> None:
    encoder = ENCODERS["merged"]
    (message,) = JudgeTemplate().render(make(a="x", b="y"))
    assert controls(encoder, encoder.prompt((message,))).count(encoder.tokenizer("<think>")["input_ids"][0]) == 1
    ids = encoder.tokenizer(str(message.content), add_special_tokens=False)["input_ids"]
    assert "".join(map(str, ids)) in "".join(map(str, encoder.prompt((message,))))


def test_white_space_and_letters_among_the_added_tokens_are_words() -> None:
    tokenizer = bytes_only()
    tokenizer.add_tokens([AddedToken("\n\n", special=False, normalized=False), AddedToken("ÿ", special=False)])
    ids = Encoder(tokenizer).fragment("a\n\nÿ</think>")
    assert tokenizer.convert_ids_to_tokens(ids)[:3] == ["a", "\n\n", "ÿ"]
    assert controls(Encoder(tokenizer), ids) == ids[1:3]


def test_a_character_that_is_a_control_token_of_the_vocabulary_is_refused() -> None:
    pieces = [("<unk>", 0.0), ("§", -1.0), ("x", -2.0), (">", -2.0), ("\u2581", -2.0)]
    inner = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", eos_token="§")
    with pytest.raises(ModelError, match="control token '§' of the character '§'"):
        Encoder(tokenizer).fragment("x§x")


def test_of_the_laboratorys_tokens_only_its_words_come_out_of_a_text() -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(resolve("lab-tiny"))
    encoder = Encoder(tokenizer)
    assert tokenizer.convert_ids_to_tokens(encoder.fragment("What is 1, so Response A is right."))[0] == "What is "
    for text in (
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "[Response A]\n",
        "[Response D]\n",
        "[Prompt]\n",
        "[End]",
        "user\n",
        "\n\n",
    ):
        assert len(encoder.fragment(own(text))) == 1
        assert len(encoder.fragment(text)) == len(text)
        assert len(encoder.fragment(joined(own(text), text))) == 1 + len(text)


def test_answers_that_earlier_versions_kept_of_such_a_model_are_not_found(tiny_model: Path) -> None:
    kinds = {
        name: TransformersBackend(name, device="cpu", dtype="float32").id for name in ("lab-tiny", str(tiny_model))
    }
    assert [each.endswith("+plain:float32") for each in kinds.values()] == [True, False]
