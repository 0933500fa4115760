"""Text stays text: no content can become a control token, and answers keep their boundaries."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gramr2.backends.base import VerdictReading
from gramr2.backends.encoding import Encoder
from gramr2.comparison import Message
from gramr2.errors import ModelError


@pytest.fixture(scope="module")
def encoder(tiny_model: Path) -> Encoder:
    from transformers import AutoTokenizer

    return Encoder(AutoTokenizer.from_pretrained(tiny_model))


def test_harmless_text_is_encoded_as_the_template_would(encoder: Encoder) -> None:
    turns = (Message("system", "Be brief."), Message("user", "Hi {there}"))
    plain = [{"role": turn.role, "content": turn.content} for turn in turns]
    rendered = encoder.tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=True)
    assert encoder.tokenizer.decode(encoder.prompt(turns, "<think>")) == rendered + "<think>"


@given(st.lists(st.sampled_from(["<|start|>", "<|end|>", "<|pad|>", "x", "\n", "é"]), min_size=1).map("".join))
def test_control_text_in_a_response_stays_text(encoder: Encoder, text: str) -> None:
    frame = encoder.prompt((Message("user", "x"),))
    ids = encoder.prompt((Message("user", text),))
    control = set(encoder.tokenizer.all_special_ids)
    assert sum(i in control for i in ids) == sum(i in control for i in frame)
    assert text in encoder.tokenizer.decode(ids)


class Deaf:
    """A tokenizer that ignores ``split_special_tokens``."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, text: str, **options: Any) -> Any:
        return self._inner(text, **(options | {"split_special_tokens": False}))


def test_a_tokenizer_that_ignores_the_switch_is_outwitted(encoder: Encoder) -> None:
    deaf = Encoder(Deaf(encoder.tokenizer))  # type: ignore[arg-type]
    turn = (Message("user", "a<|end|>b<|start|>"),)
    assert deaf.prompt(turn) == encoder.prompt(turn)


def test_a_template_with_a_date_gives_the_same_prompt_on_every_day(tiny_model: Path) -> None:
    """As Llama 3.2's and SmolLM3's do: a judge would be asked otherwise than it was trained."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    dated = """{% if not day is defined %}{% set day = strftime_now("%d %b %Y") %}{% endif %}{{ day }} {{ messages[0]['content'] }}"""
    messages = (Message("user", "Hello"),)

    def prompt(**options: str) -> str:
        return tokenizer.decode(Encoder(tokenizer, options).prompt(messages))

    tokenizer.chat_template = dated
    assert prompt() == prompt(chat_template=dated) == "26 Jul 2024 Hello"
    assert prompt(day="today") == "today Hello"
    tokenizer.chat_template = {"default": dated, "other": "{{ strftime_now('%Y') }} {{ messages[0]['content'] }}"}
    assert (prompt(), prompt(chat_template="other")) == ("26 Jul 2024 Hello", "2024 Hello")


def test_models_without_a_chat_template(encoder: Encoder, tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = None
    ids = Encoder(tokenizer).prompt((Message("user", "Hi"),), "<think>")
    assert tokenizer.decode(ids) == "<|start|>Hi\n\n<think>"


def test_a_template_that_opens_the_thinking_is_not_opened_twice(tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template += "<think>\n"
    text = tokenizer.decode(Encoder(tokenizer).prompt((Message("user", "Hi"),), "<think>\nFeedback:"))
    assert text.count("<think>") == 1
    assert text.endswith("assistant\n<think>\nFeedback:")


def test_labels_are_told_apart_or_refused(encoder: Encoder) -> None:
    ids = encoder.label_ids(VerdictReading())
    assert [encoder.tokenizer.decode([i]) for i in ids.values()] == ["A", "B", "tie"]
    with pytest.raises(ModelError, match="are not distinct"):
        encoder.label_ids(VerdictReading(labels=("#1", "#2")))


def test_glued_labels_are_refused(encoder: Encoder) -> None:
    class Gluing(Deaf):
        def __call__(self, text: str, **options: Any) -> Any:
            ids = self._inner(text, **options)["input_ids"]
            return {"input_ids": [1000, *ids[9:]] if text.startswith("<answer>") and len(text) > 8 else ids}

    with pytest.raises(ModelError, match="merges"):
        Encoder(Gluing(encoder.tokenizer)).label_ids(VerdictReading())  # type: ignore[arg-type]


def test_a_template_that_drops_turns_is_refused(tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    with pytest.raises(ModelError, match="drops, repeats or reorders"):
        Encoder(tokenizer).prompt((Message("user", "a"), Message("user", "b")))


def test_threads_do_not_use_each_others_switch() -> None:
    """As transformers does: a switch of the tokenizer is set, and then the text is encoded."""

    class Switching:
        chat_template = eos_token_id = bos_token_id = None
        all_special_ids: ClassVar[list[int]] = []

        def __call__(self, text: str, split_special_tokens: bool = False, **_: object) -> dict[str, list[int]]:
            self.switch = split_special_tokens
            time.sleep(0.0005)
            return {"input_ids": [int(self.switch)]}

        def convert_ids_to_tokens(self, ids: list[int]) -> list[str]:
            return ["x"] * len(ids)

    encoder = Encoder(Switching())  # type: ignore[arg-type]
    with ThreadPoolExecutor(8) as pool:
        literal = [i % 2 == 0 for i in range(200)]
        assert [*pool.map(lambda each: encoder._ids("text", literal=each), literal)] == [
            [int(each)] for each in literal
        ]
