"""What an encoder is asked for besides whole prompts: pieces of an answer, lengths, and options of the template."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from transformers import AutoTokenizer

from gramr2.backends.base import VerdictReading
from gramr2.backends.encoding import Encoder
from gramr2.comparison import Message

TURNS = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "é"))


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture(scope="module")
def encoder(tokenizer: Any) -> Encoder:
    return Encoder(tokenizer)


class Marking:
    """A tokenizer of single characters that puts a space marker before any text, as SentencePiece does."""

    chat_template = eos_token_id = bos_token_id = None
    all_special_ids: ClassVar[list[int]] = []

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": [ord("▁"), *map(ord, text)]}

    def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
        return [*map(chr, ids)]


def test_a_piece_of_an_answer_gets_no_space_marker() -> None:
    encoder = Encoder(Marking())  # type: ignore[arg-type]
    assert encoder.fragment(">ab") == [*map(ord, ">ab")]
    assert encoder.fragment("") == []
    assert encoder.label_ids(VerdictReading()) == {"A": ord("A"), "B": ord("B"), "tie": ord("t")}
    # Only the first piece of a prompt is a beginning.
    ids = encoder.prompt((Message("user", "x"), Message("user", "y")), "ab")
    assert "".join(map(chr, ids)) == "▁x\n\ny\n\nab"


TEMPLATES = [
    "<s>[INST] {} [/INST]",
    "<s>[INST]{}[/INST]",
    "<s><|user|>\n{}<|end|>\n<|assistant|>\n",
    "<s>{}<|end|>Answer: ",
    "{}\n",
]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("kind", ["first", "always", "prepend"])
def test_a_prompt_of_a_sentencepiece_model_has_the_spaces_of_the_whole_text(kind: str, template: str) -> None:
    tokenizer = sentencepiece(kind)
    before, _, after = template.partition("{}")
    tokenizer.chat_template = f"{{{{ {before!r} + messages[0]['content'] + {after!r} }}}}"
    encoder = Encoder(tokenizer)
    assert encoder.marks
    whole = tokenizer(template.format("Which a"), add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(encoder.prompt((Message("user", "Which a"),))) == tokenizer.decode(whole)


def sentencepiece(kind: str) -> Any:
    """A tokenizer of characters that marks beginnings: that of a text alone, of every piece of it, or as Llama 2's does."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = ["<unk>", "▁", "\n", *map(chr, range(33, 127))]
    inner = Tokenizer(models.Unigram([(each, -1.0) for each in letters], unk_id=0))
    if kind == "prepend":
        inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        inner.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    else:
        inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=kind)
        inner.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    inner.add_special_tokens(
        [AddedToken(each, normalized=False) for each in ("<s>", "<|user|>", "<|end|>", "<|assistant|>")]
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="<|end|>", unk_token="<unk>")


def test_every_piece_is_encoded_by_itself_after_the_prompt(encoder: Encoder) -> None:
    bare = encoder.prompt(TURNS)
    assert encoder.prompt(TURNS, "<think>", "", "é", "x") == [
        *bare, *encoder.fragment("<think>"), *encoder.fragment("é"), *encoder.fragment("x"),
    ]  # fmt: skip


def test_control_text_in_a_piece_stays_text(encoder: Encoder) -> None:
    ids = encoder.fragment("a<|end|>")
    assert not set(encoder.tokenizer.all_special_ids).intersection(ids)
    assert encoder.tokenizer.decode(ids) == "a<|end|>"


def test_the_length_of_a_prompt_an_answer_or_both(encoder: Encoder) -> None:
    def size(text: str) -> int:
        return len(encoder.fragment(text))

    # Each of the template's marks is one token.
    turns = [size(f"{turn.role}\n{turn.content}") for turn in TURNS]
    lines = sum(1 + turn + 1 + 1 for turn in turns) + 1 + size("assistant\n")
    assert encoder.count(TURNS) == lines
    assert encoder.count((), "é<|end|>") == 2 + size("<|end|>") > 3
    assert encoder.count(TURNS, "é") == lines + 2
    assert encoder.count(()) == 0


def test_contents_do_not_leak_into_the_next_prompt_of_the_same_roles(encoder: Encoder) -> None:
    one, two = ((Message("user", text),) for text in ("first", "second"))
    before = encoder.prompt(one)
    assert encoder.tokenizer.decode(encoder.prompt(two)) == "<|start|>user\nsecond<|end|>\n<|start|>assistant\n"
    assert encoder.prompt(one) == before
    system = encoder.prompt((Message("system", "first"),))
    assert encoder.tokenizer.decode(system).startswith("<|start|>system\nfirst")


def test_options_are_variables_of_the_template(tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template += "{{ mood }}{% if thinking is false %}<think>\n</think>{% endif %}"
    ids = Encoder(tokenizer, {"thinking": False, "mood": "calm"}).prompt(TURNS)
    assert tokenizer.decode(ids).endswith("assistant\ncalm<think>\n</think>")
    assert tokenizer.decode(Encoder(tokenizer).prompt(TURNS)).endswith("assistant\n")
